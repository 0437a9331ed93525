"""This process as a node of the layer: its lease, its inbox, and which of its channels are in which group."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

from . import tasks
from .cluster import Partitions
from .connection import Line
from .errors import LayoutError, TidegateError
from .mailbox import Mailboxes
from .names import new_id
from .outage import Outage
from .wire import VERSION, InboxEntry, content_in, inbox_entry, text_in

logger = logging.getLogger("tidegate")

# How long one blocking read of the inbox waits.
BLOCK_SECONDS = 1.0
# Entries that one read takes.
ENTRIES_AT_ONCE = 256
# How long a connection that failed is left alone.
PAUSE_SECONDS = 0.2
# How often entries that were put into the inbox are compared with those that were read.
COMPARE_SECONDS = 5.0
PROMOTE_SECONDS = 1.0


@dataclass
class Group:
    """The members here, until when each is one, and the highest count of the node's registration."""

    members: dict[str, float] = field(default_factory=dict)
    count: int = 0
    joining: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass
class Known:
    """The facts of a partition: the last epoch, the highest turn, and since when it knows the node."""

    epoch: str = ""
    turn: int = 0
    since: int | None = None


@dataclass
class Settings:
    """The settings of a node."""

    name: str
    lease: float
    inbox_bytes: int
    group_expiry: float
    # Whether its channels are connections, which exist from a moment to another.
    is_interface: bool = False


class Sink(Protocol):
    """A connection of an interface server, which takes what comes for it. None of it waits."""

    def answer(self, order: int, replies: list[Any], done: dict[str, Any] | None) -> None:
        """Takes what a worker says about an event."""

    def message(self, content: bytes, through_group: bool) -> None:
        """Takes a message to the reply channel, or to a group."""


