"""An interface server for HTTP in Python: the requests run on Tidegate's workers.

    python server.py REDIS [HOST:PORT]
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from http import HTTPStatus

from layer import Layer, Map, new_id
from node import Connection, Node, cancel
from request import Refused, Request, read

HEAD_SECONDS = 10.0
# How long an event may wait for a worker; then it runs for 5 s, its sends are tried for 2 s, and the
# mark is on its way.
EVENT_SECONDS = 10.0
LOST_SECONDS = EVENT_SECONDS + 5 + 2 + 1
OUTCOMES = {"gone": 503, "refused": 503}


class Exchange:
    """One request and its response. The connection ends with it."""

    def __init__(self, node: Node, writer: asyncio.StreamWriter) -> None:
        self.node, self.writer = node, writer
        self.connection = Connection()
        self.started = False
        self.is_head = False

    async def serve(self, request: Request) -> None:
        """Has a worker answer, and tells it if the client leaves before."""
        self.is_head = request.method == "HEAD"
        connection, layer = self.connection, self.node.layer
        event = request.event(f"{self.node.name}!{connection.local}", self.writer)
        self.node.connections[connection.local] = connection
        try:
            if not await layer.send_event(event, correlation := new_id(), EVENT_SECONDS):
                raise Refused(HTTPStatus.SERVICE_UNAVAILABLE)
            if not await self._answer():
                over = event | {"type": "http.disconnect", "order": 1, "body": None}
                await layer.send_event(over, correlation, EVENT_SECONDS)
        finally:
            del self.node.connections[connection.local]
            await self.node.leave_all(connection.local)

    async def _answer(self) -> bool:
        """Passes replies on to the end of the response. False if the client has left."""
        loop = asyncio.get_running_loop()
        until, busy, hold = loop.time() + LOST_SECONDS, True, None
        # A connection has one event in flight: that of a client that left waits for the other's end.
        while busy or not self.connection.left:
            try:
                async with asyncio.timeout_at(until):
                    replies, done = await self.connection.mailbox.get()
            except TimeoutError:
                self._whole(hold and hold["fallback"] or {"status": 504 if hold else 500})
                return True
            busy = busy and not done
            for reply in [] if self.connection.left else replies:
                if reply.get("type") == "http.hold":
                    hold = reply
                elif await self._write(reply):
                    return True
            if done and (done["outcome"] != "ok" or not (hold or self.started)):
                self._whole({"status": OUTCOMES.get(done["outcome"], 500)})
                return True
            if hold and done:
                until = loop.time() + hold["timeout_ms"] / 1000
        return False

    async def _write(self, reply: Map) -> bool:
        """Writes one reply. True if the response is complete."""
        match reply.get("type"):
            case "http.response" if not self.started:
                self._whole(reply)
                return True
            case "http.response.start" if not self.started:
                self._head(reply, b"transfer-encoding: chunked\r\n")
            case "http.response.body" if self.started:
                body, more = reply.get("body") or b"", reply.get("more_body", False)
                chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
                self.writer.write(chunk if more else chunk + b"0\r\n\r\n")
                await self.writer.drain()
                return not more
        return False

    def _whole(self, reply: Map) -> None:
        """A whole response; one that has begun breaks off, so that nobody takes it for complete."""
        if self.started:
            self.writer.transport.abort()
            return
        body = reply.get("body") or b""
        self._head(reply, b"content-length: %d\r\n" % len(body))
        self.writer.write(b"" if self.is_head else body)

    def _head(self, reply: Map, framing: bytes) -> None:
        self.started = True
        status = reply["status"]
        phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else ""
        head = f"HTTP/1.1 {status} {phrase}\r\nconnection: close\r\n".encode()
        fields = (b"%b: %b\r\n" % (name, value) for name, value in reply.get("headers") or [])
        self.writer.write(head + b"".join(fields) + framing + b"\r\n")


async def converse(node: Node, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serves a connection."""
    exchange = Exchange(node, writer)
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                request = await read(reader)
            watching = asyncio.create_task(watch(reader, exchange.connection))
            try:
                await exchange.serve(request)
            finally:
                # Only one may read.
                await cancel({watching})
        except Refused as refused:
            exchange._whole({"status": int(refused.args[0])})
        await writer.drain()
        # A client that still sends reads the answer only if what it sends is read.
        writer.write_eof()
        async with asyncio.timeout(HEAD_SECONDS):
            while await reader.read(65_536):
                pass
    writer.close()


async def watch(reader: asyncio.StreamReader, connection: Connection) -> None:
    """Notices that the client leaves. What else it sends is not read: there is one request."""
    with contextlib.suppress(ConnectionError):
        while await reader.read(65_536):
            pass
    connection.leave()


async def main(url: str, place: str = "127.0.0.1:8080") -> None:
    """Serves until a signal comes, or Redis goes; whoever started this starts it again then."""
    host, _, port = place.rpartition(":")
    node = Node(Layer(url))
    await node.renew()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = await asyncio.start_server(lambda *pair: converse(node, *pair), host, int(port))
    host, port = server.sockets[0].getsockname()
    print(f"serving http://{host}:{port}", flush=True)
    try:
        await node.run(stop)
    finally:
        server.close()
        await cancel(asyncio.all_tasks() - {asyncio.current_task()})


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__)
    asyncio.run(main(*sys.argv[1:]))
