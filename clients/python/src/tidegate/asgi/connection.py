"""A connection's talk with its consumer: one event in flight, and the state between events."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from ..client import Client
from ..content import Message, decode
from ..errors import TidegateError
from ..names import new_id
from ..node import Node
from .replies import checked, replies_from

logger = logging.getLogger("tidegate")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# How long an event may wait for a worker.
EVENT_SECONDS = 10.0
# How often a full channel is tried again.
FULL_RETRY_SECONDS = 0.01
# Bytes and messages that wait for a client that reads slowly.
WAITING_BYTES = 16 * 1024 * 1024
WAITING_MESSAGES = 1_000
CAPACITIES = {"websocket.receive": 1_000}
CAPACITY = 100


class Unreadable(Exception):
    """A request that no worker may get; the status says why."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass
class Mail:
    """An arrival for a connection: replies, and the mark that ends an event."""

    replies: list[Message]
    through_group: bool = False
    done: Message | None = None


class Connection:
    """One connection, registered at the node while it lives."""

    def __init__(self, client: Client, node: Node, scope: Scope, deadline: float) -> None:
        self.mail: deque[Mail] = deque()
        self.wake = asyncio.Event()
        # More waits for the client than may; messages to its groups may be missing.
        self.overflowed = False
        self.missed = False
        self.is_busy = False
        self.lost_at = 0.0
        self._client, self._node = client, node
        self._local, self._correlation = new_id(), new_id()
        # An event waits, runs, has its sends tried for 2 s, and then its mark is on the way.
        self._lost_after = EVENT_SECONDS + deadline + 3
        self._event = event_of(scope) | {
            "reply_channel": f"{node.name}!{self._local}",
            "done": True,
        }
        self._order = -1
        self._version = 0
        self._state: bytes | None = None
        self._waiting_bytes = 0
        node.sinks[self._local] = self

    @property
    def local(self) -> str:
        """Returns the name of the connection at its node."""
        return self._local

    async def fire(self, kind: str, **fields: Any) -> bool:
        """Puts the next event in flight. False where its channel is full."""
        event = self._event | {"type": kind, "order": self._order + 1, "version": self._version}
        event |= fields | ({} if self._state is None else {"state": self._state})
        # Before it is sent: the answer may be there first.
        self._order += 1
        self.is_busy, self.lost_at = True, time.monotonic() + self._lost_after
        capacity = CAPACITIES.get(kind, CAPACITY)
        try:
            sent = await self._client.send_event(event, self._correlation, capacity, EVENT_SECONDS)
        except TidegateError as error:
            logger.warning("an event is not sent: %s", error)
            sent = False
        if not sent:
            self._order -= 1
            self.is_busy = False
        return sent

    async def fire_when_there_is_room(self, kind: str, **fields: Any) -> bool:
        """Puts the next event in flight as soon as its channel has room, or gives up with the event."""
        until = time.monotonic() + EVENT_SECONDS
        while not await self.fire(kind, **fields):
            if time.monotonic() > until:
                return False
            await asyncio.sleep(FULL_RETRY_SECONDS)
        return True

    # What the node calls.

    def answer(self, order: int, replies: list[Any], done: Message | None) -> None:
        """Takes what a worker says about an event. What is about another one is dropped."""
        if order == self._order and self.is_busy:
            self._put(Mail([checked(reply) for reply in replies], done=done), replies)

    def message(self, content: bytes, through_group: bool) -> None:
        """Takes a message to the reply channel, or to a group."""
        try:
            replies = replies_from(decode(content))
        except ValueError as error:
            logger.info("a message to a connection is dropped: %s", error)
            return
        self._put(Mail(replies, through_group), [content])

    def _put(self, mail: Mail, parts: list[Any]) -> None:
        size = sum(
            len(part.get("body") or part.get("text") or part.get("bytes") or b"")
            if isinstance(part, dict)
            else len(part)
            for part in parts
        )
        if mail.done is None:
            self._waiting_bytes += size
            if self._waiting_bytes > WAITING_BYTES or len(self.mail) >= WAITING_MESSAGES:
                self.overflowed = True
        if not self.overflowed or mail.done is not None:
            self.mail.append(mail)
        self.wake.set()

    def gap(self) -> None:
        """Hears that messages to its groups may be missing."""
        self.missed = True
        self.wake.set()

    def next_mail(self) -> Mail | None:
        """Takes the first arrival. A mark ends the event that is in flight."""
        if not self.mail:
            self._waiting_bytes = 0
            return None
        mail = self.mail.popleft()
        if mail.done is not None:
            self.is_busy = False
            self._state = mail.done.get("state") or self._state
            self._version = max(self._version, int(mail.done.get("version") or 0))
        return mail

    async def wait(self, until: float | None = None) -> bool:
        """Waits until something happens. False where nothing did until then, or the event was lost."""
        limits = [
            limit for limit in (until, self.lost_at if self.is_busy else None) if limit is not None
        ]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(limits) - time.monotonic() if limits else None):
                await self.wake.wait()
                self.wake.clear()
                return True
        return False

    def end(self) -> None:
        """Takes the connection off its node and its groups."""
        self._node.sinks.pop(self._local, None)
        self._node.leave_all(self._local)


def event_of(scope: Scope) -> Message:
    """Returns the facts of a connection, as events have them."""
    raw_path = bytes(scope.get("raw_path") or quote(scope["path"]).encode()).partition(b"?")[0]
    try:
        path = unquote(raw_path.decode("ascii"), errors="strict")
    except UnicodeDecodeError:
        raise Unreadable(400) from None
    return {
        "scheme": scope.get("scheme") or ("http" if scope["type"] == "http" else "ws"),
        "method": scope.get("method", "GET"),
        "http_version": scope.get("http_version", "1.1"),
        "path": path,
        "raw_path": raw_path,
        "query_string": bytes(scope.get("query_string") or b""),
        "root_path": scope.get("root_path") or "",
        "headers": [[bytes(name), bytes(value)] for name, value in scope.get("headers") or []],
        "client": _address(scope.get("client")),
        "server": _address(scope.get("server")),
        "subprotocols": list(scope.get("subprotocols") or []),
    }


def _address(address: Any) -> list[Any]:
    """Returns IP address and port. A connection on a Unix socket has none."""
    try:
        host, port = address
        return [str(ipaddress.ip_address(host)), int(port)]
    except (TypeError, ValueError):
        return ["127.0.0.1", 0]
