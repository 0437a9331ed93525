"""The in-memory layer of the test host: channels, groups, connections and the clock."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from tidegate_sdk.codec import messagepack
from tidegate_sdk.codec.readers import reader
from tidegate_sdk.entries import ChannelTrigger, Entry, HttpTrigger, Remembering
from tidegate_sdk.exports import Consumers
from tidegate_sdk.frame import Close
from tidegate_sdk.testing import forms, histories
from tidegate_sdk.testing import members as membership
from tidegate_sdk.testing.connection import Connection, Http, Websocket
from tidegate_sdk.testing.data import Data
from tidegate_sdk.testing.delivery import Delivery
from tidegate_sdk.testing.histories import Histories
from tidegate_sdk.testing.sessions import Lookup, Sessions, take_cookie
from tidegate_sdk.wire import ChannelMessage, Event, Fetch, Headers, HttpDisconnect, User, WebsocketDisconnect

_NOT_GRANTED = "/dev/null/not-granted"


@dataclass(frozen=True)
class Job:
    """An event that waits for its consumer."""

    entry: Entry
    event: Event
    connection: str | None
    correlation: str
    delivery: Delivery | None = None
    """None for an event of a connection."""


@dataclass(frozen=True)
class _Later:
    """A message that waits for its moment."""

    key: str | None
    """The key of its timer, if it has one."""
    channel: str
    content: bytes
    correlation: str
    again: Delivery | None = None
    """Of a message that was delivered before."""


@dataclass(frozen=True, eq=False)
class Waiting:
    """A request to a server outside that waits for its answer."""

    request: Fetch
    correlation: str
    attempts: int = 1
    """The number of times that it was made."""

    @property
    def method_and_url(self) -> str:
        return f"{self.request.method} {self.request.url}"


@dataclass(frozen=True)
class LogLine:
    """A line that a consumer logged."""

    consumer: str
    """The consumer."""
    level: str
    """`trace`, `debug`, `info`, `warn` or `error`."""
    text: str
    """The line."""


@dataclass(frozen=True)
class Fault:
    """A run that failed."""

    consumer: str
    """The consumer."""
    text: str
    """Why, for the record: the exception with the place, as in `ValueError: boom (at app.py:7)`."""


@dataclass(frozen=True)
class Sent:
    """A message that was sent."""

    content: bytes
    """The content, MessagePack."""

    def read(self, kind: Any = Any) -> Any:
        """Reads the content as a type, such as a dataclass or `dict`."""
        return reader(kind)(messagepack.unpackb(self.content))


# An entry of an outbox: its kind and its content.
Item = tuple[str, Any]


@dataclass
class World:
    """Everything that the test host knows."""

    consumers: type[Consumers]
    module: str = "test"
    granted: set[str] = field(default_factory=set)
    granted_data: set[str] = field(default_factory=set)
    reachable: list[str] = field(default_factory=list)
    """The servers that the module may reach."""
    signs_in: bool = False
    """Whether it may sign users in and out."""
    sessions: Sessions = field(default_factory=Sessions)
    prepared: list[tuple[str, tuple[int, Headers, bytes] | str]] = field(default_factory=list)
    """Answers, or reasons of failures, to requests that runs wait for, by method and URL."""
    data: Data = field(default_factory=Data)
    changes: list[Callable[[], None]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    directories: dict[str, str] = field(default_factory=dict)
    epoch: float = field(default_factory=time.time)
    now: int = 0
    """Milliseconds since the test began."""
    connections: dict[str, Connection] = field(default_factory=dict)
    groups: dict[str, dict[str, None]] = field(default_factory=dict)
    members: membership.Groups = field(default_factory=membership.Groups)
    """The members that are present in groups."""
    histories: Histories = field(default_factory=Histories)
    """What groups remember."""
    queue: deque[Job] = field(default_factory=deque)
    fetches: list[Waiting] = field(default_factory=list)
    sent: list[tuple[str, Sent]] = field(default_factory=list)
    group_sent: list[tuple[str, Sent]] = field(default_factory=list)
    logs: list[LogLine] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    drops: list[str] = field(default_factory=list)
    _later: dict[tuple[int, int], _Later] = field(default_factory=dict)
    _counter: int = 0

    def clock(self) -> float:
        """The time that consumers see, in seconds since 1970."""
        return self.epoch + self.now / 1000

    def look_up(self, fields: Headers, user: User | None) -> tuple[Headers, User | None, Lookup | None]:
        """Takes the cookie of a session out of a request. Nobody looks at it who has brought a user besides."""
        others, id = take_cookie(fields)
        if user is not None:
            return others, user, None
        found = self.sessions.find(id, int(self.clock()))
        return others, found.user if found else None, Lookup(id if found else None)

    def path(self, path: str) -> str:
        """The path on this machine for a path of the module."""
        asked = PurePosixPath(path)
        if ".." in asked.parts:
            return _NOT_GRANTED
        # The innermost one, as in a module.
        for guest in sorted(self.directories, reverse=True):
            if asked.is_relative_to(guest):
                return f"{self.directories[guest]}/{asked.relative_to(guest)}"
        return _NOT_GRANTED

    def next_id(self) -> str:
        self._counter += 1
        return f"{self._counter:032x}"

    def replace(self, consumers: type[Consumers]) -> None:
        """Swaps the consumers. A connection whose consumer is gone closes with code 1012."""
        self.consumers = consumers
        by_name = {entry.name: entry for entry in consumers.entries}
        for channel, connection in list(self.connections.items()):
            if connection.entry is not None:
                connection.entry = by_name.get(connection.entry.name)
                if connection.entry is None:
                    self.close(channel, Close(1012))

    def owner(self, channel: str) -> Entry | None:
        """The consumer that declares a channel."""
        for entry in self.consumers.entries:
            if isinstance(entry.trigger, ChannelTrigger) and entry.trigger.name == channel:
                return entry
        return None

    def commit(self, items: list[Item], connection: str | None, correlation: str) -> None:
        """Does what stands in an outbox, in order."""
        for kind, about in items:
            match kind:
                case "send":
                    channel, content = about
                    self.send(channel, content, correlation)
                case "send-later":
                    channel, content, delay = about
                    self.later(self.now + delay, channel, content, correlation)
                case "group-add":
                    self._group_add(*about)
                case "group-join":
                    self._group_join(*about)
                case "group-discard":
                    group, channel = about
                    self.histories.unfollow(channel, group)
                    self.groups.get(group, {}).pop(channel, None)
                    self.members.leave(channel, self.now, group)
                case "present":
                    self._present(*about)
                case "group-send":
                    group, content = about
                    self.group_send(group, content, correlation)
                case "user-send":
                    user, content = about
                    for channel in self.connections_of(user):
                        self._deliver(channel, content, correlation, Delivery(self.next_id()), from_group=True)
                case _:
                    if connection is not None:
                        self.reply(connection, about, from_group=False)

    def later(self, due: int, channel: str, content: bytes, correlation: str, key: str | None = None) -> None:
        """Sends a message when it is due. One with a key takes the place of the one that has it."""
        if key is not None:
            self.cancel(key)
        self._wait(due, _Later(key, channel, content, correlation))

    def _wait(self, due: int, later: _Later) -> None:
        self._counter += 1
        self._later[max(due, self.now), self._counter] = later

    def cancel(self, key: str) -> None:
        """Forgets the message of a key."""
        for at, later in list(self._later.items()):
            if later.key == key:
                del self._later[at]

    def send(self, channel: str, content: bytes, correlation: str, delivery: Delivery | None = None) -> None:
        self._deliver(channel, content, correlation, delivery or Delivery(self.next_id()), from_group=False)
        self.sent.append((channel, Sent(content)))

    def deliver_again(self, job: Job) -> None:
        """Its consumer has failed: on a channel with retries the message comes again, or goes to the dead letters."""
        trigger, message, delivery = job.entry.trigger, job.event, job.delivery
        if not isinstance(trigger, ChannelTrigger) or not isinstance(message, ChannelMessage) or delivery is None:
            return
        if trigger.retries is None:
            return
        if delivery.attempt > trigger.retries:
            self.send(f"{message.channel}.dead", message.content, job.correlation, Delivery(delivery.id))
            return
        again = _Later(None, message.channel, message.content, job.correlation, delivery.next())
        self._wait(self.now + delivery.pause, again)

    def group_send(self, group: str, content: bytes, correlation: str) -> None:
        remembering = None if forms.is_for_those_present(content) else self.remembering(group)
        position = None if remembering is None else self.histories.remember(group, remembering, content, self.now)
        for member in sorted(self.groups.get(group, {})):
            if position is not None and self.histories.follows(group, member):
                self._deliver_numbered(member, group, position, content)
            else:
                self._deliver(member, content, correlation, Delivery(self.next_id()), from_group=True)
        self.group_sent.append((group, Sent(content)))

    def _deliver(self, channel: str, content: bytes, correlation: str, delivery: Delivery, from_group: bool) -> None:
        if "!" in channel:
            for reply in self._replies(channel, content):
                self.reply(channel, reply, from_group)
        elif (entry := self.owner(channel)) is not None:
            self.queue.append(Job(entry, ChannelMessage(channel, content), None, correlation, delivery))

    def _group_add(self, group: str, channel: str) -> bool:
        """Returns whether the channel is a member now."""
        if "!" in channel and not self._is_alive(channel):
            self.drops.append(f"{group}: {channel} is gone")
            return False
        self.groups.setdefault(group, {})[channel] = None
        return True

    def remembering(self, group: str) -> Remembering | None:
        """How much is kept of a group. None: it is not remembered."""
        return histories.rule(self.consumers.entries, self.module, group)

    def _group_join(self, group: str, channel: str, after: str | None, latest: int) -> None:
        """Makes a connection a member that sees positions, and sends it what it has missed."""
        rule = self.remembering(group)
        if rule is None or self.histories.follows(group, channel) or not self._group_add(group, channel):
            return
        start, page = self.histories.missed(group, rule, after, latest, self.now)
        self.histories.follow(group, channel)
        connection = self.connections[channel]
        if isinstance(connection, Http):
            connection.stand(group, start, page.complete)
        else:
            self.reply(channel, forms.Send(histories.stands(group, start, page.complete)), from_group=True)
        for message in page.messages:
            self._deliver_numbered(channel, group, message.position, message.content)

    def _deliver_numbered(self, channel: str, group: str, position: str, content: bytes) -> None:
        """Sends a message with its position to a member that sees them."""
        connection = self.connections[channel]
        for reply in self._replies(channel, content):
            if isinstance(connection, Http):
                if not connection.take_numbered(reply, position):
                    self.reply(channel, reply, from_group=True)
            elif isinstance(reply, forms.Send):
                frame = histories.numbered(group, position, reply.frame)
                self.reply(channel, forms.Send(frame), from_group=True)
            else:
                self.reply(channel, reply, from_group=True)

    def _replies(self, channel: str, content: bytes) -> list[forms.Reply]:
        """The replies that a message to a connection stands for."""
        try:
            return forms.replies(content)
        except ValueError as error:
            self.drops.append(f"{channel}: {error}")
            return []

    def _present(self, group: str, channel: str, key: str, facts: bytes) -> None:
        self._group_add(group, channel)
        if not self._is_alive(channel):
            return
        is_own = group.startswith(f"{self.module}.")
        # How members of a group of another module are announced is up to that module.
        rule = membership.rule(self.consumers.entries, group.removeprefix(f"{self.module}.") if is_own else None)
        listing = self.members.join(group, rule, channel, key, facts, self.now)
        if listing is not None:
            self._tell(channel, listing)

    def _tell(self, channel: str, told: str) -> None:
        """Tells a client who is in a group, as JSON."""
        is_http = isinstance(self.connections.get(channel), Http)
        event = forms.Part(f"event: presence\ndata: {told}\n\n".encode())
        self.reply(channel, event if is_http else forms.Send(f'{{"presence":{told}}}'), from_group=True)

    def announce(self) -> bool:
        """Announces who came to groups and left them. Returns whether there was anything to announce."""
        found = self.members.announce(self.now)
        for it in found:
            if it.for_clients is not None:
                for member in sorted(self.groups.get(it.group, {})):
                    if "!" in member:
                        self._tell(member, it.for_clients)
            if it.for_channels is not None:
                for channel in it.channels:
                    self.send(channel, it.for_channels, self.next_id())
        return bool(found)

    def _is_alive(self, channel: str) -> bool:
        connection = self.connections.get(channel)
        return connection is not None and connection.is_alive

    def connections_of(self, user: str) -> list[str]:
        """The connections of a user: WebSockets, and requests on hold."""
        return sorted(
            channel
            for channel, it in self.connections.items()
            if it.user is not None and it.user.id == user
            if it.is_alive and (isinstance(it, Websocket) or it.hold is not None)
        )

    def reply(self, channel: str, reply: forms.Reply, from_group: bool) -> None:
        """Does something to a connection."""
        connection = self.connections.get(channel)
        if connection is None:
            self.drops.append(f"{channel}: no such connection")
            return
        was_alive = connection.is_alive
        try:
            connection.apply(reply, from_group, self.now)
        except ValueError as error:
            self.drops.append(f"{channel}: {error}")
        if was_alive and isinstance(connection, Websocket) and connection.phase == "closed":
            self._websocket_ended(channel, connection)
        elif not connection.is_alive:
            self.leave_groups(channel)

    def close(self, channel: str, close: Close) -> None:
        """Closes a WebSocket that is open, from either side."""
        connection = self.connections.get(channel)
        if isinstance(connection, Websocket) and connection.phase == "open":
            connection.phase, connection.closed = "closed", close
            self._websocket_ended(channel, connection)

    def _websocket_ended(self, channel: str, websocket: Websocket) -> None:
        self.leave_groups(channel)
        close, scope = websocket.closed, websocket.scope
        if websocket.entry is None or close is None:
            return
        order = websocket.order + 1
        event = WebsocketDisconnect(channel, scope.path, scope.path_params, order, close.code, close.reason)
        self.queue.append(Job(websocket.entry, event, channel, self.next_id()))

    def leave_groups(self, channel: str) -> None:
        self.members.leave(channel, self.now)
        self.histories.unfollow(channel)
        for channels in self.groups.values():
            channels.pop(channel, None)

    def http_left(self, channel: str) -> None:
        """The client of a request goes away."""
        connection = self.connections.get(channel)
        if not isinstance(connection, Http) or not connection.is_alive:
            return
        connection.has_left = True
        self.leave_groups(channel)
        entry, scope = connection.entry, connection.scope
        if entry is not None and isinstance(entry.trigger, HttpTrigger) and entry.trigger.disconnect:
            event = HttpDisconnect(channel, scope.path, scope.path_params)
            self.queue.append(Job(entry, event, channel, self.next_id()))

    def next_due(self, end: int) -> bool:
        """Moves the clock to the next thing that is due until `end`, and does it."""
        holds = [
            (connection.hold[0], channel)
            for channel, connection in self.connections.items()
            if isinstance(connection, Http) and connection.hold is not None and connection.is_alive
        ]
        message, hold = min(self._later, default=None), min(holds, default=None)
        change = self.members.due()
        others = [at[0] for at in (message, hold) if at is not None]
        if change is not None and change <= end and all(change < other for other in others):
            self.now = change
            return True
        if message is not None and message[0] <= end and (hold is None or message[0] <= hold[0]):
            self.now = message[0]
            later = self._later.pop(message)
            if later.again is None:
                self.send(later.channel, later.content, later.correlation)
            else:
                self._deliver(later.channel, later.content, later.correlation, later.again, from_group=False)
            return True
        if hold is not None and hold[0] <= end:
            self.now = hold[0]
            held = self.connections[hold[1]]
            if isinstance(held, Http):
                held.expire()
            self.leave_groups(hold[1])
            return True
        self.now = end
        return False


def scope_headers(headers: Headers) -> Headers:
    """Header fields as the host gives them: names in lower case, cookies joined."""
    found: Headers = []
    for name, value in ((name.lower(), value) for name, value in headers):
        known = next((at for at, (it, _) in enumerate(found) if it == name == "cookie"), None)
        if known is None:
            found.append((name, value))
        else:
            found[known] = (name, found[known][1] + b"; " + value)
    return found
