"""This layer beside that of channels_redis: the same server, the same process, in turns.

    python layers.py [--rounds N] [--json]

Prints for each measurement the median of each layer and of their ratio, which is taken by round.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import redis as redis_py
from channels_redis.core import RedisChannelLayer
from servers import Redis

from tidegate.channels import ChannelLayer

# What a chat sends.
MESSAGE = {
    "type": "chat.message",
    "room": "lobby",
    "name": "Ada",
    "message": "high water at noon " * 8,
}
MEDIUM = {"type": "chat.message", "message": "high water at noon, they say"}
SMALL = {"type": "chat.message", "message": "high water at noon"}
PROCESS_MESSAGES = 1_000
Measure = Callable[[Any], Awaitable[float]]


async def one_by_one(layer: Any) -> float:
    """Messages a second, each sent and received before the next, on a channel of the process."""
    return await _one_by_one(layer, await layer.new_channel())


async def one_by_one_named(layer: Any) -> float:
    """The same on a named channel, as of a worker."""
    return await _one_by_one(layer, "thumbnails-make")


async def _one_by_one(layer: Any, channel: str) -> float:
    began = time.perf_counter()
    for _ in range(PROCESS_MESSAGES):
        await layer.send(channel, MESSAGE)
        await layer.receive(channel)
    return PROCESS_MESSAGES / (time.perf_counter() - began)


def group_of(consumers: int, messages: int) -> Measure:
    """Deliveries a second to consumers of one process, which each wait as those of Channels do."""

    async def measure(layer: Any) -> float:
        channels = [await layer.new_channel() for _ in range(consumers)]
        for channel in channels:
            await layer.group_add("lobby", channel)

        async def consume(channel: str) -> None:
            for _ in range(messages):
                await layer.receive(channel)

        consuming = [asyncio.ensure_future(consume(channel)) for channel in channels]
        await asyncio.sleep(0.2)
        began = time.perf_counter()
        for _ in range(messages):
            await layer.group_send("lobby", MESSAGE)
        await asyncio.gather(*consuming)
        took = time.perf_counter() - began
        for channel in channels:
            await layer.group_discard("lobby", channel)
        return consumers * messages / took

    return measure


def waiting_bytes(redis: Redis, message: dict[str, Any]) -> Measure:
    """Bytes that Redis uses for each message that waits, of 20 channels with 100 messages each."""

    async def measure(layer: Any) -> float:
        await layer.send("warm", message)
        await layer.receive("warm")
        with redis_py.Redis(port=redis.port) as client:
            before = client.info("memory")["used_memory"]
            for channel in range(20):
                for _ in range(100):
                    await layer.send(f"waiting-{channel}", message)
            used = client.info("memory")["used_memory"] - before
            await layer.flush()
        return float(used / 2_000)

    return measure


async def run(rounds: int, redis: Redis) -> dict[str, dict[str, float]]:
    """Measures all, the layers in turns."""
    ours = ChannelLayer(redis.url())
    theirs = RedisChannelLayer(hosts=[redis.url()])
    measures: dict[str, Measure] = {
        "send and receive, one by one, messages/s": one_by_one,
        "the same on a named channel, messages/s": one_by_one_named,
        "group_send to 100 consumers, deliveries/s": group_of(100, 50),
        "group_send to 1,000 consumers, deliveries/s": group_of(1_000, 10),
        "bytes in Redis for a waiting message of 201 bytes": waiting_bytes(redis, MESSAGE),
        "bytes in Redis for a waiting message of 56 bytes": waiting_bytes(redis, MEDIUM),
        "bytes in Redis for a waiting message of 46 bytes": waiting_bytes(redis, SMALL),
    }
    results: dict[str, dict[str, float]] = {}
    for name, measure in measures.items():
        pairs = []
        # Memory is the same each time.
        for number in range(1 if name.startswith("bytes") else rounds):
            layers = [ours, theirs] if number % 2 == 0 else [theirs, ours]
            figures = {id(layer): await measure(layer) for layer in layers}
            pairs.append((figures[id(ours)], figures[id(theirs)]))
        results[name] = {
            "tidegate": statistics.median(mine for mine, _ in pairs),
            "channels_redis": statistics.median(other for _, other in pairs),
            "ratio": statistics.median(mine / other for mine, other in pairs),
        }
    await ours.close()
    await theirs.close_pools()
    return results


def main() -> None:
    """Runs the benchmarks on a server of their own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    redis = Redis()
    try:
        results = asyncio.run(run(arguments.rounds, redis))
    finally:
        redis.close()
    if arguments.json:
        print(json.dumps(results))
        return
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("tidegate", "channels_redis", "channels", "redis")
    )
    print(
        f"{versions}; {arguments.rounds} rounds; load {os.getloadavg()[0]:.1f} of {os.cpu_count()} cores"
    )
    for name, result in results.items():
        print(
            f"{name:58} {result['tidegate']:>10,.0f} {result['channels_redis']:>10,.0f}"
            f" {result['ratio']:>6.2f} x"
        )


if __name__ == "__main__":
    main()