class Node:
    """Reads one inbox, and keeps in Redis that the node is alive.

    `on_gap` is called with the members of groups that may have missed messages.
    """

    def __init__(
        self,
        partitions: Partitions,
        settings: Settings,
        mailboxes: Mailboxes,
        on_gap: Callable[[set[str]], None],
    ) -> None:
        self.name = settings.name
        self.mailboxes = mailboxes
        # Messages that this process has sent to itself, by correlation.
        self.own: dict[str, str] = {}
        # Connections of an interface server, by local name.
        self.sinks: dict[str, Sink] = {}
        self._partitions = partitions
        self._settings = settings
        self._on_gap = on_gap
        self._groups: dict[str, Group] = {}
        self._known = {number: Known() for number in range(partitions.count)}
        self._inbox = partitions.of(self.name)
        self._tasks: list[asyncio.Task[None]] = []
        self._untold = {"m": 0, "a": 0}
        self._due = asyncio.Event()
        # How many entries were read, and by how many more were taken of the inbox.
        self._read = 0
        self._ahead = 0
        self._compare_at = 0.0
        self._doubtful_until = 0.0

    async def start(self) -> None:
        """Makes the node known, and serves it from now on. Fails where the layout is another one."""
        for partition in self._known:
            await self._renew(partition)
        keepers = (self._keep_alive(), self._keep_promoting(), self._read_inbox())
        self._tasks = [asyncio.create_task(keeper) for keeper in keepers]

    async def stop(self) -> None:
        """Ends the node, so that nothing of it is left in Redis."""
        await tasks.end(self._tasks)
        for partition in self._known:
            while not await self._partitions.call("close", partition, self.name):
                pass

    # The lease.

    async def _keep_alive(self) -> None:
        outage = Outage("renewing the lease of this process")
        while True:
            await asyncio.sleep(self._settings.lease / 3)
            self._sweep()
            for partition in self._known:
                try:
                    await self._renew(partition)
                    outage.worked()
                except TidegateError as error:
                    outage.failed(error)

    async def _renew(self, partition: int) -> None:
        known = self._known[partition]
        layout = f"{VERSION}/{self._partitions.count}"
        seen = f"#{known.turn} {known.epoch}"
        answer = await self._partitions.call(
            "upkeep", partition, layout, micros(self._settings.lease), new_id(), seen, self.name
        )
        check_layout(answer[0], self._partitions.count)
        since = {answer[7][i].decode(): int(answer[7][i + 1]) for i in range(0, len(answer[7]), 2)}
        known.turn = max(known.turn, int(answer[4]))
        epoch, known_since = answer[1].decode(), since.get(self.name)
        if known.since is not None and (known.epoch, known.since) != (epoch, known_since):
            await self._join_again(partition)
        # Not before that: a join that failed is made again with the next renewal.
        known.epoch, known.since = epoch, known_since

    async def _join_again(self, partition: int) -> None:
        """Registers groups again that a partition has forgotten; their members may have missed messages."""
        forgotten = {
            name
            for name in self._groups
            if partition == self._inbox or self._partitions.of(name) == partition
        }
        if forgotten:
            logger.warning(
                "Redis has lost %s of this process's groups; joining them again", len(forgotten)
            )
        for name in forgotten:
            group = self._groups.get(name)
            if group is not None and self._partitions.of(name) == partition:
                count = await self._partitions.call("join", partition, self.name, name)
                group.count = max(group.count, int(count)) if int(count) >= 0 else group.count
        if partition == self._inbox:
            self._read, self._ahead = 0, 0
            self._forget_own()
        self._report_gap(forgotten)

    def _report_gap(self, names: set[str]) -> None:
        members = {
            local for name in names if name in self._groups for local in self._groups[name].members
        }
        if members:
            self._on_gap(members)

    def is_due_later(self) -> None:
        """Has the moment looked up at which the next delayed message is due."""
        self._due.set()

    async def _keep_promoting(self) -> None:
        while True:
            wait = PROMOTE_SECONDS
            for partition in self._known:
                try:
                    answer = await self._partitions.call("promote", partition)
                except TidegateError:
                    continue
                if int(answer[0]) >= 0:
                    wait = min(wait, int(answer[0]) / 1_000_000)
            self._due.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(wait, 0.01)):
                    await self._due.wait()

    # The inbox.

    async def _read_inbox(self) -> None:
        line: Line | None = None
        outage = Outage("reading the inbox of this process")
        key = f"{self._partitions.base(self._inbox)}inbox:{self.name}"
        command = ("BLMPOP", f"{BLOCK_SECONDS:g}", 1, key, "LEFT", "COUNT", ENTRIES_AT_ONCE)
        try:
            while True:
                try:
                    if line is None:
                        line = await self._partitions.line(self._inbox)
                    [popped] = await line.run(
                        [command], wait=BLOCK_SECONDS + self._partitions.timeout
                    )
                    if isinstance(popped, Exception):
                        raise popped
                    outage.worked()
                except Exception as error:
                    outage.failed(error)
                    self._doubtful_until = time.monotonic() + BLOCK_SECONDS + 1
                    self._partitions.forget(self._inbox)
                    await self._broken(line)
                    line = None
                    continue
                self._hand_over_all(popped[1] if popped else [])
                await self._tell_and_compare()
        finally:
            if line is not None:
                await line.close()

    async def _broken(self, line: Line | None) -> None:
        if line is not None:
            with contextlib.suppress(Exception):
                await line.close()
        await asyncio.sleep(PAUSE_SECONDS)

    def _hand_over_all(self, entries: list[bytes]) -> None:
        deliveries: list[tuple[str, bytes]] = []
        self._read += len(entries)
        for raw in entries:
            kind = chr(raw[0]) if raw else ""
            if kind in self._untold:
                self._untold[kind] += len(raw)
            try:
                self._hand_over(inbox_entry(raw), deliveries)
            except (ValueError, TypeError, KeyError) as error:
                logger.warning("an entry of the inbox cannot be read, and is dropped: %r", error)
        if deliveries:
            self._put(deliveries)

    def _put(self, deliveries: list[tuple[str, bytes]]) -> None:
        for key in self.mailboxes.put(deliveries):
            logger.info("a message is dropped: channel %s%s is over capacity", self.name, key)

    def _hand_over(self, entry: InboxEntry, deliveries: list[tuple[str, bytes]]) -> None:
        fields = entry.fields
        match entry.name:
            case "message":
                local, content = text_in(fields, "to"), content_in(fields)
                key = mailbox_key(local)
                own = self.own.pop(text_in(fields, "correlation"), None)
                if own is not None:
                    self.mailboxes.arrived(own)
                if local in self.sinks:
                    self.sinks[local].message(content, False)
                elif not self._settings.is_interface:
                    deliveries.append((key, content))
            case "answer":
                sink = self.sinks.get(text_in(fields, "to"))
                if sink is not None:
                    sink.answer(int(fields["order"]), list(fields["replies"]), fields["done"])
            case "group":
                name, content = text_in(fields, "group"), content_in(fields)
                # Messages before it keep their place.
                self._put(deliveries)
                deliveries.clear()
                self._hand_to_members(name, content)
            case "join":
                name, local = text_in(fields, "group"), text_in(fields, "local")
                self._member(name, local, int(fields["count"]))
                if self._settings.is_interface and local not in self.sinks:
                    # The connection is over already.
                    self._leave_soon(name, local)
            case "leave":
                self._leave_soon(text_in(fields, "group"), text_in(fields, "local"))
            case "leave_all":
                self.leave_all(text_in(fields, "local"))

    def _hand_to_members(self, name: str, content: bytes) -> None:
        group = self._groups.get(name)
        if group is None:
            return
        now = time.monotonic()
        members = [local for local, until in group.members.items() if until > now]
        if self._settings.is_interface:
            for local in members:
                if local in self.sinks:
                    self.sinks[local].message(content, True)
            return
        full = self.mailboxes.put((mailbox_key(local), content) for local in members)
        if full:
            logger.info(
                "%s of %s channels over capacity in group %s", len(full), len(members), name
            )

    async def _tell_and_compare(self) -> None:
        now = time.monotonic()
        told = dict(self._untold)
        if sum(told.values()) >= self._settings.inbox_bytes / 16:
            self._untold = {"m": 0, "a": 0}
            try:
                await self._partitions.call("taken", self._inbox, self.name, told["m"], told["a"])
            except TidegateError:
                # They still count as room that is taken, so they are told of again.
                for kind, size in told.items():
                    self._untold[kind] += size
        if now >= self._compare_at or now < self._doubtful_until:
            await self._compare(now)

    async def _compare(self, now: float) -> None:
        """Notices entries that were taken of the inbox and never came."""
        try:
            put, waiting = await self._partitions.call("put", self._inbox, self.name)
        except TidegateError:
            return
        self._compare_at = now + COMPARE_SECONDS
        ahead = int(put) - int(waiting) - self._read
        lost, self._ahead = ahead - self._ahead, ahead
        if lost > 0:
            logger.warning("%s entries of the inbox were lost with a connection", lost)
            self._forget_own()
            self._report_gap(set(self._groups))

    def _forget_own(self) -> None:
        """Expects no message to this process itself any more, since some of them may be lost."""
        for key in self.own.values():
            self.mailboxes.arrived(key)
        self.own.clear()

    # Memberships.

    async def join(self, name: str, local: str) -> None:
        """Makes a channel of this node a member of a group, or renews its membership."""
        while True:
            group = self._groups.setdefault(name, Group())
            async with group.joining:
                if self._groups.get(name) is not group:
                    # Its last member has left meanwhile.
                    continue
                if not group.members:
                    await self._register(name, group)
                group.members[local] = time.monotonic() + self._settings.group_expiry
                return

    async def _register(self, name: str, group: Group) -> None:
        partition = self._partitions.of(name)
        count = int(await self._partitions.call("join", partition, self.name, name))
        if count < 0:
            await self._renew(partition)
            count = int(await self._partitions.call("join", partition, self.name, name))
        group.count = max(group.count, count)

    async def leave(self, name: str, local: str) -> None:
        """Ends a membership; does nothing where there is none."""
        group = self._groups.get(name)
        if group is None or group.members.pop(local, None) is None or group.members:
            return
        await self._deregister(name, group)

    async def _deregister(self, name: str, group: Group) -> None:
        async with group.joining:
            if not group.members and self._groups.get(name) is group:
                del self._groups[name]
                partition = self._partitions.of(name)
                await self._partitions.call("leave", partition, self.name, name, group.count)

    def leave_all(self, local: str) -> None:
        """Ends all memberships of a channel, soon."""
        for name in [name for name, group in self._groups.items() if local in group.members]:
            self._leave_soon(name, local)

    def _member(self, name: str, local: str, count: int) -> None:
        # A count of 0 says that the partition does not know the node: the sender joins once more.
        if count > 0:
            group = self._groups.setdefault(name, Group())
            group.count = max(group.count, count)
            # That of a connection ends with it.
            span = math.inf if self._settings.is_interface else self._settings.group_expiry
            group.members[local] = time.monotonic() + span

    def _leave_soon(self, name: str, local: str) -> None:
        self._run_quietly(self.leave(name, local))

    def _run_quietly(self, work: Coroutine[Any, Any, None]) -> None:
        async def run() -> None:
            with contextlib.suppress(TidegateError):
                await work

        task = asyncio.create_task(run())
        self._tasks.append(task)
        task.add_done_callback(self._tasks.remove)

    def _sweep(self) -> None:
        self.mailboxes.sweep()
        now = time.monotonic()
        for name, group in list(self._groups.items()):
            for local in [local for local, until in group.members.items() if until <= now]:
                self._leave_soon(name, local)
            if not group.members and not group.joining.locked():
                # A join that failed may have registered the node.
                self._run_quietly(self._deregister(name, group))

    def forget_all(self) -> None:
        """Forgets all memberships, when the layer was flushed."""
        self._groups.clear()
        self.own.clear()


def mailbox_key(local: str) -> str:
    """Returns the key of the mailbox of a channel of this node; named channels have none like it."""
    return f"!{local}"


def micros(seconds: float) -> int:
    """Returns a span as scripts take it."""
    return int(seconds * 1_000_000)


def check_layout(layout: Any, partitions: int) -> None:
    """Refuses data of another version, or with another number of partitions."""
    there = layout.decode() if isinstance(layout, bytes) else str(layout)
    if there == f"{VERSION}/{partitions}":
        return
    version, _, count = there.partition("/")
    if version == str(VERSION) and count.isdigit():
        fix = f"set partitions={count}, as all processes of the application have"
    else:
        fix = f"this package reads version {VERSION}: install one that reads {version}, or use another prefix"
    raise LayoutError(f"the data in Redis has layout {there}, not {VERSION}/{partitions}; {fix}")
