"""A WebSocket connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, overload

from tidegate_sdk.checks import checked_headers, need_bytes, need_int, need_text
from tidegate_sdk.codec import jsons
from tidegate_sdk.context import Context
from tidegate_sdk.frame import Message
from tidegate_sdk.state import StateType
from tidegate_sdk.wire import Host, Invocation

S = TypeVar("S")

_NOTHING: Any = object()


@dataclass
class Handshake:
    """The answer to a WebSocket handshake, which `connect` may return. Without one the client is let in.

    >>> Handshake(subprotocol="chat.v2").is_accepted
    True
    """

    subprotocol: str | None = None
    """One of the subprotocols that the client offered."""
    headers: list[tuple[str, str | bytes]] = field(default_factory=list)
    """Header fields for the handshake's response."""
    is_accepted: bool = True
    """Whether the client is let in. Else it is turned away with status 403."""

    @classmethod
    def deny(cls) -> Handshake:
        """The client is turned away with status 403."""
        return cls(is_accepted=False)


class Socket(Context, Generic[S]):
    """A WebSocket connection, and all that a `Context` can do.

    The host keeps `state` with the connection. It is of the type that the consumer's class has as `State`.
    It is read before a method runs, and kept when the method has returned without a fault.
    """

    state: S
    """The state that the host keeps with the connection. Change it, or assign another."""

    def __init__(
        self, host: Host, invocation: Invocation, state_type: StateType | None, *, is_connecting: bool, **facts: Any
    ) -> None:
        super().__init__(host, invocation, **facts)
        # Messages that wait for the handshake to be accepted.
        self._pending: list[Callable[[], None]] | None = [] if is_connecting else None
        self._state_type = state_type
        self._kept = b""
        if state_type is not None:
            kept = None if is_connecting else host.get_state()
            self.state = state_type.load(kept)
            # State that was migrated differs from what is kept, so it is kept in its new shape.
            self._kept = state_type.dump(self.state) if kept is None else kept

    @overload
    def send(self, channel: str | bytes, /) -> None: ...
    @overload
    def send(self, channel: str, message: Message) -> None: ...
    def send(self, channel: str | bytes, message: Message = _NOTHING) -> None:
        """With one argument, sends text or bytes to the client. Nobody gets it once the connection is over.

        With two arguments, sends a message to a channel, as `Context.send` does.
        """
        if message is not _NOTHING:
            super().send(need_text("the name of a channel", channel), message)
            return
        if not isinstance(channel, (str, bytes, bytearray, memoryview)):
            kind = type(channel).__name__
            raise TypeError(f"a message to the client has to be str or bytes, not {kind}: send_json writes JSON")
        frame = need_text("a message", channel) if isinstance(channel, str) else need_bytes("a message", channel)
        self._put(lambda: self._host.send_frame(frame))

    def send_json(self, value: Any) -> None:
        """Sends a text message that holds `value` as JSON to the client."""
        self.send(jsons.dumps(value))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Closes the connection. `code` is 1000 or from 3000 to 4999; `reason` is at most 123 bytes."""
        need_int("a close code", code, 0, 65535)
        need_text("a close reason", reason)
        self._put(lambda: self._host.close(code, reason))

    def refuse(self, reason: str) -> None:
        """Closes the connection for what the client sent, with as much of the reason as a close frame takes."""
        self.close(4400, reason.encode(errors="replace")[:123].decode(errors="ignore"))

    def answer(self, handshake: Handshake, groups: list[Any]) -> None:
        """Answers the handshake. A client that is let in is in the groups before it knows."""
        if not handshake.is_accepted:
            self._host.close(1000, "")
            return
        for group in groups:
            self.group_add(group)
        chosen = handshake.subprotocol
        if chosen is not None:
            need_text("a subprotocol", chosen)
        self._host.accept(chosen, checked_headers(handshake.headers))
        pending, self._pending = self._pending or [], None
        for send in pending:
            send()

    def keep_state(self) -> None:
        """Gives the state to the host, if it has changed."""
        if self._state_type is None:
            return
        state = self._state_type.dump(self.state)
        if state != self._kept:
            self._host.set_state(state)

    def _put(self, send: Callable[[], None]) -> None:
        if self._pending is None:
            send()
        else:
            self._pending.append(send)
