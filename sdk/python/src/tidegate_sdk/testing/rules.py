"""The contract's rules about names, headers, status, close codes and the content of messages."""

from __future__ import annotations

import re
from typing import Any

from msgpack.fallback import Unpacker

from tidegate_sdk import errors
from tidegate_sdk.wire import Headers

CONTENT_MAX = (1024 + 64) * 1024
STATE_MAX = 16 * 1024
OUTBOX_MAX = 1_000
OUTBOX_BYTES_MAX = 8 * 1024 * 1024
HOLD_MAX = 60 * 60 * 1000
DELAY_MAX = 24 * 60 * 60 * 1000
_NAME_MAX = 99
_REASON_MAX = 123
_DEPTH_MAX = 32

_NAME_LETTER = re.compile(r"[A-Za-z0-9._-]")
_MODULE = re.compile(r"[a-z0-9-]{1,63}")
_TOKEN = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OF_CONNECTION = {
    "connection", "transfer-encoding", "upgrade", "keep-alive", "proxy-connection", "te", "trailer", "content-length",
}  # fmt: skip


def name(text: str) -> None:
    """A name of a channel or group."""
    size = len(text.encode())
    if not 1 <= size <= _NAME_MAX:
        raise errors.InvalidName(f'name "{text}": has {size} bytes, and 1 to {_NAME_MAX} are allowed')
    for letter in text:
        if not _NAME_LETTER.fullmatch(letter):
            raise errors.InvalidName(f'name "{text}": {letter!r} is not one of a-z A-Z 0-9 . _ -')


def channel(text: str) -> None:
    """A name, or a reply channel with one `!` in it."""
    node, mark, local = text.partition("!")
    if not mark or len(text.encode()) > _NAME_MAX:
        name(text)
    else:
        name(node)
        name(local)


def is_module(text: str) -> bool:
    """Whether a module may be called so."""
    return bool(_MODULE.fullmatch(text))


def content(data: bytes) -> dict[str, Any]:
    """The content of a message, checked."""
    if len(data) > CONTENT_MAX:
        raise errors.TooLarge(len(data), CONTENT_MAX)
    try:
        return read_content(data)
    except ValueError as error:
        raise errors.InvalidContent(str(error)) from None


def read_content(data: bytes) -> dict[str, Any]:
    """Reads a map with text keys, nested at most 32 deep, no key twice, integers of 64 bits with sign."""
    unpacker = Unpacker(None, max_buffer_size=max(len(data), 1), strict_map_key=False, object_pairs_hook=_map)
    unpacker.feed(data)
    try:
        value = unpacker.unpack()
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(str(error) or type(error).__name__) from None
    rest = len(data) - unpacker.tell()
    if rest:
        raise ValueError(f"{rest} bytes follow the end of the map")
    if _depth(value) > _DEPTH_MAX:
        raise ValueError(f"maps and lists are nested deeper than {_DEPTH_MAX}")
    if not isinstance(value, dict):
        raise ValueError("the content is not a map; send a map with text keys")
    return value


def _map(pairs: list[tuple[Any, Any]]) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for key, value in pairs:
        if not isinstance(key, str):
            raise ValueError("a map has a key that is not text; use text keys")
        if key in entries:
            raise ValueError(f'a map has the key "{key}" twice')
        entries[key] = value
    return entries


def _depth(value: Any) -> int:
    if isinstance(value, int) and value >= 2**63:
        raise ValueError(f"the integer {value} is beyond 64 bits with sign")
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


def status(code: int) -> None:
    """A status that may be sent."""
    if not 200 <= code < 600:
        raise errors.InvalidReply(f"status {code} is not from 200 to 599")


def headers(fields: Headers) -> None:
    """Header fields that may be sent."""
    for field, value in fields:
        if not _TOKEN.fullmatch(field.encode()):
            raise errors.InvalidReply(f'header "{field}": the name is no token')
        if field.lower() in _OF_CONNECTION:
            raise errors.InvalidReply(f'header "{field}": belongs to the connection, which is the host\'s')
        if any((byte < 0x20 and byte != 0x09) or byte == 0x7F for byte in value):
            raise errors.InvalidReply(f'header "{field}": the value has a control character')
        if value.strip(b" \t\r\n\x0c") != value:
            raise errors.InvalidReply(f'header "{field}": the value starts or ends with white space')


def close(code: int, reason: str) -> None:
    """A close that a consumer may send."""
    if code != 1000 and not 3000 <= code <= 4999:
        raise errors.InvalidReply(f"close code {code} is neither 1000 nor from 3000 to 4999")
    if len(reason.encode()) > _REASON_MAX:
        raise errors.InvalidReply(f"a close reason of {len(reason.encode())} bytes is over {_REASON_MAX}")
