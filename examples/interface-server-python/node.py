"""A node: its inbox, its connections, and which of them are in which group."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import msgpack  # type: ignore[import-untyped]

from layer import LEASE, Layer, Map, new_id

Mail = tuple[list[Map], Map | None]


async def cancel(tasks: set[asyncio.Task[Any]]) -> None:
    """Cancels tasks, and waits until they have ended.

    `asyncio.wait_for` of Python 3.11, which the Redis library uses, loses a cancellation that comes
    with a result: then the next one ends the task.
    """
    while tasks:
        for task in tasks:
            task.cancel()
        _, tasks = await asyncio.wait(tasks, timeout=1)


@dataclass
class Connection:
    """A connection, and what came for it: replies, and the mark that ends an event."""

    local: str = field(default_factory=new_id)
    mailbox: asyncio.Queue[Mail] = field(default_factory=lambda: asyncio.Queue(1_000))
    left: bool = False

    def put(self, replies: list[Map], done: Map | None = None) -> None:
        """Keeps what came, unless a client is so slow that too much waits."""
        if not self.mailbox.full():
            self.mailbox.put_nowait((replies, done))

    def leave(self) -> None:
        """The client has left; whoever waits for mail learns it."""
        self.left = True
        self.put([])


@dataclass
class Group:
    """The members here, and the last count of the node's registration that was read."""

    members: set[str] = field(default_factory=set)
    count: int = 0


class Node:
    """Reads one inbox, and keeps in Redis that it is alive."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.name = f"python-{new_id()}"
        self.connections: dict[str, Connection] = {}
        self.groups: dict[str, Group] = {}
        self._epochs: dict[int, str] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Serves the inbox until it is told to stop; then nothing of the node is left in Redis."""
        works = stop.wait(), self._keep_alive(), self._read_inbox()
        tasks = {asyncio.create_task(work) for work in works}
        ended, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        await cancel(others)
        for task in ended:
            task.result()
        for partition in range(self.layer.partitions):
            while not await self.layer.call("close", partition, self.name):
                pass

    async def renew(self) -> None:
        """Renews the lease. Where Redis has forgotten the node, its groups are registered again."""
        for partition in range(self.layer.partitions):
            epoch, unknown = await self.layer.renew(partition, self.name)
            if unknown or self._epochs.get(partition, epoch) != epoch:
                for name, group in self.groups.items():
                    if self.layer.partition_of(name) == partition:
                        group.count = await self.layer.call("join", partition, self.name, name)
            self._epochs[partition] = epoch

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(LEASE / 3)
            await self.renew()

    async def _read_inbox(self) -> None:
        partition = self.layer.partition_of(self.name)
        key = f"{self.layer.base(partition)}inbox:{self.name}"
        while True:
            popped: Any = await self.layer.redis.blmpop(1, 1, key, direction="LEFT", count=256)
            taken = {"m": 0, "a": 0, "c": 0}
            for entry in popped[1] if popped else []:
                taken[chr(entry[0])] += len(entry)
                [(kind, fields)] = msgpack.unpackb(entry[1:]).items()
                await self._hand_over(kind, fields)
            if popped:
                await self.layer.call("taken", partition, self.name, taken["m"], taken["a"])

    async def _hand_over(self, kind: str, fields: Map) -> None:
        match kind:
            case "answer":
                self._put(fields["to"], fields["replies"], fields["done"])
            case "message":
                self._put(fields["to"], [msgpack.unpackb(fields["content"])])
            case "group":
                group = self.groups.get(fields["group"], Group())
                for local in group.members:
                    self._put(local, [msgpack.unpackb(fields["content"])])
            case "join":
                group = self.groups.setdefault(fields["group"], Group())
                group.count = max(group.count, fields["count"])
                if fields["local"] in self.connections:
                    group.members.add(fields["local"])
                else:
                    await self._leave(fields["local"], fields["group"])
            case "leave":
                await self._leave(fields["local"], fields["group"])
            case "leave_all":
                await self.leave_all(fields["local"])

    def _put(self, local: str, *mail: Any) -> None:
        if connection := self.connections.get(local):
            connection.put(*mail)

    async def _leave(self, local: str, name: str) -> None:
        group = self.groups.get(name)
        if group is None:
            return
        group.members.discard(local)
        if not group.members:
            del self.groups[name]
            partition = self.layer.partition_of(name)
            await self.layer.call("leave", partition, self.name, name, group.count)

    async def leave_all(self, local: str) -> None:
        """Ends all memberships of a connection."""
        for name in [name for name, group in self.groups.items() if local in group.members]:
            await self._leave(local, name)
