"""Passwords, hashed with PBKDF2.

The standard library of a component has no hash that takes much memory, such as Argon2 or scrypt, and no PBKDF2 in C.
This one is in Python, and takes a second or more for each password.
"""

import hmac
import re
import secrets

ROUNDS = 210_000
"""OWASP asks for so many at least, with SHA-512."""

BYTES = range(8, 257)
"""The lengths of a password."""

OF_NOBODY = f"pbkdf2-sha512${ROUNDS}${'00' * 16}${'00' * 64}"
"""The hash of nothing that anybody knows.

It is looked at where there is no such user, so that this takes as long as a wrong password.
"""


def is_long_enough(password: str) -> bool:
    return len(password.encode()) in BYTES


def hashed(password: str, rounds: int = ROUNDS) -> str:
    """Hashes a password with a salt of its own.

    >>> hashed("high tide", rounds=2) == hashed("high tide", rounds=2)
    False
    """
    salt = secrets.token_bytes(16)
    return f"pbkdf2-sha512${rounds}${salt.hex()}${pbkdf2(password.encode(), salt, rounds).hex()}"


def is_right(password: str, known: str | None) -> bool:
    """Whether it is the password of a hash. Without one it is not, after the same time.

    >>> known = hashed("high tide", rounds=2)
    >>> is_right("high tide", known), is_right("low tide", known), is_right("high tide", "no hash")
    (True, False, False)
    """
    found = re.fullmatch(r"pbkdf2-sha512\$(\d+)\$([0-9a-f]{32})\$([0-9a-f]{128})", known or OF_NOBODY)
    if found is None:
        return False
    rounds, salt, expected = int(found[1]), bytes.fromhex(found[2]), bytes.fromhex(found[3])
    # A password that nobody can have costs as much as any other.
    is_same = hmac.compare_digest(pbkdf2(password.encode()[: BYTES.stop], salt, rounds), expected)
    return is_same and known is not None


def pbkdf2(password: bytes, salt: bytes, rounds: int) -> bytes:
    """The first block of PBKDF2-HMAC-SHA512, as RFC 8018 has it.

    >>> pbkdf2(b"passwd", b"salt", 1).hex()[:32]
    'c74319d99499fc3e9013acff597c23c5'
    """
    keyed = hmac.new(password, digestmod="sha512")

    def after(message: bytes) -> bytes:
        mac = keyed.copy()
        mac.update(message)
        return mac.digest()

    block = after(salt + b"\0\0\0\1")
    total = int.from_bytes(block)
    for _ in range(rounds - 1):
        block = after(block)
        total ^= int.from_bytes(block)
    return total.to_bytes(64)
