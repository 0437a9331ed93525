"""The store's rules for calls, with the texts of the host."""

from __future__ import annotations

from collections.abc import Sequence

from tidegate_sdk.errors import InvalidCall, TimerError
from tidegate_sdk.wire import Value

READ_KEYS_MAX = 1_000
READS_MAX = 10_000
WRITES_MAX = 4_096
WRITTEN_BYTES_MAX = 16 * 1024 * 1024
PAGE_BYTES = 1024 * 1024
"""A page ends with the entry that brings it to so many bytes of values."""

_KEY_BYTES_MAX = 512
_VALUE_BYTES_MAX = 256 * 1024
_TIMER_AHEAD_MAX = 365 * 24 * 3600 * 1000
_TIME_TO_LIVE_MAX = 10 * 365 * 24 * 3600 * 1000


def quoted(text: str) -> str:
    """Text in double quotes, as the host writes keys."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def key(name: str) -> None:
    """A key."""
    if not name:
        raise InvalidCall("a key has at least 1 byte; this one is empty. Name the value")
    prefix(name)


def keys(names: Sequence[str]) -> None:
    """Keys of one call."""
    for name in names:
        key(name)


def prefix(text: str) -> None:
    """The prefix of keys."""
    size = len(text.encode())
    if size > _KEY_BYTES_MAX:
        raise InvalidCall(
            f"a key has at most {_KEY_BYTES_MAX} bytes; this one has {size}. Shorten it, or use a digest of it"
        )


def value(it: Value) -> None:
    """A value."""
    if isinstance(it.data, bytes) and len(it.data) > _VALUE_BYTES_MAX:
        raise InvalidCall(
            f"a value has at most {_VALUE_BYTES_MAX} bytes; this one has {len(it.data)}. Divide it among several keys"
        )


def time_to_live(millis: int) -> int:
    """The time for which a value stays."""
    if not 1 <= millis <= _TIME_TO_LIVE_MAX:
        raise InvalidCall(
            f"a time to live is 1 to {_TIME_TO_LIVE_MAX} ms; this one is {millis} ms. Leave it out for a value that "
            "stays, and delete a key that is to go"
        )
    return millis


def count(asked: int) -> None:
    """The number of keys that one call reads."""
    if not 1 <= asked <= READ_KEYS_MAX:
        raise InvalidCall(f"a call reads 1 to {READ_KEYS_MAX} keys; this one asks for {asked}. Ask in several calls")


def reads(read: int) -> None:
    """The number of keys that a run reads."""
    if read > READS_MAX:
        raise InvalidCall(f"a run reads at most {READS_MAX} keys. Read fewer, or raise `store.reads` of the module")


def cursor(text: str, last: str) -> str:
    """A cursor: the length of the prefix in characters, and the last key."""
    return f"{len(text)}:{last}"


def behind(text: str, it: str) -> str:
    """The last key out of a cursor of the same prefix."""
    digits, colon, last = it.partition(":")
    if not colon or not digits.isdigit() or not last:
        raise InvalidCall("the text is not a cursor. Pass a cursor as `list` returned it, or none")
    own = last[: int(digits)]
    if own != text:
        raise InvalidCall(
            f"the cursor continues a listing of the prefix {quoted(own)}, not of {quoted(text)}. Begin the listing of "
            "this prefix without a cursor"
        )
    return last


def total(name: str, stored: bytes | int | None, delta: int) -> int:
    """The integer that `add` leaves. One that it cannot change is a `ValueError`."""
    if isinstance(stored, bytes):
        raise ValueError(
            f"{quoted(name)} is not an integer, and `add` changes integers only. Use another key for the counter, or "
            "delete this one first"
        )
    after = (stored or 0) + delta
    if not -(2**63) <= after < 2**63:
        raise ValueError(f"{quoted(name)} would leave the range of 64-bit integers. Set it to a smaller value first")
    return after


def timer_key(name: str) -> None:
    """The key of a timer."""
    try:
        key(name)
    except InvalidCall as error:
        raise TimerError(str(error)) from None


def timer_due(after: int | None, at: int | None, now: int) -> None:
    """The moment of a timer: after so many milliseconds, or at so many since 1970."""
    if at is None and (after or 0) > _TIMER_AHEAD_MAX:
        found = f"in {after} ms"
    elif at is not None and at - now > _TIMER_AHEAD_MAX:
        found = f"at {at} ms since 1970"
    else:
        return
    raise TimerError(
        f"a timer is due in {_TIMER_AHEAD_MAX} ms at most; this one is {found}. Set one that is due earlier, and let "
        "its consumer set the next"
    )
