"""Reads messages to a connection: those of ASGI 3, and the forms of Channels 1."""

from __future__ import annotations

from typing import Any

from ..content import Message

_TYPES = {
    "http.response": {"status": int},
    "http.response.start": {"status": int},
    "http.response.body": {},
    "websocket.accept": {},
    "websocket.send": {},
    "websocket.close": {},
}
_FIELDS: dict[str, type] = {
    "status": int,
    "headers": list,
    "body": bytes,
    "more_body": bool,
    "subprotocol": str,
    "text": str,
    "bytes": bytes,
    "code": int,
    "reason": str,
}


def replies_from(message: Message) -> list[Message]:
    """Returns what a message asks for, in order. Raises `ValueError` where it means nothing."""
    message = {name: value for name, value in message.items() if value is not None}
    kind = message.get("type")
    if kind is None:
        return [checked(reply) for reply in _channels_1(message)]
    if kind == "presence":
        # Members that joined a group or left it: a text message of a WebSocket.
        text = message.get("text")
        if not isinstance(text, str):
            raise ValueError("text has the wrong type")
        return [{"type": "websocket.send", "text": f'{{"presence":{text}}}'}]
    if kind not in _TYPES:
        raise ValueError(f"a connection takes no message of type {kind!r}")
    return [checked(message)]


def checked(reply: Message) -> Message:
    """Returns a reply without what is null, or raises `ValueError` where a field has a wrong type."""
    reply = {name: value for name, value in reply.items() if value is not None}
    for name in _TYPES.get(str(reply.get("type")), {}):
        if name not in reply:
            raise ValueError(f"{reply.get('type')} lacks {name}")
    for name, kind in _FIELDS.items():
        value = reply.get(name)
        if value is not None and not isinstance(value, kind):
            raise ValueError(f"{name} has the wrong type")
    if reply.get("type") == "websocket.send" and ("text" in reply) == ("bytes" in reply):
        raise ValueError("a frame has either text or bytes")
    if "headers" in reply:
        reply["headers"] = [
            (_bytes(name).lower(), _bytes(value)) for name, value in reply["headers"]
        ]
    return reply


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("latin-1")
    if not isinstance(value, bytes):
        raise ValueError("a header field has the wrong type")
    return value


def _channels_1(fields: Message) -> list[Message]:
    more = bool(fields.get("more_content", False))
    if "status" in fields:
        head = {"status": fields["status"], "headers": fields.get("headers", [])}
        body = fields.get("content", b"")
        if not more:
            return [{"type": "http.response", "body": body, **head}]
        part = {"type": "http.response.body", "body": body, "more_body": True}
        return [{"type": "http.response.start", **head}, part]
    if "content" in fields:
        return [{"type": "http.response.body", "body": fields["content"], "more_body": more}]
    if fields.get("accept") is False:
        return [{"type": "websocket.deny"}]
    replies: list[Message] = []
    frame: Message = {name: fields[name] for name in ("text", "bytes") if name in fields}
    if "accept" in fields or frame:
        replies.append({"type": "websocket.accept"})
    if frame:
        replies.append({"type": "websocket.send", **frame})
    close = fields.get("close", False)
    if close is not False:
        code = 1000 if close is True else close
        replies.append({"type": "websocket.close", "code": code})
    if not replies:
        raise ValueError("the message has neither a type nor a key of the forms of Channels 1")
    return replies
