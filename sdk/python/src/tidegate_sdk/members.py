"""The members of groups, as a run asks for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tidegate_sdk.checks import need_int, need_text
from tidegate_sdk.codec import messagepack
from tidegate_sdk.codec.describe import name_of
from tidegate_sdk.codec.readers import reader
from tidegate_sdk.errors import InvalidContent, InvalidPresence, Unreadable
from tidegate_sdk.wire import Host

F = TypeVar("F")


@dataclass(frozen=True)
class Member(Generic[F]):
    """A member of a group, as `Context.members` lists it."""

    key: str
    """Its key."""
    facts: F
    """The facts that it gave last."""


@dataclass(frozen=True)
class Members(Generic[F]):
    """A part of the members of a group; see `Context.members`."""

    members: list[Member[F]]
    """Members, in the order of their keys."""
    count: int
    """All members of the group."""
    cursor: str | None
    """Where the list goes on, for `Context.members`. None at its end."""


def present(host: Host, group: str, channel: str, key: str, facts: Any) -> None:
    """Makes a connection present."""
    try:
        packed = messagepack.message({} if facts is None else facts)
    except InvalidContent as error:
        raise InvalidPresence(f"the facts of a member: {error}") from None
    host.present(group, channel, need_text("the key of a member", key), packed)


def listed(host: Host, group: str, kind: Any, cursor: str | None, limit: int) -> Members[Any]:
    """A part of the members of a group, with their facts as a type."""
    read = reader(kind)
    if cursor is not None:
        need_text("a cursor", cursor)
    page = host.members(group, cursor, need_int("the limit of a list of members", limit))

    def member(key: str, facts: bytes) -> Member[Any]:
        try:
            return Member(key, read(messagepack.unpackb(facts)))
        except Unreadable as error:
            raise Unreadable(f"the facts of member {key!r} do not read as `{name_of(kind)}`: {error}") from None

    return Members([member(key, facts) for key, facts in page.members], page.count, page.cursor)
