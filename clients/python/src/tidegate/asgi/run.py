"""One request that an ASGI application serves for a host elsewhere."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from typing import Any

from ..client import Client
from ..content import Message
from ..errors import ChannelFull, TidegateError
from ..names import check_channel

logger = logging.getLogger("tidegate")

# The largest body that one answer carries; more of it is a stream.
PART_BYTES = 1024 * 1024
# How long an answer is tried that finds no room in the inbox of the connection's process.
FULL_SECONDS = 2.0
FULL_RETRY_SECONDS = 0.01
# What the host takes of a response.
HEADERS, HEADER_BYTES = 100, 64 * 1024
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+\Z")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*\Z")
# Of the connection, which the host holds.
_OF_THE_CONNECTION = frozenset(
    (b"connection", b"transfer-encoding", b"upgrade", b"keep-alive", b"proxy-connection", b"te",
     b"trailer", b"content-length")
)  # fmt: skip


class InvalidResponse(RuntimeError):
    """The application sent what ASGI does not have, or what no client would understand."""


class Gone(OSError):
    """The process that holds the connection takes no answer any more."""


class Run:
    """The run of an application for one request."""

    def __init__(self, client: Client, event: Message, state: dict[str, Any]) -> None:
        self._client = client
        self._channel = str(event["reply_channel"])
        if not check_channel(self._channel)[1]:
            raise ValueError(f"{self._channel!r} is not the reply channel of a connection")
        self._order = int(event.get("order") or 0)
        self._wants_done = bool(event.get("done"))
        self._version = int(event.get("version") or 0)
        self._correlation = str(event["correlation"])
        self._scope = scope_of(event) | {"state": dict(state)}
        self._body: bytes | None = _bytes(event.get("body"))
        self._head: Message | None = None
        # Whether a part of the response was sent, and whether all of it was.
        self._is_begun = False
        self._over = asyncio.Event()
        self._declared: int | None = None
        self._sent_bytes = 0

    def __str__(self) -> str:
        return f"{self._scope['method']} {self._scope['path']} ({self._correlation})"

    async def serve(self, application: Any, deadline: float) -> None:
        """Runs the application, and says how it ended."""
        limit = asyncio.timeout(deadline)
        try:
            async with limit:
                await application(self._scope, self._receive, self._send)
            if not self._over.is_set():
                logger.error("%s: the application returned before its response was complete", self)
        except Gone as gone:
            logger.info("%s: %s", self, gone)
        except TidegateError as error:
            logger.warning("%s: the answer was not sent: %s", self, error)
        except Exception as error:
            if isinstance(error, TimeoutError) and limit.expired():
                logger.error("%s: it took longer than %g s, and was ended", self, deadline)
            else:
                logger.exception("%s: the application failed", self)
        finally:
            if not self._over.is_set():
                self._over.set()
                await self._fail()

    async def _fail(self) -> None:
        outcome = {"outcome": "fault", "record": self._correlation}
        replies = []
        if not self._wants_done and not self._is_begun:
            text = b"500 Internal Server Error\n"
            head = [[b"content-type", b"text/plain; charset=utf-8"]]
            replies = [{"type": "http.response", "status": 500, "headers": head, "body": text}]
        try:
            await self._client.answer(self._channel, self._order, replies, self._done(outcome))
        except TidegateError as error:
            logger.warning("%s: its end was not told: %s", self, error)

    def _done(self, outcome: Message) -> Message | None:
        return outcome | {"version": self._version} if self._wants_done else None

    # What the application calls.

    async def _receive(self) -> Message:
        body, self._body = self._body, None
        if body is not None:
            return {"type": "http.request", "body": body, "more_body": False}
        # The host does not say that a client has left.
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        kind = message["type"]
        if self._over.is_set():
            raise InvalidResponse(f"{kind!r} was sent after the response was complete")
        if kind == "http.response.start" and self._head is None:
            self._head = checked_head(message)
            self._declared = declared_bytes(message)
        elif kind == "http.response.body" and self._head is not None:
            await self._part(bytes(message.get("body") or b""), bool(message.get("more_body")))
        else:
            raise InvalidResponse(f"{kind!r} was not to be sent here")

    async def _part(self, body: bytes, more: bool) -> None:
        assert self._head is not None
        self._sent_bytes += len(body)
        if not more:
            self._check_length()
        if not self._is_begun and not more and len(body) <= PART_BYTES:
            await self._answer([{"type": "http.response", **self._head, "body": body}], True)
            return
        replies: list[Message] = []
        if not self._is_begun:
            replies.append({"type": "http.response.start", **self._head})
            self._is_begun = True
        parts = [body[at : at + PART_BYTES] for at in range(0, len(body), PART_BYTES)] or [b""]
        for number, part in enumerate(parts, 1):
            is_last = number == len(parts) and not more
            replies.append({"type": "http.response.body", "body": part, "more_body": not is_last})
            await self._answer(replies, is_last)
            replies = []

    def _check_length(self) -> None:
        assert self._head is not None
        has_body = self._scope["method"] != "HEAD" and self._head["status"] not in (204, 304)
        if self._declared is not None and has_body and self._declared != self._sent_bytes:
            raise InvalidResponse(
                f"the response has {self._sent_bytes} bytes, and its content-length says {self._declared}"
            )

    async def _answer(self, replies: list[Message], is_last: bool) -> None:
        done = self._done({"outcome": "ok"}) if is_last else None
        until = time.monotonic() + FULL_SECONDS
        while True:
            try:
                if not await self._client.answer(self._channel, self._order, replies, done):
                    self._over.set()
                    raise Gone("the process that held the connection is gone")
                break
            except ChannelFull:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(FULL_RETRY_SECONDS)
        if is_last:
            self._over.set()


def scope_of(event: Message) -> Message:
    """Returns the scope that ASGI has for a request."""
    headers = [(_bytes(name), _bytes(value)) for name, value in event["headers"]]
    root_path = str(event.get("root_path") or "")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": str(event["http_version"]),
        "method": str(event["method"]),
        "scheme": str(event["scheme"]),
        "path": str(event["path"]),
        "raw_path": _bytes(event["raw_path"]),
        "query_string": _bytes(event.get("query_string")),
        "root_path": root_path,
        "headers": headers,
        "client": _address(event["client"]),
        "server": _address(event["server"]),
        "extensions": {},
    }


def checked_head(message: Any) -> Message:
    """Returns status and header fields as the host takes them. Those of the connection are left out."""
    status = int(message["status"])
    if not 200 <= status <= 599:
        raise InvalidResponse(f"the status is {status}; it is 200 to 599")
    if message.get("trailers"):
        raise InvalidResponse("there are no trailers here")
    headers = []
    for name, value in message.get("headers") or []:
        name, value = bytes(name).lower(), bytes(value).strip(b" \t")
        if not _NAME.match(name) or not _VALUE.match(value):
            raise InvalidResponse(f"the header field {name!r} has characters that are not allowed")
        if name.startswith(b"sec-websocket-") or name in _OF_THE_CONNECTION:
            continue
        headers.append([name, value])
    size = sum(len(name) + len(value) for name, value in headers)
    if len(headers) > HEADERS or size > HEADER_BYTES:
        raise InvalidResponse(
            f"there are {len(headers)} header fields of {size} bytes; {HEADERS} of {HEADER_BYTES} bytes"
            " are taken"
        )
    return {"status": status, "headers": headers}


def declared_bytes(message: Any) -> int | None:
    """Returns what a response says of its length."""
    for name, value in message.get("headers") or []:
        if bytes(name).lower() == b"content-length":
            try:
                return int(bytes(value))
            except ValueError:
                raise InvalidResponse(f"the content-length is {value!r}") from None
    return None


def _bytes(value: Any) -> bytes:
    if value is None:
        return b""
    return value.encode() if isinstance(value, str) else bytes(value)


def _address(address: Any) -> tuple[str, int]:
    host, port = address
    return str(host), int(port)
