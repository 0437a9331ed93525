"""MessagePack, the form of messages, states and stored values."""

from __future__ import annotations

from typing import Any

# The part of msgpack that is Python, also natively: tests meet what the component has.
from msgpack.exceptions import UnpackException
from msgpack.fallback import Packer, Unpacker

from tidegate_sdk.codec.plain import plain
from tidegate_sdk.errors import InvalidContent, Unreadable


def packb(value: Any) -> bytes:
    """Writes a value. One that MessagePack does not have is a `TypeError` or `ValueError` that says why."""
    try:
        packed: bytes = Packer(default=plain, use_bin_type=True).pack(value)  # pyright: ignore
        return packed
    except UnicodeEncodeError:
        raise ValueError("a text has half of a surrogate pair, which is no Unicode text") from None


def message(value: Any) -> bytes:
    """Writes the content of a message: a map with text keys."""
    try:
        content = packb(value)
    except (TypeError, ValueError) as error:
        raise InvalidContent(f"the message cannot be written: {error}") from None
    if content and (content[0] & 0xF0 == 0x80 or content[0] in (0xDE, 0xDF)):
        return content
    raise InvalidContent(
        f"a message is a map with text keys, and `{type(value).__name__}` is none: send a dataclass or a dict"
    )


def unpackb(content: bytes) -> Any:
    """Reads a value. Bytes that are none are `Unreadable`."""
    unpacker = Unpacker(None, max_buffer_size=max(len(content), 1), strict_map_key=False)
    try:
        unpacker.feed(content)
        value = unpacker.unpack()
    except (UnpackException, ValueError, RecursionError) as error:
        raise Unreadable(f"no MessagePack: {str(error) or type(error).__name__}") from None
    if unpacker.tell() != len(content):
        raise Unreadable("no MessagePack: bytes follow the end of the value")
    return value
