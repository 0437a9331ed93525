"""Finds the server that has a partition, and calls scripts there."""

from __future__ import annotations

import asyncio
from typing import Any

from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    AuthenticationError,
    MovedError,
    ReadOnlyError,
    ResponseError,
)

from .connection import Line, Server, refused
from .errors import LayerUnavailable, TidegateError
from .names import partition_of
from .scripts import scripts
from .topology import Address, Cluster, Sentinels, Servers, Topology

# How long one Sentinel or Cluster node may take while others can be asked.
SOURCE_SECONDS = 0.25
# The command did not run there: it may be sent to where the partition is now.
_ELSEWHERE = (MovedError, AskError, ReadOnlyError)


class Partitions:
    """Knows which server has which partition."""

    def __init__(self, topology: Topology, prefix: str, count: int, timeout: float) -> None:
        self.count = count
        self.timeout = timeout
        self._topology = topology
        self._prefix = prefix
        self._scripts = scripts()
        self._servers: dict[str, Server] = {}
        self._found: dict[int, Server] = {}
        self._locating: dict[int, asyncio.Lock] = {}

    def base(self, partition: int) -> str:
        """Returns the start of all keys of a partition."""
        return f"{self._prefix}:{{{partition}}}:"

    def of(self, name: str) -> int:
        """Returns where a channel, a group or a node is."""
        return partition_of(name, self.count)

    async def call(self, name: str, partition: int, *arguments: str | bytes | int) -> Any:
        """Runs a script on a partition."""
        return await self._run(partition, name, arguments)

    async def command(self, partition: int, *command: str | bytes | int) -> Any:
        """Runs a command where a partition is."""
        return await self._run(partition, None, command)

    async def line(self, partition: int) -> Line:
        """Returns a connection of its own to where the partition is, for commands that block."""
        return (await self.server(partition)).line()

    async def _run(self, partition: int, script: str | None, arguments: Any) -> Any:
        for attempt in (1, 2):
            server = self._found.get(partition) or await self.server(partition)
            try:
                if script is None:
                    answer = await server.command(*arguments)
                else:
                    base = self.base(partition)
                    answer = await server.script(self._scripts[script], base, *arguments)
            except LayerUnavailable:
                self.forget(partition)
                raise
            if not isinstance(answer, ResponseError):
                return answer
            if not isinstance(answer, _ELSEWHERE) or attempt == 2:
                raise refused(server.address, answer)
            self.forget(partition)
        raise AssertionError("both attempts return or raise")

    def forget(self, partition: int) -> None:
        """Has the server of a partition looked up again."""
        if not isinstance(self._topology.kind, Servers):
            self._found.pop(partition, None)

    async def server(self, partition: int) -> Server:
        """Returns the server that has a partition."""
        async with self._locating.setdefault(partition, asyncio.Lock()):
            if partition not in self._found:
                address = await self._locate(partition)
                key = f"{address}/{address.settings.get('db', 0)}"
                if key not in self._servers:
                    self._servers[key] = Server(address, self.timeout)
                self._found[partition] = self._servers[key]
            return self._found[partition]

    async def _locate(self, partition: int) -> Address:
        kind = self._topology.kind
        if isinstance(kind, Servers):
            return kind.addresses[partition % len(kind.addresses)]
        failures = []
        for source in kind.addresses:
            wait = max(SOURCE_SECONDS, self.timeout / len(kind.addresses))
            try:
                async with asyncio.timeout(wait):
                    if isinstance(kind, Sentinels):
                        return await _master(source, kind, wait)
                    return await _owner(source, kind, self.base(partition), wait)
            except TimeoutError:
                failures.append(f"{source} did not answer in {wait:g} s")
            except TidegateError as error:
                failures.append(str(error))
        what = "Sentinel" if isinstance(kind, Sentinels) else "node of the Cluster"
        raise LayerUnavailable(f"no {what} says where Redis is: {'; '.join(failures)}")

    async def close(self) -> None:
        """Ends all connections for commands."""
        for server in self._servers.values():
            await server.close()


async def _ask(source: Address, *command: str, wait: float) -> Any:
    line = Line(source, wait)
    try:
        [answer] = await line.run([command])
    finally:
        await line.close()
    if isinstance(answer, ResponseError):
        raise refused(source, answer)
    return answer


async def _master(source: Address, kind: Sentinels, wait: float) -> Address:
    command = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", kind.master)
    try:
        answer = await _ask(source, *command, wait=wait)
    except LayerUnavailable as error:
        if not isinstance(error.__cause__, AuthenticationError | ResponseError):
            raise
        # The login of the URL is that of the master; this Sentinel has none.
        answer = await _ask(source.logged_in("", ""), *command, wait=wait)
    if not answer:
        raise LayerUnavailable(
            f"Sentinel {source} knows no master {kind.master!r}; correct the name in the URL"
        )
    host, port = answer
    return kind.server.at(host.decode(), int(port))


async def _owner(source: Address, kind: Cluster, base: str, wait: float) -> Address:
    slot = key_slot(base.encode())
    for first, last, master, *_ in await _ask(source, "CLUSTER", "SLOTS", wait=wait):
        if first <= slot <= last:
            # An empty host is the one that was asked.
            return kind.addresses[0].at(master[0].decode() or source.host, int(master[1]))
    raise LayerUnavailable(f"the Cluster at {source} serves slot {slot} nowhere; repair it")
