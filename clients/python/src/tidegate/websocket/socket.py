"""The socket that applications use: connections one after the other, and the events between."""

from __future__ import annotations

import asyncio
import inspect
import json
from types import TracebackType
from typing import Any, Literal, NoReturn, Self, Unpack
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import (
    ConnectionClosed,
    InvalidStatus,
    InvalidURI,
    WebSocketException,
)
from websockets.uri import parse_uri

from .. import tasks
from ..errors import ConfigError
from .clock import within
from .codes import BROKEN, EXPIRED, Advice, advice
from .connection import Connection, drain, ending, open_websocket, shut
from .delays import delay
from .errors import SendError
from .events import (
    Closed,
    Data,
    Ended,
    Ending,
    Error,
    Event,
    Gap,
    Message,
    Opened,
    PresenceChanged,
    Reconnecting,
)
from .feed import Feed
from .options import Given, options
from .outgoing import Outgoing, size
from .positions import Positions
from .presence import Presence, decode
from .protocols import offered
from .resume import Resume

State = Literal["connecting", "open", "waiting", "closing", "closed"]

# Events that wait for the loop over them. Beyond, the socket reads no more, and the host waits.
_EVENTS_MAX = 16
# The end that a server sees where the program ends the task of a socket.
_GONE = (1001, "")


