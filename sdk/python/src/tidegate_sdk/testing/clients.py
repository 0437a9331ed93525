"""Clients of the test host: the response to a request, and a WebSocket."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from tidegate_sdk.frame import Close
from tidegate_sdk.testing.call import settle
from tidegate_sdk.testing.connection import Http, Websocket
from tidegate_sdk.testing.world import Job, World
from tidegate_sdk.wire import Frame, WebsocketReceive


class Denied(Exception):
    """The handshake was turned down.

    The status is 401 without a user where one is asked for, 403 when the user has other claims, the consumer denied it
    or there is none, and 500 after a fault.
    """

    def __init__(self, status: int) -> None:
        super().__init__(f"the handshake was denied with status {status}")
        self.status = status


class TestResponse:
    """The response to a request, as far as it has come.

    A request on hold has none yet; ask again after what should answer it.
    """

    __test__ = False

    def __init__(self, world: World, channel: str, http: Http) -> None:
        self._world = world
        self._channel = channel
        self._http = http

    @property
    def is_pending(self) -> bool:
        """Whether more is to come: nothing yet, or a stream that has not ended."""
        return not self._http.is_complete

    @property
    def status(self) -> int:
        """The status. `AssertionError` when there is no response yet."""
        return self._head()[0]

    @property
    def headers(self) -> list[tuple[str, str]]:
        """All header fields in order, values as text."""
        return [(name, value.decode(errors="replace")) for name, value in self._head()[1]]

    def header(self, name: str) -> str | None:
        """The first header field of that name, as text."""
        return next((value for known, value in self.headers if known.lower() == name.lower()), None)

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that it sets, for `cookies` of the next request. Those that it takes away are left out."""
        return _cookies(self.headers)

    @property
    def body(self) -> bytes:
        """The body so far. Empty for a request with method HEAD."""
        return b"" if self._http.scope.method == "HEAD" else self._http.body

    @property
    def text(self) -> str:
        """The body so far, as text."""
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    def leave(self) -> None:
        """The client goes away. A consumer that asked for it is told."""
        self._world.http_left(self._channel)
        settle(self._world)

    def _head(self) -> tuple[int, list[tuple[str, bytes]]]:
        head = self._http.head
        assert head is not None, "the request is not answered yet: it is on hold"
        return head.status, head.headers


def _cookies(headers: list[tuple[str, str]]) -> dict[str, str]:
    found = [value for name, value in headers if name.lower() == "set-cookie"]
    pairs = [value.partition(";")[0].partition("=") for value in found if "max-age=0" not in value.lower()]
    return {name: value for name, _, value in pairs}


class TestSocket:
    """A WebSocket client. At the end of a `with` it breaks the connection, of which the consumer is told."""

    __test__ = False

    def __init__(self, world: World, channel: str, websocket: Websocket) -> None:
        self._world = world
        self._channel = channel
        self._websocket = websocket

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.drop()

    @property
    def reply_channel(self) -> str:
        """The connection's own channel, for `TestHost.send`."""
        return self._channel

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the module chose."""
        accepted = self._websocket.accepted
        return accepted.subprotocol if accepted else None

    def header(self, name: str) -> str | None:
        """The first header field of that name in the handshake's response."""
        accepted = self._websocket.accepted
        fields = accepted.headers if accepted else []
        return next((value.decode(errors="replace") for it, value in fields if it.lower() == name.lower()), None)

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that the handshake's response sets, as those of `TestResponse`."""
        accepted = self._websocket.accepted
        fields = accepted.headers if accepted else []
        return _cookies([(name, value.decode(errors="replace")) for name, value in fields])

    @property
    def closed(self) -> Close | None:
        """The end of the connection. None while it is open."""
        return self._websocket.closed

    def send(self, frame: Frame) -> None:
        """Sends a message. `AssertionError` when the connection is closed."""
        closed = self.closed
        assert closed is None, f"the connection is closed with code {closed and closed.code}"
        websocket, scope = self._websocket, self._websocket.scope
        websocket.order += 1
        if websocket.entry is not None:
            event = WebsocketReceive(self._channel, scope.path, scope.path_params, websocket.order, frame)
            self._world.queue.append(Job(websocket.entry, event, self._channel, self._world.next_id()))
        settle(self._world)

    def send_json(self, value: Any) -> None:
        """Sends a text message that holds `value` as JSON."""
        self.send(json.dumps(value))

    def receive(self) -> Frame | None:
        """The next message, if one has come."""
        return self._websocket.frames.popleft() if self._websocket.frames else None

    def receive_json(self) -> Any:
        """The next message, which must be text that holds JSON."""
        frame = self.receive()
        assert isinstance(frame, str), f"the next message is no text: {frame!r}"
        return json.loads(frame)

    def expect_text(self, text: str) -> None:
        """Takes the next message, which must be this text."""
        frame = self.receive()
        assert frame == text, f"the next message is {frame!r}, not {text!r}"

    def expect_json(self, value: Any) -> None:
        """Takes the next message, which must be text that holds this JSON."""
        found = self.receive_json()
        assert found == value, f"the next message is {found!r}, not {value!r}"

    def expect_nothing(self) -> None:
        """No message may have come."""
        frame = self.receive()
        assert frame is None, f"a message that nobody expected: {frame!r}"

    def expect_close(self, code: int) -> Close:
        """The module must have closed the connection with this code, after the messages that were received."""
        self.expect_nothing()
        closed = self.closed
        assert closed is not None and closed.code == code, f"expected close code {code}, got {closed!r}"
        return closed

    def close(self, code: int = 1000) -> None:
        """Closes the connection."""
        self._end(Close(code))

    def drop(self) -> None:
        """Breaks the connection: the consumer is told close code 1006."""
        self._end(Close(1006))

    def _end(self, close: Close) -> None:
        self._world.close(self._channel, close)
        settle(self._world)


Change = Callable[[], None]
