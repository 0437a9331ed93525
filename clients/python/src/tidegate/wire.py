"""Packs and reads entries of channels and of inboxes, as docs/redis.md describes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgpack  # type: ignore[import-untyped]

from .names import new_id

VERSION = 1
# Bytes before the map of a channel's entry: the version, how often it was taken before, when it expires,
# when it was sent. A script puts them there.
HEADER_BYTES = 18


def payload(content: bytes, correlation: str | None = None) -> bytes:
    """Returns the map of a channel's entry. A script puts the header before it."""
    packed: bytes = msgpack.packb({"correlation": correlation or new_id(), "content": content})
    return packed


def event_payload(event: dict[str, Any], correlation: str) -> bytes:
    """Returns the map of an entry that carries an event of a connection."""
    packed: bytes = msgpack.packb({"correlation": correlation, "event": event})
    return packed


def content_of(entry: bytes) -> bytes | None:
    """Returns the content of a channel's entry, or None where it is not a readable message."""
    if len(entry) <= HEADER_BYTES or entry[0] != VERSION:
        return None
    try:
        content = msgpack.unpackb(entry[HEADER_BYTES:])["content"]
    except (ValueError, TypeError, KeyError, msgpack.UnpackException):
        return None
    return content if isinstance(content, bytes) else None


def event_in_entry(entry: bytes) -> dict[str, Any] | None:
    """Returns the event that a channel's entry carries with its `correlation`, or None where there is none."""
    if len(entry) <= HEADER_BYTES or entry[0] != VERSION:
        return None
    try:
        fields = msgpack.unpackb(entry[HEADER_BYTES:])
        event = fields["event"]
        if not isinstance(event, dict):
            return None
        return event | {"correlation": str(fields["correlation"])}
    except (ValueError, TypeError, KeyError, msgpack.UnpackException):
        return None


def answer_entry(
    local: str, order: int, replies: list[dict[str, Any]], done: dict[str, Any] | None
) -> bytes:
    """Returns the entry of an inbox that answers an event. One without replies always fits."""
    fields = {"to": local, "order": order, "replies": replies, "done": done}
    return _entry(b"a" if replies else b"c", "answer", fields)


def message_entry(local: str, content: bytes, correlation: str) -> bytes:
    """Returns the entry of an inbox that brings a message to one channel of the node."""
    return _entry(b"m", "message", {"to": local, "content": content, "correlation": correlation})


def group_entry(group: str, content: bytes) -> bytes:
    """Returns the entry of an inbox that brings a message to the members of a group."""
    fields = {"group": group, "content": content, "correlation": new_id()}
    return _entry(b"m", "group", fields)


def join_entry(local: str, group: str, count: int) -> bytes:
    """Returns the entry that makes a channel of the node a member."""
    return _entry(b"m", "join", {"local": local, "group": group, "count": count})


def leave_entry(local: str, group: str) -> bytes:
    """Returns the entry that ends a membership."""
    return _entry(b"c", "leave", {"local": local, "group": group})


def _entry(kind: bytes, name: str, fields: dict[str, Any]) -> bytes:
    packed: bytes = msgpack.packb({name: fields})
    return kind + packed


@dataclass(frozen=True)
class InboxEntry:
    """An entry of an inbox: its name and its fields."""

    name: str
    fields: dict[str, Any]


def inbox_entry(entry: bytes) -> InboxEntry:
    """Reads an entry of an inbox. Raises `ValueError` where it is not readable."""
    try:
        [(name, fields)] = msgpack.unpackb(entry[1:]).items()
    except (TypeError, AttributeError, msgpack.UnpackException) as error:
        raise ValueError("it is not a map with one field") from error
    if not isinstance(fields, dict):
        raise ValueError("its field is not a map")
    return InboxEntry(name, fields)


def text_in(fields: dict[str, Any], name: str) -> str:
    """Returns a field that is a text."""
    value = fields[name]
    if not isinstance(value, str):
        raise ValueError(f"{name} is not a text")
    return value


def content_in(fields: dict[str, Any]) -> bytes:
    """Returns the content of a message."""
    content = fields["content"]
    if not isinstance(content, bytes):
        raise ValueError("content is not bytes")
    return content