class Socket:
    """A WebSocket that reconnects, for one event loop. Use `async with`, and loop over its events.

    Options are those of `Options`. A task of the socket's own connects, reads and waits, and the loop over the socket
    gets the events in order. Where the loop is slow, the socket reads no more until there is room.

    Cancelling the loop loses no event: another loop goes on. Cancelling `send` before its turn sends nothing; later the
    message is on its way. Cancelling `close` ends the connection at once, without waiting for the server.
    """

    def __init__(self, url: str, **given: Unpack[Given]) -> None:
        self.options = options(given)
        self._url = _address(url, self.options.ssl is not None)
        self._outgoing = Outgoing(self.options.queue_messages, self.options.queue_bytes)
        self._resume = Resume(self.options.resume, self.options.queue_bytes)
        self._positions = Positions()
        # Collections of members by group; that of None is for any group.
        self._presences: dict[str | None, Presence] = {}
        self._feed: Feed[tuple[Event, Connection | None]] = Feed(_EVENTS_MAX)
        self._task: asyncio.Task[None] | None = None
        self._state: State = "connecting"
        self._websocket: ClientConnection | None = None
        self._connection: Connection | None = None
        # The connection whose `Opened` was taken last.
        self._joining: Connection | None = None
        self._closing: tuple[int, str] | None = None
        self._end = BROKEN, ""
        # Connections that failed, since one lasted.
        self._failures = 0
        # Whether the last token may have expired.
        self._is_fresh_wanted = False

    @property
    def url(self) -> str:
        """The address, in full."""
        return self._url

    @property
    def state(self) -> State:
        """`connecting`, `open`, `waiting` (for the next attempt), `closing`, or `closed` (for good)."""
        return self._state

    @property
    def protocol(self) -> str:
        """The subprotocol that the server chose for the present connection."""
        return "" if self._connection is None else self._connection.protocol

    # Beginning and end.

    async def __aenter__(self) -> Self:
        if self._task is not None:
            raise RuntimeError("a socket is entered once; make another one")
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(self._finish)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Closes for good and waits for the end, `close_timeout` at most. `Ended` is the last event.

        Messages that come in meanwhile are dropped. The code is 1000 or from 3000 to 4999, and the reason has at most
        123 bytes.
        """
        if code != 1000 and not 3000 <= code <= 4999:
            raise ConfigError(f"{code} may not be sent; 1000 and 3000 to 4999 may")
        if size(reason) > 123:
            raise ConfigError("a reason has at most 123 bytes")
        if self._task is None:
            raise RuntimeError("the socket was not entered; use `async with`")
        if self._state not in ("closing", "closed"):
            self._closing = (code, reason)
            self._state = "closing"
            self._task.cancel()
        try:
            await asyncio.wait({self._task})
        except asyncio.CancelledError:
            if self._websocket is not None:
                self._websocket.transport.abort()
            raise

    # Events.

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        if self._task is None:
            raise RuntimeError("the socket was not entered; use `async with`")
        if self._joining is not None:
            self._joining.joined()
            self._joining = None
        taken = await self._feed.take()
        if taken is None:
            await asyncio.wait({self._task})
            if not self._task.cancelled() and (error := self._task.exception()):
                raise error
            raise StopAsyncIteration
        event, connection = taken
        if connection is not None:
            self._joining = connection
            connection.joins()
        return event

    # Sending.

    async def send(self, data: Data) -> None:
        """Sends text or bytes, or puts them into the queue if there is one.

        Raises `SendError` if no connection is open and there is no room in the queue, and `InvalidMessage` for anything
        but text and bytes. It waits while the server reads too slowly.

        A message that went out when the connection broke may have arrived or not. It is sent again only where the
        connection is resumed and the host has not read it.

        With a queue, messages wait until the loop over events has handled `Opened` and asks for the next event. Only
        the task that handles it sends at once, so that it joins first.
        """
        size(data)
        while True:
            if self._state in ("closing", "closed"):
                raise SendError("ended", "the socket was closed")
            connection = self._connection
            if connection is None or not connection.is_open or not connection.has_turn():
                return self._outgoing.push(data)
            if await connection.send(data):
                return

    async def send_json(self, value: Any) -> None:
        """Sends a value as JSON, in a text message. Raises what `send` and `json.dumps` raise."""
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        await self.send(text)

    # Groups.

    def position(self, group: str) -> str | None:
        """Returns the place behind the last message of a group that is remembered, by its name in full."""
        return self._positions.get(group)

    def forget(self, group: str) -> None:
        """Forgets the position in a group that the program has left."""
        self._positions.forget(group)

    def presence(self, group: str | None = None) -> Presence:
        """Returns the members of a group, always the same collection for a group.

        Without a group it has those of any group, for a socket that is in one. From the first call on the frames of the
        group come as `PresenceChanged`, not as messages.
        """
        return self._presences.setdefault(group, Presence())

    # The task.

    async def _run(self) -> None:
        while True:
            end = await self._connect()
            what = self._decide(end)
            if what == "end":
                self._end = end.code, end.reason
                return
            await self._wait(what, end)

    def _finish(self, task: asyncio.Task[None]) -> None:
        """Ends the events. The task may have been cancelled before its first step."""
        self._state = "closed"
        for presence in self._presences.values():
            presence.lose()
        code, reason = (self._closing or _GONE) if task.cancelled() else self._end
        self._put(Ended(code, reason, self._outgoing.take()))
        self._feed.end()

    async def _connect(self) -> Ending:
        """Makes one attempt and, when it succeeds, has one connection. Returns how it ended."""
        self._state = "connecting"
        try:
            token = await within(self.options.clock, self.options.open_timeout, self._ask())
            protocols = offered(self.options.protocols, token, self._resume.entry)
        except Exception as error:
            # A function of the application may raise anything.
            await self._feed.put((Error(error), None))
            return self._over(BROKEN, "there is no token", error=error)
        try:
            end = await self._attempt(protocols)
        finally:
            if self._websocket is not None:
                await self._shut(self._websocket)
                self._websocket = None
        is_refused = isinstance(end.error, InvalidStatus) and end.error.response.status_code == 401
        self._is_fresh_wanted = end.code == EXPIRED or is_refused
        return end

    async def _shut(self, websocket: ClientConnection) -> None:
        reader = asyncio.create_task(drain(websocket))
        try:
            await shut(websocket, self.options, *(self._closing or _GONE))
        finally:
            await tasks.end([reader])

    async def _ask(self) -> str | None:
        if self.options.token is None:
            return None
        answer = self.options.token(fresh=self._is_fresh_wanted)
        return await answer if inspect.isawaitable(answer) else answer

    async def _attempt(self, protocols: list[str]) -> Ending:
        try:
            first = await within(
                self.options.clock, self.options.open_timeout, self._open(protocols)
            )
        except ConnectionClosed as closed:
            return self._over(*ending(closed), error=closed)
        except (OSError, ValueError, WebSocketException) as error:
            if self._websocket is not None:
                # A host that takes the handshake and says nothing has not resumed.
                self._resume.forget()
                self._websocket.transport.abort()
            return self._over(BROKEN, str(error), error=error)
        assert self._websocket is not None
        opened_at = self.options.clock.now()
        connection = Connection(self._websocket, self.options, self._resume, self._outgoing)
        start = self._resume.begin(first)
        await connection.start(start.again)
        try:
            await self._live(connection, start.resumed, start.lost, first)
        except ConnectionClosed as closed:
            code, reason = ending(closed)
            if self.options.clock.now() - opened_at >= self.options.stable_after:
                # One that opens and closes again at once has failed, too.
                self._failures = 0
            self._connection = None
            over = self._over(code, reason, opened=True)
            self._put(Closed(code, reason))
            return over
        except asyncio.CancelledError:
            self._put(Closed(*(self._closing or _GONE)))
            raise
        finally:
            self._connection = None
            await connection.stop()

    async def _open(self, protocols: list[str]) -> Data | None:
        """Opens a WebSocket. Returns its first frame if that says whether the host resumes."""
        url = self._positions.address(self._url)
        self._websocket = await open_websocket(url, protocols, self.options)
        return await self._websocket.recv() if self._resume.is_asking else None

    async def _live(
        self, connection: Connection, resumed: bool, lost: int, first: Data | None
    ) -> NoReturn:
        """Reads until the connection ends, by `ConnectionClosed`."""
        self._state = "open"
        self._connection = connection
        for presence in self._presences.values():
            presence.find(resumed)
        self._feed.push((Opened(resumed), connection))
        if lost > 0:
            error = SendError("lost", f"{lost} messages did not arrive and were not kept")
            await self._feed.put((Error(error), None))
        if first is not None:
            await self._received(first)
        while True:
            await self._received(await connection.receive())

    async def _received(self, frame: Data) -> None:
        if self._resume.takes(frame):
            return
        placed = self._positions.open(frame)
        if placed is not None and placed.data is None:
            if placed.gap:
                await self._feed.put((Gap(placed.group, placed.position), None))
            return
        if placed is None or placed.data is None:
            message = Message(frame)
        else:
            message = Message(placed.data, placed.group, placed.position)
        if not await self._is_presence(message.data):
            await self._feed.put((message, None))

    async def _is_presence(self, data: Data) -> bool:
        told = decode(data) if self._presences else None
        if told is None:
            return False
        group = told["group"]
        presence = self._presences.get(group) or self._presences.get(None)
        if presence is None:
            return False
        change = presence.receive(told)
        if change is not None:
            event = PresenceChanged(group, presence, change.joined, change.updated, change.left)
            await self._feed.put((event, None))
        return True

    def _over(
        self, code: int, reason: str, *, opened: bool = False, error: Exception | None = None
    ) -> Ending:
        self._resume.ended(code)
        self._failures += 1
        for presence in self._presences.values():
            presence.lose()
        self._state = "waiting"
        return Ending(code, reason, opened, self._failures, error)

    def _decide(self, end: Ending) -> Advice:
        # With another token it may come back.
        is_expired = end.code == EXPIRED and self.options.token is not None
        usual: Advice = "backoff" if is_expired else advice(end.code)
        if self.options.should_reconnect is None:
            return usual
        try:
            wanted = self.options.should_reconnect(end)
        except Exception as error:
            self._put(Error(error))
            return usual
        if wanted is None:
            return usual
        if not wanted:
            return "end"
        return "backoff" if usual == "end" else usual

    async def _wait(self, what: Literal["spread", "backoff", "later"], end: Ending) -> None:
        pause = delay(what, end.attempt, self.options, self.options.random)
        event = Reconnecting(end.attempt, pause, end.code, end.reason, end.error)
        await self._feed.put((event, None))
        await self.options.clock.sleep(pause)

    def _put(self, event: Event) -> None:
        """Puts an event that does not wait for room: a few for each `Reconnecting`, which does."""
        self._feed.push((event, None))


def _address(url: str, has_context: bool) -> str:
    """Returns the address of a WebSocket. Raises `ConfigError` for any other."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    full = parts._replace(scheme=scheme, fragment="").geturl()
    try:
        is_secure = parse_uri(full).secure
    except InvalidURI as error:
        raise ConfigError(f"{url} is not an address of a WebSocket: {error}") from None
    if has_context and not is_secure:
        raise ConfigError(f"ssl is given, and {url} has no TLS; use wss")
    return full
