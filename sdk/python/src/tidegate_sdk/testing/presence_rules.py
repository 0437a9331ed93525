"""The rules of the host about the members of groups."""

from __future__ import annotations

import math
from typing import Any

from tidegate_sdk import errors
from tidegate_sdk.errors import InvalidPresence
from tidegate_sdk.testing import rules
from tidegate_sdk.testing.store_rules import quoted

READS_MAX = 100
"""The most parts of lists that a run reads."""

_KEY_BYTES_MAX = 256
_FACTS_BYTES_MAX = 1024
_LIST_MAX = 1_000


def connection(channel: str) -> None:
    """The channel of a connection."""
    try:
        rules.channel(channel)
        is_reply_channel = "!" in channel
    except errors.InvalidName:
        is_reply_channel = False
    if not is_reply_channel:
        raise InvalidPresence(
            f"{quoted(channel)} is no reply channel, and connections are present; give the reply channel of one"
        )


def key(text: str) -> None:
    """The key of a member."""
    if not is_key(text):
        raise InvalidPresence(f"the key of a member has 1 to {_KEY_BYTES_MAX} bytes and no control characters")


def is_key(text: str) -> bool:
    """Whether a member may have this key."""
    has_control = any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in text)
    return 1 <= len(text.encode()) <= _KEY_BYTES_MAX and not has_control


def facts(packed: bytes) -> None:
    """The facts of a member."""
    if len(packed) > _FACTS_BYTES_MAX:
        raise InvalidPresence(f"the facts of a member take {len(packed)} bytes; at most {_FACTS_BYTES_MAX} are taken")
    try:
        found = rules.content(packed)
    except errors.SendError as error:
        raise InvalidPresence(f"the facts of a member: {error}") from None
    for name, value in found.items():
        if not _is_json(value):
            raise InvalidPresence(
                f"the fact {quoted(name)} has bytes, or a number that is not finite; clients get facts as JSON, so "
                "send text in its place"
            )


def _is_json(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_json, value.values()))
    if isinstance(value, list):
        return all(map(_is_json, value))
    return value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def limit(asked: int) -> None:
    """The most members that one part of a list has."""
    if not 1 <= asked <= _LIST_MAX:
        raise InvalidPresence(f"a part of a list has 1 to {_LIST_MAX} members, not {asked}")


def cursor(text: str | None) -> None:
    """A cursor: the last key of the part before."""
    if text is not None and not is_key(text):
        raise InvalidPresence("the cursor is none that a list of members returned")


def reads(count: int) -> None:
    """The number of parts of lists that a run has read."""
    if count > READS_MAX:
        raise InvalidPresence(f"a run reads {READS_MAX} parts of lists of members; leave the rest to another run")
