"""The slow work."""

from math import isqrt


def within(start: int, end: int) -> int:
    """The number of primes from a number on and below another one.

    >>> within(0, 100), within(999_999_000, 1_000_000_000), within(5, 3)
    (25, 45, 0)
    """
    start = max(start, 2)
    if end <= start:
        return 0
    prime = bytearray(b"\1") * (end - start)
    # Whatever is composite has a factor up to its root.
    for factor in up_to(isqrt(end)):
        # The square is at most `end`. Smaller multiples have a smaller factor.
        first = max(factor * factor, -(-start // factor) * factor)
        prime[first - start :: factor] = bytes(len(range(first, end, factor)))
    return prime.count(1)


def up_to(end: int) -> list[int]:
    """The primes up to a number."""
    prime = bytearray(b"\1") * (end + 1)
    for number in range(2, isqrt(end) + 1):
        if prime[number]:
            prime[number * number :: number] = bytes(len(range(number * number, end + 1, number)))
    return [number for number in range(2, end + 1) if prime[number]]
