"""The layer for a program with an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from .cluster import Partitions
from .content import Message, decode, encode
from .errors import (
    ChannelFull,
    Closed,
    ConfigError,
    ForeignChannel,
    InvalidName,
    LayerUnavailable,
    TidegateError,
)
from .intake import Intake, Reader
from .mailbox import Mailboxes
from .names import NAME_BYTES, check_channel, check_group, check_named, new_id
from .node import Node, Settings, check_layout, mailbox_key, micros
from .options import Options
from .wire import (
    VERSION,
    answer_entry,
    event_payload,
    group_entry,
    join_entry,
    leave_entry,
    message_entry,
    payload,
)

logger = logging.getLogger("tidegate")

DEFAULT_PREFIX = "specific"
LONGEST_DELAY_SECONDS = 86_400.0
# What `flush` deletes: messages and memberships, and the epoch, by which nodes notice it.
_FLUSHED = re.compile(
    r"(channel|group|registrations|inbox|bytes|put|wake):.*|ready|groups|later|later:messages|leased"
    r"|leased:messages|epoch",
    re.DOTALL,
)


@dataclass(frozen=True)
class GroupSent:
    """Counts the nodes and named channels that took a message to a group, and those without room."""

    reached: int
    missed: int


class Client:
    """Takes part in the layer, for one event loop.

    Settings are those of `Options`. Nothing is connected before the first call. Close it at the end,
    or use `async with`, so that nothing of this process is left in Redis.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        node_prefix: str = "python-",
        on_gap: Callable[[set[str]], None] | None = None,
        is_interface: bool = False,
        **settings: Any,
    ) -> None:
        self.options = options(url, settings)
        topology = self.options.topology()
        count = self.options.partitions or topology.partitions
        self.partitions = Partitions(topology, self.options.prefix, count, self.options.timeout)
        self.id = new_id()
        self.node_name = f"{node_prefix}{self.id}"
        self._pattern_capacity = self.options.capacities()
        self.mailboxes = Mailboxes(self.options.expiry, self._capacity_of, self._want)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._on_gap = on_gap
        self._is_interface = is_interface
        self._node: Node | None = None
        self._intake = Intake(self.partitions, self.mailboxes, self.options.lease)
        self._starting = asyncio.Lock()
        self._checked: set[int] = set()
        self._is_closed = False

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    # Sending.

    async def send(self, channel: str, message: Mapping[str, Any]) -> bool:
        """Sends to a channel. False where it belongs to a process that is gone.

        Raises `ChannelFull`, and `InvalidName`, `InvalidMessage` or `MessageTooLarge` for what the
        layer does not take.
        """
        return await self.send_content(channel, self.encode(message))

    async def send_content(self, channel: str, content: bytes) -> bool:
        """Sends bytes that `encode` has made."""
        node, local = check_channel(channel)
        if not local:
            await self._send_named(check_named(channel), content)
            return True
        if self._node is not None and node == self._node.name:
            return await self._send_to_self(self._node, channel, local, content)
        return await self._deliver(node, channel, message_entry(local, content, new_id()))

    async def _send_named(self, channel: str, content: bytes) -> None:
        partition = await self._partition_of(channel)
        capacity, life = self._pattern_capacity(channel), micros(self.options.expiry)
        arguments = (channel, capacity, life, payload(content))
        outcome, _ = await self.partitions.call("send", partition, *arguments)
        if outcome == b"full":
            raise ChannelFull(f"channel {channel} is full: it holds {capacity} messages")
        if outcome != b"ok":
            raise LayerUnavailable(f"channel {channel}: {outcome.decode()}")

    async def send_event(
        self, event: Message, correlation: str, capacity: int, seconds: float
    ) -> bool:
        """Sends an event of a connection to a worker, which finds its route. False if too many wait."""
        channel = str(event["type"])
        partition = await self._partition_of(channel)
        arguments = (channel, capacity, micros(seconds), event_payload(event, correlation))
        outcome, _ = await self.partitions.call("send", partition, *arguments)
        if outcome not in (b"ok", b"full"):
            raise LayerUnavailable(f"channel {channel}: {outcome.decode()}")
        return bool(outcome == b"ok")

    async def answer(
        self, channel: str, order: int, replies: list[Message], done: Message | None
    ) -> bool:
        """Answers an event of a connection, as a worker does. False where the connection's process is gone."""
        node, local = check_channel(channel)
        return await self._deliver(node, channel, answer_entry(local, order, replies, done))

    async def reader(self, channel: str) -> Reader:
        """Returns what reads a channel of events, as a worker does."""
        await self._partition_of(channel)
        return Reader(self.partitions, channel, self.options.lease)

    async def _send_to_self(self, node: Node, channel: str, local: str, content: bytes) -> bool:
        key, correlation = mailbox_key(local), new_id()
        if not self.mailboxes.expect(key):
            raise ChannelFull(
                f"channel {channel} is full: it holds {self._capacity_of(key)} messages"
            )
        node.own[correlation] = key
        is_there = False
        try:
            entry = message_entry(local, content, correlation)
            is_there = await self._deliver(node.name, channel, entry)
        finally:
            if not is_there and node.own.pop(correlation, None) is not None:
                self.mailboxes.arrived(key)
        return is_there

    async def _deliver(self, node: str, channel: str, entry: bytes) -> bool:
        partition = await self._partition_of(node)
        limit = self.options.inbox_bytes
        [outcome] = await self.partitions.call("deliver", partition, node, limit, entry)
        if outcome == b"full":
            raise ChannelFull(f"channel {channel}: the inbox of its process holds {limit} bytes")
        if outcome not in (b"ok", b"gone"):
            raise LayerUnavailable(f"channel {channel}: {outcome.decode()}")
        return bool(outcome == b"ok")

    async def send_later(self, channel: str, message: Mapping[str, Any], delay: float) -> None:
        """Sends after `delay` seconds, a day at most. It outlives this process."""
        node, local = check_channel(channel)
        content = self.encode(message)
        if not 0 <= delay <= LONGEST_DELAY_SECONDS:
            raise ConfigError(f"the delay is {delay!r} s; it is 0 to {LONGEST_DELAY_SECONDS:g}")
        name, kind, limit = node, "node", self.options.inbox_bytes
        if local:
            entry = message_entry(local, content, new_id())
        else:
            check_named(channel)
            kind, limit, entry = "channel", self._pattern_capacity(channel), payload(content)
        partition = await self._partition_of(name)
        most, life = self.options.delayed_messages, micros(self.options.expiry)
        arguments = (new_id(), micros(delay), most, kind, name, limit, life, entry)
        if not await self.partitions.call("later", partition, *arguments):
            raise ChannelFull(f"{most} messages wait to be sent later already (`delayed_messages`)")
        if self._node is not None:
            self._node.is_due_later()

    # Groups.

    async def group_add(self, group: str, channel: str) -> bool:
        """Makes a channel a member, or renews its membership. False where its process is gone."""
        check_group(group)
        node, local = check_channel(channel)
        partition = await self._partition_of(group)
        if not local:
            check_named(channel)
            life = micros(self.options.group_expiry)
            await self.partitions.call("join_named", partition, group, channel, life)
            return True
        if node == self.node_name:
            await (await self.serve()).join(group, local)
            return True
        count = int(await self.partitions.call("join", partition, node, group))
        is_there = await self._deliver(node, channel, join_entry(local, group, max(count, 0)))
        if is_there and count < 0:
            raise LayerUnavailable(
                f"{node} has not renewed its lease where group {group} is; try again"
            )
        return is_there

    async def group_discard(self, group: str, channel: str) -> None:
        """Ends a membership; does nothing where there is none."""
        check_group(group)
        node, local = check_channel(channel)
        if not local:
            partition = await self._partition_of(group)
            await self.partitions.call("leave_named", partition, group, channel)
        elif node != self.node_name:
            await self._deliver(node, channel, leave_entry(local, group))
        elif self._node is not None:
            await self._node.leave(group, local)

    async def group_send(self, group: str, message: Mapping[str, Any]) -> GroupSent:
        """Sends to all members of a group. Members that have no room are left out, and counted."""
        return await self.group_send_content(group, self.encode(message))

    async def group_send_content(self, group: str, content: bytes) -> GroupSent:
        """Sends bytes that `encode` has made to all members."""
        partition = await self._partition_of(check_group(group))
        nodes, channels = await self.partitions.call("members", partition, group)
        entry, limit = group_entry(group, content), self.options.inbox_bytes
        calls: dict[tuple[str, int], list[str | bytes | int]] = {}
        for node in nodes:
            arguments = calls.setdefault(("deliver", self.partitions.of(node.decode())), [])
            arguments += [node, limit, entry]
        life = micros(self.options.expiry)
        for name in channels:
            channel = name.decode()
            arguments = calls.setdefault(("send", self.partitions.of(channel)), [])
            arguments += [channel, self._pattern_capacity(channel), life, payload(content)]
        answers = await asyncio.gather(
            *(
                self.partitions.call(script, at, *arguments)
                for (script, at), arguments in calls.items()
            )
        )
        taken = sum(answer.count(b"ok") for answer in answers)
        missed = len(nodes) + len(channels) - taken
        if missed:
            total = len(nodes) + len(channels)
            logger.info("%s of %s channels over capacity in group %s", missed, total, group)
        return GroupSent(taken, missed)

    # Receiving.

    async def new_channel(self, prefix: str = DEFAULT_PREFIX) -> str:
        """Returns a new channel that this process alone receives from. Nobody guesses its name."""
        name = channel_name(self.node_name, prefix)
        await self.serve()
        return name

    async def receive(self, channel: str) -> Message:
        """Waits for the next message of a channel. Cancellation loses none."""
        key = self.key_of(channel)
        await self.serve()
        return await self.take(key)

    def key_of(self, channel: str) -> str:
        """Returns the key of the mailbox of a channel that this process may receive from."""
        node, local = check_channel(channel)
        if not local:
            return check_named(channel)
        if node != self.node_name:
            raise ForeignChannel(
                f"{channel} belongs to another process, or to this one before it was forked; receive"
                f" from channels of {self.node_name}, which new_channel() makes"
            )
        return mailbox_key(local)

    def _want(self, key: str) -> None:
        """Has a named channel read for a receiver that waits, whatever its thread."""
        if not key.startswith("!") and self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._intake.want, key)

    async def take(self, key: str) -> Message:
        """Waits for the next message of a mailbox, in any event loop."""
        while True:
            content = await self.mailboxes.take(key)
            try:
                return decode(content)
            except (ValueError, TypeError) as error:
                logger.warning("a message cannot be read, and is dropped: %s", error)

    @property
    def is_serving(self) -> bool:
        """Whether this process is known to others as a node."""
        return self._node is not None

    async def serve(self) -> Node:
        """Makes this process known to others as a node, once."""
        if self._node is not None:
            return self._node
        async with self._starting:
            if self._is_closed:
                raise Closed("the client is closed; make another one")
            if self._node is None:
                options = self.options
                settings = Settings(
                    self.node_name,
                    options.lease,
                    options.inbox_bytes,
                    options.group_expiry,
                    self._is_interface,
                )
                node = Node(self.partitions, settings, self.mailboxes, self._gap)
                await node.start()
                self._node, self._loop = node, asyncio.get_running_loop()
            return self._node

    def _gap(self, locals_: set[str]) -> None:
        if self._on_gap is not None:
            self._on_gap(locals_)

    # The rest.

    def encode(self, message: Mapping[str, Any]) -> bytes:
        """Returns the bytes of a message, checked."""
        return encode(message, self.options.message_bytes)

    def _capacity_of(self, key: str) -> int:
        if not self.options.channel_capacity:
            return self.options.capacity
        if not key.startswith("!"):
            return self._pattern_capacity(key)
        # By the name that Channels gives such a channel: the prefix stands first there.
        prefix, _, local = key[1:].rpartition(".")
        return self._pattern_capacity(f"{prefix or DEFAULT_PREFIX}.{self.id}!{local}")

    async def _partition_of(self, name: str) -> int:
        partition = self.partitions.of(name)
        if partition not in self._checked:
            ours = f"{VERSION}/{self.partitions.count}"
            lease = micros(self.options.lease)
            answer = await self.partitions.call("upkeep", partition, ours, lease, new_id())
            check_layout(answer[0], self.partitions.count)
            self._checked.add(partition)
        return partition

    async def flush(self) -> None:
        """Deletes all messages and memberships of the application. Other processes notice it."""
        for partition in range(self.partitions.count):
            base = self.partitions.base(partition)
            pattern = re.sub(r"([*?\[\]\\])", r"\\\1", base) + "*"
            cursor: Any = 0
            while True:
                found = await self.partitions.command(
                    partition, "SCAN", cursor, "MATCH", pattern, "COUNT", 1000
                )
                cursor, keys = int(found[0]), [key.decode() for key in found[1]]
                old = [key for key in keys if _FLUSHED.fullmatch(key[len(base) :])]
                if old:
                    await self.partitions.command(partition, "DEL", *old)
                if cursor == 0:
                    break
        if self._node is not None:
            self._node.forget_all()
        self.mailboxes.clear()

    async def close(self) -> None:
        """Ends the node and all connections."""
        self._is_closed = True
        await self._intake.stop()
        if self._node is not None:
            with contextlib.suppress(TidegateError):
                await self._node.stop()
            self._node = None
        self.mailboxes.fail(Closed("the client is closed; make another one"))
        await self.partitions.close()


def options(url: str | None, settings: dict[str, Any]) -> Options:
    """Returns the settings, or says which of them there is not."""
    known = Options.__dataclass_fields__
    unknown = [name for name in settings if name not in known]
    if unknown:
        raise ConfigError(
            f"there is no setting {unknown[0]!r}; there are {', '.join(sorted(known))}"
        )
    if url is not None:
        settings = {"url": url, **settings}
    return Options(**settings)


def channel_name(node: str, prefix: str) -> str:
    """Returns a new name of a channel of a node."""
    local = new_id() if prefix == DEFAULT_PREFIX else f"{prefix}.{new_id()}"
    name = f"{node}!{local}"
    room = NAME_BYTES - len(node) - len(f"!.{new_id()}")
    if len(name) > NAME_BYTES:
        raise InvalidName(
            f"the prefix {prefix!r} has {len(prefix)} characters, and {room} are allowed"
        )
    check_channel(name)
    return name
