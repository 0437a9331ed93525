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
import select
import socket
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

PATH = "/ws/chat/lobby/"
TEXT = "high water at noon " * 8
# How long all sockets may take to have a message.
PATIENCE_SECONDS = 60.0


class Room:
    """All sockets of a room, read by one loop: the client costs as little as it can."""

    def __init__(self, port: int, path: str, sockets: int, frame: int) -> None:
        self._frame = frame
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        for _ in range(sockets):
            opened = handshake(port, path)
            self._sockets[opened.fileno()] = opened
            self._poll.register(opened, select.EPOLLIN)

    def read(self) -> None:
        """Reads until each socket has had a frame."""
        count, until = 0, time.monotonic() + PATIENCE_SECONDS
        while count < len(self._sockets):
            assert time.monotonic() < until, f"{count} of {len(self._sockets)} frames came"
            for descriptor, _ in self._poll.poll(1):
                data = self._sockets[descriptor].recv(65_536)
                assert data, "a socket was closed"
                # A ping may be there, too, which is shorter.
                count += len(data) // self._frame
        assert count == len(self._sockets), f"{count} frames came"

    def close(self) -> None:
        """Closes all sockets."""
        for opened in self._sockets.values():
            opened.close()


def handshake(port: int, path: str) -> socket.socket:
    """Opens a WebSocket."""
    opened = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
    key = base64.b64encode(os.urandom(16)).decode()
    head = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    )
    opened.sendall(head.encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += opened.recv(4_096)
    assert answer.startswith(b"HTTP/1.1 101"), answer
    return opened


async def deliveries(
    room: Room, layer: Any, group: str, message: dict[str, Any], rounds: int
) -> float:
    """Returns broadcasts a second: the median of rounds of 10, each after the one before is there."""
    rates = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        for _ in range(10):
            await layer.group_send(group, message)
            room.read()
        rates.append(10 / (time.perf_counter() - began))
    room.close()
    # The first round warms up.
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
            room = Room(port, PATH, sockets, frame)
            message = {"type": "chat.message", "message": TEXT}
            rate = await deliveries(room, layer, "chat_lobby", message, rounds)
            results["channels_redis and Daphne"] = rate * sockets
            await layer.close_pools()
        with Site(folder, 2, redis).tidegate() as port:
            layer = ChannelLayer(redis.url(), groups={"chat_": "chat."})
            room = Room(port, PATH, sockets, frame)
            message = frames.text(text)
            rate = await deliveries(room, layer, "chat_lobby", message, rounds)
            results["tidegate"] = rate * sockets
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
