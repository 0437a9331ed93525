"""ASGI and Tidegate: `InterfaceServer` holds connections, and `Worker` runs an application.

The interface server is an ASGI application: any ASGI server holds connections for Tidegate's workers.

    application = tidegate.asgi.InterfaceServer("redis://127.0.0.1:6379/0")

    uvicorn mysite:application

It knows no routes: a worker looks them up. So it may also stand beside an application, as
`ProtocolTypeRouter({"http": django, "websocket": InterfaceServer(...)})` of Channels.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

from ..client import Client, options
from ..errors import TidegateError
from ..node import Node
from .connection import Connection, Receive, Scope, Send, Unreadable
from .http import Exchange, read_body, refuse
from .websocket import Socket
from .worker import Worker

__all__ = ["InterfaceServer", "Worker"]

logger = logging.getLogger("tidegate")


class InterfaceServer:
    """The application. Settings are those of `tidegate.Client`, and limits of requests and frames.

    `deadline` is the longest that a module's run may take; an event that has no end after that is lost.
    Origins, header sizes and times of the connection are the matter of the server and of what stands
    before this application.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        body_bytes: int = 1024 * 1024,
        frame_bytes: int = 1024 * 1024,
        deadline: float = 5.0,
        **settings: Any,
    ) -> None:
        options(url, settings).topology()
        self._url, self._settings = url, settings
        self._body_bytes, self._frame_bytes, self._deadline = body_bytes, frame_bytes, deadline
        self._client: Client | None = None
        self._node: Node | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a connection."""
        match scope["type"]:
            case "lifespan":
                await self._live(receive, send)
            case "http":
                await self._serve_http(scope, receive, send)
            case "websocket":
                await self._serve_websocket(scope, receive, send)
            case kind:
                raise ValueError(f"there are no connections of type {kind!r} here")

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self._start()
                except TidegateError as error:
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _start(self) -> tuple[Client, Node]:
        if self._client is None:
            self._client = Client(
                self._url,
                node_prefix="asgi-",
                is_interface=True,
                on_gap=self._gap,
                **self._settings,
            )
        client = self._client
        self._node = await client.serve()
        return client, self._node

    def _gap(self, locals_: set[str]) -> None:
        node = self._node
        for local in locals_:
            sink = node.sinks.get(local) if node is not None else None
            if isinstance(sink, Connection):
                sink.gap()

    async def close(self) -> None:
        """Ends the node, so that nothing of it is left in Redis."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _serve_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await read_body(receive, self._body_bytes)
            if body is None:
                return
            client, node = await self._start()
            connection = Connection(client, node, scope, self._deadline)
        except Unreadable as refused:
            await refuse(send, refused.status)
            return
        except TidegateError as error:
            logger.warning("a request is refused: %s", error)
            await refuse(send, 503)
            return
        try:
            await Exchange(connection, receive, send).serve(body)
        finally:
            connection.end()

    async def _serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            client, node = await self._start()
            connection = Connection(client, node, scope, self._deadline)
        except (TidegateError, Unreadable) as error:
            logger.warning("a handshake is refused: %r", error)
            await receive()
            await send({"type": "websocket.close", "code": 1013})
            return
        try:
            # The client may be gone while something is sent; the server says so by its own exceptions.
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await Socket(connection, scope, receive, send, self._frame_bytes).serve()
        finally:
            connection.end()
