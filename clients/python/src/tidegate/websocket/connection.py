"""One WebSocket: opens it, sends in order, sends pings, and says how it ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State
from websockets.typing import Subprotocol

from .. import tasks
from .clock import within
from .codes import BROKEN
from .events import Data
from .options import Options
from .outgoing import Outgoing
from .resume import Resume

# Closes a connection on which a ping is not answered. The library would close it with 1011, which is a fault elsewhere.
_UNANSWERED = 4408


async def open_websocket(url: str, protocols: Sequence[str], options: Options) -> ClientConnection:
    """Makes a handshake. Raises what the library raises. Cancellation drops the attempt."""
    tls: dict[str, Any] = {} if options.ssl is None else {"ssl": options.ssl}
    return await connect(
        url,
        subprotocols=[Subprotocol(protocol) for protocol in protocols] or None,
        additional_headers=dict(options.headers),
        proxy=options.proxy,
        open_timeout=None,
        close_timeout=options.close_timeout,
        ping_interval=None,
        max_size=options.message_bytes,
        **tls,
    )


def ending(closed: ConnectionClosed) -> tuple[int, str]:
    """Returns the code and the reason of an end, 1006 for a connection that broke."""
    if closed.sent is not None and not closed.rcvd_then_sent:
        # The socket began to close: a ping was not answered, or there is a fault in a frame.
        is_lost = closed.sent.code == _UNANSWERED
        return BROKEN if is_lost else closed.sent.code, closed.sent.reason
    return (BROKEN, "") if closed.rcvd is None else (closed.rcvd.code, closed.rcvd.reason)


class Connection:
    """A WebSocket that is open. Its messages go out in the order of their calls."""

    def __init__(
        self, websocket: ClientConnection, options: Options, resume: Resume, outgoing: Outgoing
    ) -> None:
        self._websocket = websocket
        self._options = options
        self._resume = resume
        self._outgoing = outgoing
        self._turn = asyncio.Lock()
        # Whether the writer has the first turn, from the start on.
        self._is_catching_up = False
        self._tasks: list[asyncio.Task[None]] = []
        # How many frames came, and whether the next one is waited for.
        self._frames = 0
        self._is_reading = False
        self._joining = asyncio.Event()
        self._joiner: asyncio.Task[object] | None = None

    @property
    def is_open(self) -> bool:
        """Whether a message would go out now."""
        return self._websocket.state is State.OPEN

    @property
    def protocol(self) -> str:
        """The subprotocol that the server chose."""
        return self._websocket.subprotocol or ""

    async def start(self, again: Sequence[Data]) -> None:
        """Begins to send: first messages once more, then the queue, as soon as the loop over events has joined.

        It begins to send pings, too.
        """
        await self._turn.acquire()
        self._is_catching_up = True
        self._tasks = [asyncio.create_task(it) for it in (self._write(again), self._watch())]

    async def stop(self) -> None:
        """Ends the tasks that send the queue and pings."""
        await tasks.end(self._tasks)
        self._caught_up()

    async def receive(self) -> Data:
        """Waits for the next message. Raises `ConnectionClosed` at the end."""
        self._is_reading = True
        try:
            return await self._websocket.recv()
        finally:
            self._is_reading = False
            self._frames += 1

    def joins(self) -> None:
        """The current task has got the event that the connection is open: it joins."""
        self._joiner = asyncio.current_task()

    def joined(self) -> None:
        """The task asks for the next event: the queue may go out."""
        self._joining.set()

    def has_turn(self) -> bool:
        """Whether a message of the current task goes out at once, rather than behind the queue."""
        if self._joining.is_set():
            return len(self._outgoing) == 0
        if self._joiner is None or not self._outgoing.is_on:
            return not self._outgoing.is_on
        # A task that is done took the event for another one, as `asyncio.wait_for` of Python 3.11 does.
        return self._joiner is asyncio.current_task() or self._joiner.done()

    async def send(self, data: Data) -> bool:
        """Sends a message. False if the connection has ended before: it was not sent.

        Cancellation before its turn sends nothing. Later the message is on its way.
        """
        async with self._turn:
            return self.is_open and await self._hand_over(data)

    async def _hand_over(self, data: Data) -> bool:
        # The library writes before it waits, so that from here on the message may arrive.
        self._resume.sends(data)
        with contextlib.suppress(ConnectionClosed):
            await self._websocket.send(data)
        return True

    async def _write(self, again: Sequence[Data]) -> None:
        try:
            for data in again:
                await self._websocket.send(data)
        except ConnectionClosed:
            return
        finally:
            self._caught_up()
        await self._joining.wait()
        while len(self._outgoing) > 0:
            async with self._turn:
                if not self.is_open or len(self._outgoing) == 0:
                    return
                await self._hand_over(self._outgoing.shift())

    async def _watch(self) -> None:
        """Closes the connection when a ping is not answered."""
        clock, timeout = self._options.clock, self._options.ping_timeout
        while self._options.ping_interval is not None:
            await clock.sleep(self._options.ping_interval)
            before = self._frames
            try:
                await within(clock, timeout, self._ping())
            except ConnectionClosed:
                return
            except TimeoutError:
                # An answer behind messages that the loop has not taken does not come in.
                if self._is_reading and self._frames == before:
                    reason = f"no answer to a ping within {timeout:g} s"
                    return await shut(self._websocket, self._options, _UNANSWERED, reason)

    async def _ping(self) -> None:
        await (await self._websocket.ping())

    def _caught_up(self) -> None:
        if self._is_catching_up:
            self._is_catching_up = False
            self._turn.release()


async def shut(websocket: ClientConnection, options: Options, code: int, reason: str) -> None:
    """Closes a WebSocket and waits for its end, `close_timeout` at most. Cancellation ends it at once."""
    try:
        await within(options.clock, options.close_timeout, websocket.close(code, reason))
    except TimeoutError:
        websocket.transport.abort()
    except asyncio.CancelledError:
        websocket.transport.abort()
        raise


async def drain(websocket: ClientConnection) -> None:
    """Reads what comes before the end of a WebSocket: a full buffer would hide the end."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await websocket.recv()
