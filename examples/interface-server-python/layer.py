"""Tidegate's channel layer on one Redis server, for programs in Python.

What stands in Redis is described in docs/redis.md of Tidegate. The scripts are Tidegate's own.
"""

from __future__ import annotations

import hashlib
import secrets
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgpack  # type: ignore[import-untyped]
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

Map = dict[str, Any]

VERSION = 1
SCRIPTS = Path(__file__).resolve().parents[2] / "host/src/layer/redis/scripts"

# What Tidegate's own processes have unless their settings say otherwise.
CAPACITY = 100
EXPIRY = 60.0
INBOX_BYTES = 64 * 1024 * 1024
LEASE = 15.0

# Bytes before the map of an entry: the version, how often it was taken before, when it expires, when
# it was sent.
HEADER = 18


class LayerError(Exception):
    """The data in Redis is not what this program reads."""


def micros(seconds: float) -> int:
    """Spans of time stand in microseconds."""
    return int(seconds * 1_000_000)


def new_id() -> str:
    """128 random bits."""
    return secrets.token_hex(16)


def content_parcel(kind: str, to: str, content: Map) -> bytes:
    """An entry of an inbox: a `message` to a connection or to a `group`."""
    field = "to" if kind == "message" else "group"
    fields = {field: to, "content": msgpack.packb(content), "correlation": new_id()}
    entry: bytes = msgpack.packb({kind: fields})
    return b"m" + entry


class Layer:
    """Speaks to the layer as one more process beside Tidegate's own."""

    def __init__(self, url: str, prefix: str = "tidegate", partitions: int = 1) -> None:
        # A script that may have run must not be run again: a message would be sent twice.
        self.redis: Redis = Redis.from_url(url, retry=Retry(NoBackoff(), 0), socket_timeout=10)
        self.prefix = prefix
        self.partitions = partitions
        prelude = (SCRIPTS / "prelude.lua").read_text()
        self._scripts = {
            file.stem: self.redis.register_script(f"{prelude}\n\n{file.read_text()}")
            for file in SCRIPTS.glob("*.lua")
            if file.stem != "prelude"
        }

    def base(self, partition: int) -> str:
        """The start of all keys of a partition."""
        return f"{self.prefix}:{{{partition}}}:"

    def partition_of(self, name: str) -> int:
        """Where a channel, a group or a node is."""
        return zlib.crc32(name.encode()) % self.partitions

    async def call(self, script: str, partition: int, *arguments: Any) -> Any:
        """Runs a script on a partition."""
        return await self._scripts[script](keys=[self.base(partition)], args=arguments)

    async def renew(self, partition: int, *nodes: str) -> tuple[str, list[str]]:
        """Renews leases. Returns the epoch and which of the nodes were not known."""
        ours = f"{VERSION}/{self.partitions}"
        layout, epoch, unknown, _ = await self.call(
            "upkeep", partition, ours, micros(LEASE), new_id(), *nodes
        )
        if layout.decode() != ours:
            raise LayerError(f"the data in Redis has layout {layout.decode()}, not {ours}")
        return epoch.decode(), [node.decode() for node in unknown]

    async def send(self, channel: str, content: Map) -> bool:
        """Sends to a channel, a reply channel too. False if it is full or gone."""
        node, _, local = channel.partition("!")
        if local:
            return await self.deliver(node, content_parcel("message", local, content))
        return await self._push(channel, {"content": msgpack.packb(content)}, EXPIRY)

    async def send_event(self, event: Map, correlation: str, life: float) -> bool:
        """Sends an event to a worker that finds its route. False if too many wait."""
        return await self._push(event["type"], {"event": event}, life, correlation)

    async def _push(
        self, channel: str, message: Map, life: float, correlation: str | None = None
    ) -> bool:
        payload = msgpack.packb({"correlation": correlation or new_id()} | message)
        partition = self.partition_of(channel)
        outcome, _ = await self.call("send", partition, channel, CAPACITY, micros(life), payload)
        return bool(outcome == b"ok")

    async def deliver(self, node: str, entry: bytes) -> bool:
        """Puts an entry into a node's inbox. False if it is full or gone."""
        partition = self.partition_of(node)
        [outcome] = await self.call("deliver", partition, node, INBOX_BYTES, entry)
        return bool(outcome == b"ok")

    async def group_send(self, group: str, content: Map) -> int:
        """Sends to all members. Returns how many nodes and channels it reached."""
        nodes, channels = await self.call("members", self.partition_of(group), group)
        entry = content_parcel("group", group, content)
        reached = [await self.deliver(node.decode(), entry) for node in nodes]
        reached += [await self.send(channel.decode(), content) for channel in channels]
        return sum(reached)

    async def receive(self, channel: str) -> AsyncIterator[Map]:
        """What is sent to a channel, for ever. What is taken is gone."""
        partition, owner = self.partition_of(channel), "python"
        # The same for all who read the same: one of them is woken.
        reader = hashlib.sha256(f"{channel} {owner}\n".encode()).hexdigest()[:32]
        while True:
            known, _, more, _, _, taken = await self.call(
                "receive", partition, reader, 10, 10
            )
            if not known:
                await self.call("read_by", partition, reader, micros(LEASE), channel, owner)
                continue
            # Name, entry, receipt. A channel that delivers at least once has receipts to be settled.
            for entry in taken[1::3]:
                if entry[0] == VERSION:
                    yield msgpack.unpackb(msgpack.unpackb(entry[HEADER:])["content"])
            if not (taken or more):
                # Only a hint: it is looked again each second besides.
                await self.redis.blpop([f"{self.base(partition)}wake:{reader}"], timeout=1)
