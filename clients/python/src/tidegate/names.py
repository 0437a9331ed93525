"""Names of channels, groups and nodes."""

from __future__ import annotations

import re
import secrets
import zlib

from .errors import InvalidName

NAME_BYTES = 99
MODULE_BYTES = 63
_NAME = re.compile(r"[a-zA-Z0-9._-]+\Z", re.ASCII)
_OUTSIDE = re.compile(r"[^a-zA-Z0-9._!-]", re.ASCII)
_RULE = f"a name has 1 to {NAME_BYTES} of a-z A-Z 0-9 . _ -"
# Channels of events: workers of Tidegate read them, and drop a message that is not an event.
_RESERVED = ("http.", "websocket.")
# Groups of the connections of users and sessions: the host alone adds connections to them and sends to them.
_HOST_GROUPS = ("_user.", "_session.")


def new_id() -> str:
    """Returns 128 random bits as 32 hexadecimal digits."""
    return secrets.token_hex(16)


def partition_of(name: str, partitions: int) -> int:
    """Returns the partition of a channel, a group or a node."""
    return zlib.crc32(name.encode()) % partitions


def check_group(name: object) -> str:
    """Returns the name of a group, or raises `InvalidName`."""
    plain = _plain("group", name)
    if plain.startswith(_HOST_GROUPS):
        raise InvalidName(f"group {plain} is one of the host's own; take another group")
    return plain


def check_module(name: object) -> str:
    """Returns the name of a module, or raises `InvalidName`."""
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9-]+", name, re.ASCII):
        raise InvalidName(f"{name!r} is no name of a module: it has a-z 0-9 -")
    if len(name) > MODULE_BYTES:
        raise InvalidName(f"{name!r} is no name of a module: it has more than {MODULE_BYTES} bytes")
    return name


def check_channel(name: object) -> tuple[str, str]:
    """Returns node and local name of a process-local channel, or the name and an empty text."""
    if not isinstance(name, str) or "!" not in name:
        return _plain("channel", name), ""
    _length("channel", name)
    node, _, local = name.partition("!")
    if not (_NAME.match(node) and _NAME.match(local)):
        reason = "a channel of a process is NODE!LOCAL with one `!` and both parts filled"
        raise InvalidName(f"{name!r} is not a valid channel name: {reason}; {_RULE}")
    return node, local


def check_named(name: object) -> str:
    """Returns the name of a channel that no process owns and that applications may use."""
    name = _plain("channel", name)
    if name.startswith(_RESERVED):
        raise InvalidName(
            f"{name!r} belongs to interface servers: channels that begin with http. or websocket."
            " carry events of connections. Use another name"
        )
    return name


def _plain(kind: str, name: object) -> str:
    if not isinstance(name, str):
        raise InvalidName(f"{name!r} is not a valid {kind} name: it is not a text; {_RULE}")
    _length(kind, name)
    if not _NAME.match(name):
        found = _OUTSIDE.search(name)
        what = found.group() if found else "!"
        raise InvalidName(f"{name!r} is not a valid {kind} name: it has {what!r}; {_RULE}")
    return name


def _length(kind: str, name: str) -> None:
    if not name:
        raise InvalidName(f"a {kind} name is empty; {_RULE}")
    if len(name) > NAME_BYTES:
        raise InvalidName(f"{name!r} is not a valid {kind} name: it has {len(name)}; {_RULE}")
