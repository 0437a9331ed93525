"""Messages to reply channels as replies: those of ASGI 3 and the forms of Channels 1."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tidegate_sdk.errors import ReplyError
from tidegate_sdk.frame import Close
from tidegate_sdk.testing import rules
from tidegate_sdk.wire import Frame, Headers


@dataclass(frozen=True)
class Accept:
    subprotocol: str | None = None
    headers: Headers = field(default_factory=list)


@dataclass(frozen=True)
class Deny:
    pass


@dataclass(frozen=True)
class Send:
    frame: Frame


@dataclass(frozen=True)
class Respond:
    status: int
    headers: Headers
    body: bytes


@dataclass(frozen=True)
class Start:
    status: int
    headers: Headers


@dataclass(frozen=True)
class Part:
    body: bytes


@dataclass(frozen=True)
class End:
    pass


@dataclass(frozen=True)
class Hold:
    timeout: int
    fallback: Respond | None


Reply = Accept | Deny | Send | Close | Respond | Start | Part | End | Hold


def replies(content: bytes) -> list[Reply]:
    """The replies that the content of a message stands for. What is none is a `ValueError`."""
    fields = _Fields(rules.read_content(content))
    kind = fields.text("type")
    try:
        return _channels_1(fields) if kind is None else _typed(kind, fields)
    except ReplyError as error:
        raise ValueError(str(error)) from None


def is_for_those_present(content: bytes) -> bool:
    """Whether a message is only for connections that are there now: histories do not keep it."""
    try:
        return all(isinstance(it, Accept | Deny | Close | End) for it in replies(content))
    except ValueError:
        return False


def _typed(kind: str, fields: _Fields) -> list[Reply]:
    match kind:
        case "websocket.accept":
            return [Accept(fields.text("subprotocol"), fields.headers())]
        case "websocket.send":
            frame = fields.frame()
            if frame is None:
                raise ValueError("neither text nor bytes")
            return [Send(frame)]
        case "websocket.close":
            code = fields.number("code")
            return [_close(1000 if code is None else code, fields.text("reason") or "")]
        case "http.response":
            head = fields.head()
            if head is None:
                raise ValueError("no status")
            return [Respond(head.status, head.headers, fields.bytes("body") or b"")]
        case "http.response.start":
            head = fields.head()
            if head is None:
                raise ValueError("no status")
            return [head]
        case "http.response.body":
            return _stream(fields.bytes("body") or b"", fields.flag("more_body") or False)
        case _:
            raise ValueError(f'a connection takes no message of type "{kind}"')


def _stream(chunk: bytes, more: bool) -> list[Reply]:
    parts: list[Reply] = [Part(chunk)] if chunk else []
    return parts if more else [*parts, End()]


def _channels_1(fields: _Fields) -> list[Reply]:
    more = fields.flag("more_content") or False
    head = fields.head()
    if head is not None:
        body = fields.bytes("content") or b""
        return [head, *_stream(body, True)] if more else [Respond(head.status, head.headers, body)]
    chunk = fields.bytes("content")
    if chunk is not None:
        return _stream(chunk, more)
    accept = fields.flag("accept")
    if accept is False:
        return [Deny()]
    frame = fields.frame()
    found: list[Reply] = [Accept()] if accept is not None or frame is not None else []
    found += [Send(frame)] if frame is not None else []
    close = fields.take("close")
    if close is True:
        found.append(_close(1000, ""))
    elif close is not None and close is not False:
        if not isinstance(close, int):
            raise ValueError(_wrong("close"))
        found.append(_close(close, ""))
    if not found:
        raise ValueError("the message has neither `type` nor a key of the Channels 1 forms")
    return found


def _close(code: int, reason: str) -> Close:
    rules.close(code, reason)
    return Close(code, reason)


def _wrong(key: str) -> str:
    return f"`{key}` has the wrong type or is out of range"


class _Fields:
    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = fields

    def take(self, key: str) -> Any:
        return self._fields.pop(key, None)

    def _typed(self, key: str, kind: type) -> Any:
        value = self.take(key)
        if value is not None and type(value) is not kind:
            raise ValueError(_wrong(key))
        return value

    def text(self, key: str) -> str | None:
        found: str | None = self._typed(key, str)
        return found

    def bytes(self, key: str) -> bytes | None:
        found: bytes | None = self._typed(key, bytes)
        return found

    def flag(self, key: str) -> bool | None:
        found: bool | None = self._typed(key, bool)
        return found

    def number(self, key: str) -> int | None:
        found: int | None = self._typed(key, int)
        if found is not None and not 0 <= found < 2**16:
            raise ValueError(_wrong(key))
        return found

    def frame(self) -> Frame | None:
        text, data = self.text("text"), self.bytes("bytes")
        if text is not None and data is not None:
            raise ValueError("both text and bytes")
        return data if text is None else text

    def head(self) -> Start | None:
        status = self.number("status")
        if status is None:
            return None
        head = Start(status, self.headers())
        rules.status(head.status)
        rules.headers(head.headers)
        return head

    def headers(self) -> Headers:
        pairs = self._typed("headers", list) or []
        found = []
        for pair in pairs:
            if not isinstance(pair, list) or [type(it) for it in pair] != [bytes, bytes]:
                raise ValueError(_wrong("headers"))
            try:
                found.append((pair[0].decode(), pair[1]))
            except UnicodeDecodeError:
                raise ValueError(_wrong("headers")) from None
        return found
