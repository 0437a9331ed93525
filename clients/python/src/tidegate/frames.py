"""Messages that sockets held by Tidegate understand: frames and ends of a WebSocket."""

from __future__ import annotations

import json as _json
from typing import Any

from .content import Message


def text(value: str) -> Message:
    """Returns a message that is a text frame for each socket of a group."""
    return {"type": "websocket.send", "text": value}


def binary(value: bytes) -> Message:
    """Returns a message that is a binary frame for each socket of a group."""
    return {"type": "websocket.send", "bytes": value}


def json(value: Any) -> Message:
    """Returns a message that is a text frame with JSON for each socket of a group."""
    return text(_json.dumps(value))


def close(code: int = 1000, reason: str = "") -> Message:
    """Returns a message that closes each socket of a group."""
    return {"type": "websocket.close", "code": code, "reason": reason}
