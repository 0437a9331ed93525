"""The members of the groups of a test host, and what is announced of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tidegate_sdk.codec import jsons, messagepack
from tidegate_sdk.entries import ChannelTrigger, Entry
from tidegate_sdk.presences import PresenceChange
from tidegate_sdk.wire import Members


@dataclass(frozen=True)
class Rule:
    """How a group announces who comes and goes. Times are in milliseconds."""

    leave_after: int = 10_000
    interval: int = 1_000
    list: int = 100
    tells_clients: bool = False
    channels: tuple[str, ...] = ()

    @property
    def tells_anybody(self) -> bool:
        return self.tells_clients or bool(self.channels)


def rule(entries: Iterable[Entry], name: str | None) -> Rule:
    """What consumers declare about a group, whose name has no module's part. There is none of another module's."""
    if name is None:
        return Rule()
    found = [(it.trigger, it.presence) for it in entries if it.presence and _names(it.presence.groups, name)]
    if not found:
        return Rule()
    declared = [presence for _, presence in found]
    return Rule(
        max(it.leave_after for it in declared),
        max(it.interval for it in declared),
        max(it.list for it in declared),
        any(not isinstance(trigger, ChannelTrigger) for trigger, _ in found),
        tuple(trigger.name for trigger, _ in found if isinstance(trigger, ChannelTrigger)),
    )


def _names(patterns: Iterable[str], name: str) -> bool:
    return any(name.startswith(it[:-1]) if it.endswith("*") else name == it for it in patterns)


@dataclass(frozen=True)
class Announcement:
    """What a group tells of its members."""

    group: str
    for_clients: str | None
    """JSON."""
    for_channels: bytes | None
    channels: tuple[str, ...]


@dataclass
class _Held:
    """A member that is there."""

    connections: dict[str, bytes]
    """Facts by channel. The one that gave facts last is the last."""
    facts: bytes
    leaves_at: int | None = None


@dataclass
class _Group:
    name: str
    rule: Rule
    version: int = 0
    announced: int = 0
    members: dict[str, _Held] = field(default_factory=dict)
    changed: dict[str, bool] = field(default_factory=dict)
    """Members that have changed, and whether they were there before."""
    announce_at: int | None = None
    announced_at: int | None = None
    is_counted: bool = False
    """Whether clients have got the count in place of a list."""

    def join(self, channel: str, key: str, facts: bytes, now: int) -> bool:
        """Makes a connection present. Returns whether it is new."""
        held = self.members.get(key)
        was_present = held is not None and channel in held.connections
        if not was_present:
            # It may be another member so far.
            self.leave(channel, now)
        if held is None:
            self.members[key] = _Held({channel: facts}, facts)
            self._touch(key, was_there=False, now=now)
            self.is_counted |= self.rule.tells_clients and not self.is_listed
        else:
            held.connections.pop(channel, None)
            held.connections[channel] = facts
            held.leaves_at = None
            self._show(key, held, facts, now)
        return not was_present

    def leave(self, channel: str, now: int) -> None:
        for key, held in self.members.items():
            if held.connections.pop(channel, None) is None:
                continue
            if held.connections:
                self._show(key, held, list(held.connections.values())[-1], now)
            else:
                held.leaves_at = now + self.rule.leave_after
            return

    def _show(self, key: str, held: _Held, facts: bytes, now: int) -> None:
        if held.facts != facts:
            held.facts = facts
            self._touch(key, was_there=True, now=now)

    def _touch(self, key: str, *, was_there: bool, now: int) -> None:
        self.version += 1
        if not self.rule.tells_anybody:
            self.announced = self.version
            return
        self.changed.setdefault(key, was_there)
        if self.announce_at is None:
            last = self.announced_at
            self.announce_at = now if last is None else max(now, last + self.rule.interval)

    @property
    def is_listed(self) -> bool:
        return len(self.members) <= self.rule.list

    def dues(self) -> list[int]:
        """The moments at which something happens."""
        found = [self.announce_at, *(held.leaves_at for held in self.members.values())]
        return [at for at in found if at is not None]

    def listing(self) -> str:
        """The list of members as JSON, or their number where they are too many."""
        told: dict[str, Any] = {"group": self.name, "version": self.version, "count": len(self.members)}
        if self.is_listed:
            told["members"] = {key: messagepack.unpackb(held.facts) for key, held in sorted(self.members.items())}
        return jsons.dumps(told)

    def announce(self, now: int) -> Announcement | None:
        """Takes what is to be announced now."""
        for key, held in list(self.members.items()):
            if held.leaves_at is not None and held.leaves_at <= now:
                del self.members[key]
                self._touch(key, was_there=True, now=now)
        if self.announce_at is None or self.announce_at > now:
            return None
        self.announce_at = None
        change, passed = self._change()
        has_changes = bool(change.joined or change.updated or change.left)
        for_clients = self._for_clients(change, passed) if self.rule.tells_clients else None
        if for_clients is None and not has_changes:
            return None
        self.announced, self.announced_at = self.version, now
        message = messagepack.packb(change.as_message()) if has_changes else None
        return Announcement(self.name, for_clients, message, self.rule.channels)

    def _change(self) -> tuple[PresenceChange[Any], list[str]]:
        """What has changed, and the members that came and left meanwhile."""
        changed, self.changed = sorted(self.changed.items()), {}
        facts = {key: messagepack.unpackb(self.members[key].facts) for key, _ in changed if key in self.members}
        change = PresenceChange(
            self.name,
            self.announced,
            self.version,
            len(self.members),
            {key: facts[key] for key, was_there in changed if key in facts and not was_there},
            {key: facts[key] for key, was_there in changed if key in facts and was_there},
            [key for key, was_there in changed if key not in facts and was_there],
        )
        return change, [key for key, was_there in changed if key not in facts and not was_there]

    def _for_clients(self, change: PresenceChange[Any], passed: list[str]) -> str | None:
        """JSON for the clients, if there is something to tell."""
        if not self.is_listed:
            was_counted, self.is_counted = self.is_counted, True
            return self.listing() if change.joined or change.left or not was_counted else None
        if self.is_counted:
            self.is_counted = False
            return self.listing()
        # Who came and left is told, too: a client may have got a list meanwhile.
        told = change.as_message() | {"left": change.left + passed}
        if not (change.joined or change.updated or told["left"]):
            return None
        return jsons.dumps({word: it for word, it in told.items() if it not in ({}, [])})


class Groups:
    """The groups with members, by their full names."""

    def __init__(self) -> None:
        self._groups: dict[str, _Group] = {}

    def join(self, name: str, rule: Rule, channel: str, key: str, facts: bytes, now: int) -> str | None:
        """Makes a connection present. Returns the list for it, if it is new and clients are told."""
        group = self._groups.setdefault(name, _Group(name, rule))
        group.rule = rule
        is_new = group.join(channel, key, facts, now)
        return group.listing() if is_new and rule.tells_clients else None

    def leave(self, channel: str, now: int, name: str | None = None) -> None:
        """Ends the presence of a connection in a group, or in all."""
        for group in self._groups.values():
            if name is None or group.name == name:
                group.leave(channel, now)

    def due(self) -> int | None:
        """The next moment at which something happens."""
        return min((at for group in self._groups.values() for at in group.dues()), default=None)

    def announce(self, now: int) -> list[Announcement]:
        """Takes what is to be announced now."""
        found = [group.announce(now) for _, group in sorted(self._groups.items())]
        return [it for it in found if it is not None]

    def page(self, name: str, cursor: str | None, limit: int | None) -> Members:
        """A part of the members of a group. Without a limit, all."""
        group = self._groups.get(name)
        members = group.members if group else {}
        rest = sorted(key for key in members if cursor is None or key > cursor)
        part = rest[:limit]
        following = part[-1] if part and len(part) < len(rest) else None
        return Members([(key, members[key].facts) for key in part], len(members), following)
