"""WebSockets: each frame is an event, one after the other."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any

from .. import tasks
from ..content import Message
from .connection import Connection, Mail, Receive, Scope, Send

# Frames of a client that wait while an event is in flight; then no more are read.
FRAMES = 32
# How long a client may take to answer a close frame.
CLOSE_SECONDS = 5.0
# Close codes for what a consumer did not answer.
CODES = {
    "fault": 1011,
    "answer_lost": 1011,
    "state_unreadable": 1012,
    "gone": 1012,
    "refused": 1013,
}
# And statuses, before the handshake is answered.
STATUSES = {"fault": 500, "answer_lost": 500, "state_unreadable": 500, "gone": 503, "refused": 503}


class Socket:
    """One WebSocket, from handshake to end."""

    def __init__(
        self, connection: Connection, scope: Scope, receive: Receive, send: Send, frame_bytes: int
    ) -> None:
        self._connection, self._scope = connection, scope
        self._receive, self._send = receive, send
        self._frame_bytes = frame_bytes
        self._frames: deque[Message] = deque()
        self._room = asyncio.Semaphore(FRAMES)
        self._is_accepted = False
        self._is_closed = False
        # Messages that came before the handshake was answered.
        self._early: list[Message] = []

    async def serve(self) -> None:
        """Serves the socket to its end."""
        connection = self._connection
        if (await self._receive())["type"] != "websocket.connect":
            return
        if not await connection.fire("websocket.connect"):
            await self._deny(503)
            return
        reading = asyncio.create_task(self._read())
        try:
            end = await self._run()
            if self._is_accepted:
                code, reason = end.get("code") or 1005, end.get("reason") or ""
                connection.is_busy = False
                await connection.fire_when_there_is_room(
                    "websocket.disconnect", code=code, reason=reason
                )
        finally:
            await tasks.end([reading])

    async def _read(self) -> None:
        while True:
            await self._room.acquire()
            message = dict(await self._receive())
            self._frames.append(message)
            self._connection.wake.set()
            if message["type"] == "websocket.disconnect":
                return

    async def _run(self) -> Message:
        """Serves events until the socket is over. Returns how it ended."""
        connection, close_by = self._connection, None
        while True:
            mail = connection.next_mail()
            if mail is not None:
                await self._take(mail)
            elif self._is_closed and not self._is_accepted:
                return {}
            elif self._frames and (
                self._is_closed or (self._is_accepted and not connection.is_busy)
            ):
                self._room.release()
                frame = self._frames.popleft()
                if frame["type"] == "websocket.disconnect":
                    return frame
                if not self._is_closed:
                    await self._pass_on(frame)
            elif self._is_closed:
                close_by = close_by or time.monotonic() + CLOSE_SECONDS
                connection.is_busy = False
                if not await connection.wait(close_by):
                    return {"code": 1006}
            elif (
                self._frames
                and self._frames[-1]["type"] == "websocket.disconnect"
                and not self._is_accepted
            ):
                return {}
            elif connection.overflowed:
                await self._close(1013, "too much waits for this client")
            elif connection.missed and not connection.is_busy:
                await self._close(1012, "messages to a group may be missing")
            elif not await connection.wait():
                connection.is_busy = False
                await self._fail(500, 1011, "an event was lost")

    async def _pass_on(self, frame: Message) -> None:
        data: dict[str, Any] = {k: frame[k] for k in ("text", "bytes") if frame.get(k) is not None}
        if sum(len(value) for value in data.values()) > self._frame_bytes:
            await self._close(1009, "the message is too large")
        elif not await self._connection.fire_when_there_is_room("websocket.receive", **data):
            await self._close(1013, "the message cannot be served now")

    async def _take(self, mail: Mail) -> None:
        for reply in mail.replies:
            await self._write(reply, mail.through_group)
        if mail.done is None:
            return
        outcome = str(mail.done.get("outcome"))
        if outcome != "ok":
            await self._fail(STATUSES.get(outcome, 500), CODES.get(outcome, 1011), "")
        elif not self._is_accepted:
            await self._deny(403)

    async def _write(self, reply: Message, through_group: bool) -> None:
        kind = reply.get("type")
        if self._is_closed:
            return
        if kind == "websocket.accept":
            if not (self._is_accepted or through_group):
                await self._accept(reply)
        elif kind == "websocket.deny":
            if not self._is_accepted:
                await self._deny(403)
        elif not self._is_accepted:
            if kind == "websocket.close" and not through_group:
                await self._deny(403)
            else:
                self._early.append(reply)
        elif kind == "websocket.send":
            await self._send(
                {"type": kind} | {k: reply[k] for k in ("text", "bytes") if k in reply}
            )
        elif kind == "websocket.close":
            await self._close(int(reply.get("code") or 1000), str(reply.get("reason") or ""))

    async def _accept(self, reply: Message) -> None:
        self._is_accepted = True
        head = {"subprotocol": reply.get("subprotocol"), "headers": reply.get("headers") or []}
        await self._send({"type": "websocket.accept", **head})
        early, self._early = self._early, []
        for waiting in early:
            await self._write(waiting, True)

    async def _fail(self, status: int, code: int, reason: str) -> None:
        if self._is_accepted:
            await self._close(code, reason)
        else:
            await self._deny(status)

    async def _close(self, code: int, reason: str) -> None:
        if not self._is_closed:
            self._is_closed = True
            await self._send({"type": "websocket.close", "code": code, "reason": reason})

    async def _deny(self, status: int) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        if status != 403 and "websocket.http.response" in (self._scope.get("extensions") or {}):
            await self._send(
                {"type": "websocket.http.response.start", "status": status, "headers": []}
            )
            await self._send({"type": "websocket.http.response.body", "body": b""})
        else:
            await self._send({"type": "websocket.close", "code": 1000})
