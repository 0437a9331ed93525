"""Messages to connections: frames, closes, and parts of a body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidegate_sdk.checks import need_bytes, need_int, need_text
from tidegate_sdk.codec import messagepack
from tidegate_sdk.response import Response


@dataclass(frozen=True)
class Close:
    """The end of a WebSocket. `disconnect` gets one, and a consumer sends one as a message to close a WebSocket.

    A consumer may send 1000 and 3000 to 4999, with at most 123 bytes of reason.
    """

    code: int = 1000
    """The close code. 1005 when the client gave none, 1006 when the connection broke."""
    reason: str = ""
    """The reason that came with the code. May be empty."""

    def as_message(self) -> dict[str, Any]:
        """The message that closes a WebSocket."""
        code = need_int("Close.code", self.code, 0, 65535)
        return {"type": "websocket.close", "code": code, "reason": need_text("Close.reason", self.reason)}


@dataclass(frozen=True)
class Chunk:
    """A part of the body of a response that another consumer has started and holds, or its end."""

    body: bytes = b""
    """Some bytes. Empty is nothing."""
    is_last: bool = False
    """Whether the response ends with it."""

    def as_message(self) -> dict[str, Any]:
        """The message that is a part of a body."""
        body = need_bytes("Chunk.body", self.body)
        return {"type": "http.response.body", "body": body, "more_body": not self.is_last}


Message = Any
"""A message: text or bytes (a WebSocket message), `Close`, `Response`, `Chunk`, `sse.Event`, a dataclass, a
mapping with text keys, or a pydantic model."""


def encode(message: Message) -> bytes:
    """The content of a message."""
    if isinstance(message, str):
        return messagepack.packb({"type": "websocket.send", "text": need_text("a message", message)})
    if isinstance(message, (bytes, bytearray, memoryview)):
        return messagepack.packb({"type": "websocket.send", "bytes": bytes(message)})
    if isinstance(message, Response):
        return messagepack.packb(message.as_message())
    as_message = getattr(message, "as_message", None)
    if callable(as_message) and not isinstance(message, Mapping):
        return messagepack.message(as_message())
    return messagepack.message(message)
