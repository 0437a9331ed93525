"""Checks messages, and packs them as MessagePack maps."""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Mapping
from typing import Any

import msgpack  # type: ignore[import-untyped]

from .errors import InvalidMessage, MessageTooLarge

Message = dict[str, Any]

MAX_DEPTH = 32
_LEAST, _MOST = -(2**63), 2**63 - 1
_HINTS: dict[type, str] = {
    datetime.datetime: "send .isoformat()",
    datetime.date: "send .isoformat()",
    datetime.time: "send .isoformat()",
    datetime.timedelta: "send .total_seconds()",
    decimal.Decimal: "send str() of it",
    uuid.UUID: "send str() of it",
    set: "send a sorted list",
    frozenset: "send a sorted list",
    complex: "send a list of two floats",
}


def encode(message: Mapping[str, Any], most_bytes: int) -> bytes:
    """Returns the bytes of a message. Tuples become lists, and bytearrays become bytes."""
    if not isinstance(message, dict):
        if not isinstance(message, Mapping):
            raise InvalidMessage(f"a message is a dict, and this is {_kind(message)}")
        message = dict(message)
    _check(message, "message", 1)
    packed: bytes = msgpack.packb(message)
    if len(packed) > most_bytes:
        raise MessageTooLarge(
            f"the message has {len(packed)} bytes, and {most_bytes} are allowed (`message_bytes`);"
            " keep large data elsewhere and send a reference to it"
        )
    return packed


def decode(content: bytes) -> Message:
    """Returns the message that the bytes hold."""
    message = msgpack.unpackb(content)
    if not isinstance(message, dict):
        raise ValueError("the content is not a map")
    return message


def _check(value: Any, path: str, depth: int) -> None:
    # The exact types come first: nearly all values have one of them.
    kind = type(value)
    if kind is str:
        _check_text(value, path)
    elif kind is bool or kind is float or kind is bytes or value is None:
        return
    elif isinstance(value, int):
        if not _LEAST <= value <= _MOST:
            raise InvalidMessage(f"{path} is {value}, beyond 64 bits with sign; send it as text")
    elif isinstance(value, dict):
        _check_depth(path, depth)
        for key, inner in value.items():
            if not isinstance(key, str):
                raise InvalidMessage(
                    f"{path} has the key {key!r}, {_kind(key)}; keys are text: use {str(key)!r}"
                )
            _check_text(key, f"a key of {path}")
            _check(inner, f"{path}[{key!r}]", depth + 1)
    elif isinstance(value, list | tuple):
        _check_depth(path, depth)
        for at, inner in enumerate(value):
            _check(inner, f"{path}[{at}]", depth + 1)
    elif isinstance(value, str):
        _check_text(value, path)
    elif not isinstance(value, float | bytes | bytearray | memoryview):
        raise InvalidMessage(_refusal(value, path))


def _check_depth(path: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise InvalidMessage(f"{path} is nested deeper than {MAX_DEPTH}; send a flatter message")


def _check_text(text: str, path: str) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidMessage(
                f"{path} has a surrogate without its other half; send it as bytes"
            ) from None


def _refusal(value: Any, path: str) -> str:
    hint = next((hint for kind, hint in _HINTS.items() if isinstance(value, kind)), None)
    hint = hint or "send the values that it is made of"
    return (
        f"{path} is {_kind(value)}; messages have null, bool, integer, float, text, bytes, list"
        f" and dict: {hint}"
    )


def _kind(value: object) -> str:
    name = type(value).__name__
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"
