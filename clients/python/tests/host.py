"""A host of WebSockets in which nothing happens by itself, and a clock whose sleeps a test ends."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from conftest import PATIENCE_SECONDS, must
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from tidegate.websocket import Event, Reconnecting, Socket


class HeldClock:
    """A clock on which no time passes by itself."""

    def __init__(self) -> None:
        self.time = 0.0
        self._sleeps: list[tuple[float, asyncio.Future[None]]] = []
        self._begun = asyncio.Event()

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        sleep = seconds, asyncio.get_running_loop().create_future()
        self._sleeps.append(sleep)
        self._begun.set()
        try:
            await sleep[1]
        finally:
            self._sleeps.remove(sleep)

    async def end(self, seconds: float) -> None:
        """Lets so many seconds pass for the sleep that takes so long, once there is one."""
        sleep = await self.until(seconds)
        self.time += seconds
        sleep.set_result(None)

    async def until(self, seconds: float) -> asyncio.Future[None]:
        """Waits for a sleep that takes so long."""
        while True:
            for length, future in self._sleeps:
                if length == seconds and not future.done():
                    return future
            self._begun.clear()
            await must(self._begun.wait())


class Peer:
    """The host's side of a WebSocket."""

    def __init__(self, websocket: ServerConnection) -> None:
        self.websocket = websocket
        request = websocket.request
        assert request is not None
        self.url = request.path
        self.headers = request.headers
        entries = ",".join(request.headers.get_all("Sec-WebSocket-Protocol"))
        self.offered = [entry.strip() for entry in entries.split(",") if entry]

    @property
    def after(self) -> list[str]:
        """The positions in the address."""
        return [value for key, value in parse_qsl(urlsplit(self.url).query) if key == "after"]

    async def send(self, *frames: Any) -> None:
        """Sends text, bytes, and anything else as JSON."""
        for frame in frames:
            whole = (
                frame
                if isinstance(frame, str | bytes)
                else json.dumps(frame, separators=(",", ":"))
            )
            await self.websocket.send(whole)

    async def connection(self, resumed: bool = False, received: int = 0, token: Any = None) -> None:
        """Sends the first frame of a host that lets connections be resumed."""
        told = {"tidegate": "connection", "resumed": resumed, "received": received}
        await self.send(told if token is None else {**told, "token": token, "window": 120_000})

    async def heard(self, count: int) -> list[Any]:
        """The next messages of the client."""
        return [await must(self.websocket.recv()) for _ in range(count)]

    async def close(self, code: int, reason: str = "") -> None:
        await self.websocket.close(code, reason)

    def cut(self) -> None:
        """Ends the connection without a word."""
        self.websocket.transport.abort()

    async def ended(self) -> int | None:
        """The close code of the client."""
        await must(self.websocket.wait_closed())
        return self.websocket.close_code


class FakeHost:
    """Takes WebSockets on loopback and gives them to the test."""

    def __init__(self) -> None:
        self._peers: asyncio.Queue[Peer] = asyncio.Queue()
        self._server: Server | None = None
        # Statuses for the next handshakes; None lets one in.
        self.statuses: list[HTTPStatus | None] = []

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self._handle,
            "127.0.0.1",
            0,
            process_request=self._process,
            select_subprotocol=self._select,
            ping_interval=None,
            compression=None,
            max_queue=None,
            close_timeout=0.1,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        assert self._server is not None
        port = next(iter(self._server.sockets)).getsockname()[1]
        return f"ws://127.0.0.1:{port}/room"

    async def peer(self) -> Peer:
        """The next WebSocket."""
        peer: Peer = await must(self._peers.get())
        return peer

    async def _handle(self, websocket: ServerConnection) -> None:
        self._peers.put_nowait(Peer(websocket))
        await websocket.wait_closed()

    def _process(self, websocket: ServerConnection, _: Request) -> Response | None:
        status = self.statuses.pop(0) if self.statuses else None
        return None if status is None else websocket.respond(status, "")

    def _select(self, _: ServerConnection, offered: list[Subprotocol]) -> Subprotocol | None:
        return next((it for it in offered if not it.startswith("tidegate.")), None)


class Followed:
    """A socket on a clock that is held, whose pauses are drawn in the middle."""

    def __init__(self, url: str, **options: Any) -> None:
        self.clock = HeldClock()
        given: dict[str, Any] = {
            "clock": self.clock,
            "random": lambda: 0.5,
            "proxy": None,
            **options,
        }
        self.socket = Socket(url, **given)

    async def __aenter__(self) -> Self:
        await self.socket.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await must(self.socket.close())

    async def next(self) -> Event:
        """The next event."""
        # In the same task, which is then the one that joins.
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await anext(self.socket)

    async def until(self, kind: type[Any]) -> Any:
        """The next event of a kind; the others before it are passed over."""
        while not isinstance(event := await self.next(), kind):
            pass
        return event

    async def again(self) -> Reconnecting:
        """Lets the pause pass that is announced next."""
        event: Reconnecting = await self.until(Reconnecting)
        await self.clock.end(event.delay)
        return event
