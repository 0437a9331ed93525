"""A broadcast from a Django process to 1,000 sockets: held by Daphne over channels_redis, and by Tidegate.

    TIDEGATE=FILE python broadcast.py [--sockets N] [--rounds N]

The client is the same for both: it counts the bytes of frames. Needs the module that `make examples` builds.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from channels_redis.core import RedisChannelLayer
from servers import Redis
from test_django import Site

from tidegate import frames
from tidegate.channels import ChannelLayer

TEXT = "high water at noon " * 8
# How long all sockets may take to have a message.
PATIENCE_SECONDS = 60.0


class Counter(asyncio.Protocol):
    """A WebSocket client that knows when its handshake is over, and counts bytes after that."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.head = b""

    def connection_made(self, transport: Any) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            (
                "GET /ws/chat/lobby/ HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
            ).encode()
        )

    def data_received(self, data: bytes) -> None:
        if self.head is None:
            self.room.got(len(data))
            return
        self.head += data
        if b"\r\n\r\n" in self.head:
            assert self.head.startswith(b"HTTP/1.1 101"), self.head
            self.head = None  # type: ignore[assignment]
            self.room.opened.release()


class Room:
    """All sockets of a room."""

    def __init__(self) -> None:
        self.opened = asyncio.Semaphore(0)
        self.bytes = 0
        self.wanted = 0
        self.all_here = asyncio.Event()

    def got(self, count: int) -> None:
        self.bytes += count
        if self.bytes >= self.wanted:
            self.all_here.set()

    async def expect(self, count: int) -> None:
        """Waits until so many bytes have come since the last time."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.all_here.wait()
        assert self.bytes == count, f"{self.bytes} bytes came, not {count}"

    def await_bytes(self, count: int) -> None:
        self.bytes, self.wanted = 0, count
        self.all_here.clear()


async def deliveries(
    port: int,
    layer: Any,
    group: str,
    message: dict[str, Any],
    frame: int,
    sockets: int,
    rounds: int,
) -> float:
    """Returns deliveries a second: the median of rounds of 10 broadcasts, each after the one before is there."""
    room, loop = Room(), asyncio.get_running_loop()
    for _ in range(sockets):
        await loop.create_connection(lambda: Counter(room), "127.0.0.1", port)
        await room.opened.acquire()
    rates = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        for _ in range(10):
            room.await_bytes(frame * sockets)
            await layer.group_send(group, message)
            await room.expect(frame * sockets)
        rates.append(10 * sockets / (time.perf_counter() - began))
    # The first one warms up.
    return statistics.median(rates[1:])


async def measure(folder: Path, sockets: int, rounds: int) -> dict[str, float]:
    """Measures both."""
    text = json.dumps({"message": TEXT})
    # Two bytes and the length in two more; what Django's consumer sends has the same text.
    frame = len(text) + 4
    redis = Redis()
    try:
        results = {}
        with Site(folder, 0, redis).daphne() as port:
            layer = RedisChannelLayer(hosts=[redis.url()], capacity=2_000)
            message = {"type": "chat.message", "message": TEXT}
            results["channels_redis and Daphne"] = await deliveries(
                port, layer, "chat_lobby", message, frame, sockets, rounds
            )
            await layer.close_pools()
        with Site(folder, 2, redis).tidegate() as port:
            layer = ChannelLayer(redis.url(), groups={"chat_": "chat."})
            results["tidegate"] = await deliveries(
                port, layer, "chat_lobby", frames.text(text), frame, sockets, rounds
            )
            await layer.close()
        return results
    finally:
        redis.close()


def main() -> None:
    """Prints the rates and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sockets", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = asyncio.run(measure(Path(folder), arguments.sockets, arguments.rounds))
    for name, rate in results.items():
        print(f"{name:28} {rate:>10,.0f} deliveries/s to {arguments.sockets} sockets")
    ours, theirs = results["tidegate"], results["channels_redis and Daphne"]
    print(f"ratio {ours / theirs:.1f}; load {os.getloadavg()[0]:.1f} of {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
