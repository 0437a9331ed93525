"""Requests: each is an event, and what comes back is its response."""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus

from .. import tasks
from ..content import Message
from .connection import Connection, Mail, Receive, Send, Unreadable

STATUSES = {"gone": 503, "refused": 503}


class CutOff(Exception):
    """A response that has begun cannot be finished. The server ends the connection."""


async def read_body(receive: Receive, most: int) -> bytes | None:
    """Reads a body. None where the client has left."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(bytes(message.get("body") or b""))
        size += len(parts[-1])
        if size > most:
            raise Unreadable(413)
        if not message.get("more_body"):
            return b"".join(parts)


async def refuse(send: Send, status: int) -> None:
    """Answers with a status and a short text."""
    text = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Error"
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await whole(send, {"status": status, "headers": headers, "body": f"{text}.\n".encode()})


async def whole(send: Send, reply: Message) -> None:
    """Sends a whole response."""
    body, headers = reply.get("body") or b"", list(reply.get("headers") or [])
    if not any(name == b"content-length" for name, _ in headers) and reply["status"] not in (
        204,
        304,
    ):
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": reply["status"], "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Exchange:
    """One request and its response."""

    def __init__(self, connection: Connection, receive: Receive, send: Send) -> None:
        self._connection, self._receive, self._send = connection, receive, send
        self._is_started = False
        self._has_left = False
        self._hold: Message | None = None
        self._held_until = 0.0

    async def serve(self, body: bytes) -> None:
        """Has a worker answer, and tells it if the client leaves before."""
        connection = self._connection
        if not await connection.fire("http.request", body=body):
            await refuse(self._send, 503)
            return
        watching = asyncio.create_task(self._watch())
        try:
            if not await self._answer():
                await connection.fire_when_there_is_room("http.disconnect")
        finally:
            await tasks.end([watching])

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._has_left = True
        self._connection.wake.set()

    async def _answer(self) -> bool:
        """Passes replies on to the end of the response. False if the client has left."""
        connection = self._connection
        while connection.is_busy or not self._has_left:
            mail = connection.next_mail()
            if mail is not None:
                if await self._take(mail):
                    return True
            elif connection.missed or connection.overflowed:
                await self._break_off(503)
                return True
            elif not await connection.wait(self._held_until if self._hold else None):
                await self._is_over()
                return True
        return False

    async def _take(self, mail: Mail) -> bool:
        for reply in [] if self._has_left else mail.replies:
            if reply.get("type") == "http.hold":
                self._hold = reply
                self._held_until = time.monotonic() + int(reply["timeout_ms"]) / 1000
            elif await self._write(reply):
                return True
        if mail.done is None:
            return False
        outcome = mail.done.get("outcome")
        if outcome != "ok" or not (self._hold or self._is_started):
            await self._break_off(STATUSES.get(str(outcome), 500))
            return True
        return False

    async def _write(self, reply: Message) -> bool:
        """Writes one reply. True if the response is complete."""
        match reply.get("type"):
            case "http.response" if not self._is_started:
                await whole(self._send, self._as_held(reply))
                return True
            case "http.response.start" if not self._is_started:
                self._is_started = True
                reply = self._as_held(reply)
                head = {"status": reply["status"], "headers": reply.get("headers") or []}
                await self._send({"type": "http.response.start", **head})
            case "http.response.body" if self._is_started:
                more = bool(reply.get("more_body"))
                body = reply.get("body") or b""
                await self._send({"type": "http.response.body", "body": body, "more_body": more})
                return not more
        return False

    def _as_held(self, reply: Message) -> Message:
        """Equal requests must not share the answer to one that was held."""
        headers = list(reply.get("headers") or [])
        if self._hold and not any(name == b"cache-control" for name, _ in headers):
            headers.append((b"cache-control", b"no-store"))
        return reply | {"headers": headers}

    async def _is_over(self) -> None:
        """The hold is over, or the event was lost."""
        fallback = self._hold and self._hold.get("fallback")
        if fallback and not self._is_started and not self._connection.is_busy:
            await whole(self._send, self._as_held({"status": 504, **fallback}))
        elif self._hold and self._is_started and not self._connection.is_busy:
            await self._send({"type": "http.response.body", "body": b""})
        else:
            await self._break_off(504 if self._hold else 500)

    async def _break_off(self, status: int) -> None:
        if self._is_started:
            raise CutOff
        await refuse(self._send, status)
