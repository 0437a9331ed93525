"""A connection of the test host, and the effect of replies on it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from tidegate_sdk.entries import Entry
from tidegate_sdk.frame import Close
from tidegate_sdk.scope import Scope
from tidegate_sdk.testing.forms import Accept, Deny, End, Hold, Part, Reply, Respond, Send, Start
from tidegate_sdk.testing.sessions import Lookup
from tidegate_sdk.wire import Frame, User

TIMED_OUT = Respond(504, [("content-type", b"text/plain; charset=utf-8")], b"timed out\n")


@dataclass(eq=False)
class Http:
    """A request and its response, as far as it has come."""

    entry: Entry | None
    scope: Scope
    head: Start | None = None
    body: bytes = b""
    is_complete: bool = False
    hold: tuple[int, Respond | None] | None = None
    """Until when, and what comes then."""
    has_left: bool = False
    user: User | None = None
    session: Lookup | None = None
    """None: nobody looked for one."""
    position: str | None = None
    """Where it stands in the history of a group."""
    has_gap: bool = False
    """Whether messages before that place are missing."""
    early: bytes = b""
    """Parts of a stream of events that came before its head."""

    @property
    def is_alive(self) -> bool:
        return not self.is_complete and not self.has_left

    def answer(self, response: Respond) -> None:
        headers = list(response.headers)
        if self.position is not None:
            headers.append(("tidegate-position", self.position.encode()))
            headers += [("tidegate-complete", b"false")] if self.has_gap else []
        self.head = Start(response.status, headers)
        self.body = response.body
        self.is_complete = True

    def apply(self, reply: Reply, from_group: bool, now: int) -> None:
        if not self.is_alive:
            raise ValueError("the request is answered or gone")
        match reply:
            case Respond() if self.head is None:
                self.answer(reply)
            case Start() if self.head is None:
                self.head = reply
                if self._is_event_stream:
                    self.body, self.early = self.early, b""
            case Part() if self.head is not None:
                self.body += reply.body
            case End() if self.head is not None:
                self.is_complete = True
            case Hold():
                self.hold = (now + reply.timeout, reply.fallback)
            case Close() if self.hold is not None:
                self.expire()
            case _:
                raise ValueError("an HTTP request takes no such message now")

    def after_consumer(self) -> None:
        """Ends a stream that is not held, when the consumer has returned."""
        if self.head is not None and self.hold is None:
            self.is_complete = True
        if self.head is None and self.hold is not None and self.has_gap:
            # It must not wait for the next message.
            self.answer(Respond(204, [], b""))

    @property
    def _is_event_stream(self) -> bool:
        fields = self.head.headers if self.head else []
        return any(name == "content-type" and value.startswith(b"text/event-stream") for name, value in fields)

    def stand(self, group: str, position: str, is_complete: bool) -> None:
        """Notes from where on it gets all messages of a group."""
        self.position = position
        self.has_gap = self.has_gap or not is_complete
        event = f"id: {position}\n\n"
        self._add(event if is_complete else f"event: tidegate-gap\nid: {position}\ndata: {group}\n\n")

    def take_numbered(self, reply: Reply, position: str) -> bool:
        """Notes the position of a message. Returns whether nothing is left to do of it."""
        if isinstance(reply, Part) and (self.head is None or self._is_event_stream):
            self._add(f"id: {position}\n".encode() + reply.body)
            return True
        if not self.is_complete:
            self.position = position
        return False

    def _add(self, event: str | bytes) -> None:
        data = event.encode() if isinstance(event, str) else event
        if self.head is None:
            self.early += data
        elif self._is_event_stream and self.is_alive:
            self.body += data

    def expire(self) -> None:
        """A hold is over."""
        fallback = self.hold[1] if self.hold else None
        self.hold = None
        if self.head is not None:
            self.is_complete = True
        else:
            self.answer(fallback or TIMED_OUT)


@dataclass(eq=False)
class Websocket:
    """A WebSocket from its handshake on."""

    entry: Entry | None
    scope: Scope
    phase: Literal["handshake", "denied", "open", "closed"] = "handshake"
    denied: int = 403
    accepted: Accept | None = None
    closed: Close | None = None
    state: bytes | None = None
    order: int = 0
    frames: deque[Frame] = field(default_factory=deque)
    waiting: list[Reply] = field(default_factory=list)
    """Messages of the layer that came before the handshake was answered."""
    user: User | None = None
    session: Lookup | None = None
    """None: nobody looked for one."""

    @property
    def is_alive(self) -> bool:
        return self.phase in ("handshake", "open")

    def deny(self, status: int) -> None:
        self.phase, self.denied = "denied", status

    def apply(self, reply: Reply, from_group: bool, now: int) -> None:
        match self.phase, reply:
            case "handshake", Accept() if not from_group:
                self.phase, self.accepted = "open", reply
                waiting, self.waiting = self.waiting, []
                for one in waiting:
                    self.apply(one, False, now)
            case _, Accept():
                pass
            case "handshake", Deny() | Close() if not from_group:
                self.deny(403)
            case "handshake", Send() | Close():
                self.waiting.append(reply)
            case "open", Send(frame):
                self.frames.append(frame)
            case "open", Close():
                self.phase, self.closed = "closed", reply
            case "closed" | "denied", _:
                raise ValueError("the connection is closed")
            case _:
                raise ValueError("a WebSocket takes no such message now")


Connection = Http | Websocket
