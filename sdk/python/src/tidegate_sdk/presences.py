"""Declarations of groups that announce who comes and goes, and the message that a channel gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypedDict, TypeVar

from tidegate_sdk import quantities, routes
from tidegate_sdk.codec.readers import Reader, reader, register_generic
from tidegate_sdk.entries import PRESENCE, Presence
from tidegate_sdk.errors import ConsumerError, Unreadable
from tidegate_sdk.quantities import Span

C = TypeVar("C", bound=Callable[..., Any])
F = TypeVar("F")

_GROUPS_MAX = 32
_LIST_MAX = 1_000


@dataclass(frozen=True)
class PresenceChange(Generic[F]):
    """The members that came to a group and left it: the message to a consumer of a channel with `presence`.

    `F` is the type of the facts. A member is in one of the three. With many changes at once there is more than one
    message of a version.

    >>> PresenceChange("chat.room", 1, 2, 0, {}, {}, ["ada"]).as_message()
    {'group': 'chat.room', 'from': 1, 'version': 2, 'count': 0, 'joined': {}, 'updated': {}, 'left': ['ada']}
    """

    group: str
    """The name of the group, with the module's part."""
    from_version: int
    """The version that the message before led to. Where it is higher than that one's `version`, a message is
    missing."""
    version: int
    """The version that this message leads to. Each is higher than the one before, also when the group was empty in
    between."""
    count: int
    """All members of the group."""
    joined: dict[str, F]
    """Members that came, with their facts."""
    updated: dict[str, F]
    """Members whose facts changed."""
    left: list[str]
    """Members that left."""

    def as_message(self) -> dict[str, Any]:
        """The message, in the form of the contract."""
        return {
            "group": self.group,
            "from": self.from_version,
            "version": self.version,
            "count": self.count,
            "joined": self.joined,
            "updated": self.updated,
            "left": self.left,
        }


_Message = TypedDict(
    "_Message",
    {
        "group": str,
        "from": int,
        "version": int,
        "count": int,
        "joined": dict[str, Any],
        "updated": dict[str, Any],
        "left": list[str],
    },
)

_message = reader(_Message)


def _reader(arguments: tuple[Any, ...]) -> Reader:
    """The reader of `PresenceChange[F]`, or of `PresenceChange` with any facts."""
    read_facts: Reader = reader(arguments[0] if arguments else Any)

    def facts(word: str, members: dict[str, Any]) -> dict[str, Any]:
        found = {}
        for key, value in members.items():
            try:
                found[key] = read_facts(value)
            except Unreadable as error:
                raise error.inside(key).inside(word) from None
        return found

    def read(value: Any) -> PresenceChange[Any]:
        if isinstance(value, dict) and "from_version" in value:
            # A change inside another value has the names of the fields.
            value = value | {"from": value["from_version"]}
        it: _Message = _message(value)
        joined, updated = facts("joined", it["joined"]), facts("updated", it["updated"])
        return PresenceChange(it["group"], it["from"], it["version"], it["count"], joined, updated, it["left"])

    return read


register_generic(PresenceChange, _reader)


def presence(*groups: str, leave_after: Span = "10s", interval: Span = "1s", list: int = 100) -> Callable[[C], C]:
    """Says who is told who comes to groups and leaves them. It stands beside `websocket`, `http` or `channel`.

    - Beside `websocket` or `http`: the host tells the clients in the groups. Each gets a list when it joins by
      `Context.present`, then what changes; `docs/consumers.md` of the project has the messages.
    - Beside `channel`: the host sends the channel a `PresenceChange`.
    - The texts name groups, without the module's part; `*` alone or behind the last dot stands for all that begin so.
    - `leave_after`, at most an hour, is how long a member without connections stays. A browser that loads its page
      again within it is no change.
    - `interval`, from 100 ms to a minute, is the time between two announcements.
    - `list`, at most 1,000, is the most members of which clients get a list; beyond, they get the count.
    - Where several consumers name one group, the longest times and the longest list hold.

    Times are texts such as `"500ms"`, `"10s"` and `"5m"`, seconds, or a `timedelta`. Without the decorator nobody is
    told, and `Context.members` lists who is there.

    >>> from tidegate_sdk import Context, PresenceChange, Socket, channel, export, websocket
    >>> from tidegate_sdk.testing import TestHost
    >>> @presence("board")
    ... @websocket("/board/{name}")
    ... class Board:
    ...     name: str
    ...     def connect(self, socket: Socket[None]) -> None:
    ...         socket.present("board", self.name)
    >>> @presence("board", leave_after="5s")
    ... @channel("board.members")
    ... def members(cx: Context, change: PresenceChange[dict[str, str]]) -> None:
    ...     for name in change.joined:
    ...         cx.info(f"{name} came")
    ...     for name in change.left:
    ...         cx.info(f"{name} left")
    >>> host = TestHost(export(Board, members))
    >>> socket = host.websocket("/board/ada")
    >>> socket.receive_json()["presence"]["members"]
    {'ada': {}}
    >>> socket.close(1000)
    >>> host.advance(20)
    >>> [line.text for line in host.logs]
    ['ada came', 'ada left']
    """
    if not 1 <= len(groups) <= _GROUPS_MAX:
        raise ConsumerError(f'@presence names 1 to {_GROUPS_MAX} groups, as in @presence("room.*"), not {len(groups)}')
    names = tuple(routes.group_pattern(group, "@presence") for group in groups)
    what = f"@presence({', '.join(map(repr, names))})"
    declared = Presence(
        names,
        quantities.span(f"{what}: `leave_after`", leave_after, "0s", "1h"),
        quantities.span(f"{what}: `interval`", interval, "100ms", "60s"),
        quantities.count(f"{what}: `list`", list, 0, _LIST_MAX),
    )

    def decorate(consumer: C) -> C:
        if PRESENCE in vars(consumer):
            raise ConsumerError(
                f"{consumer.__name__} ({routes.place_of(consumer)}) has two @presence: name all groups in one, as in "
                '@presence("lobby", "room.*")'
            )
        setattr(consumer, PRESENCE, declared)
        return consumer

    return decorate
