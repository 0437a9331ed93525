"""The members of a group. The host tells them by text frames `{"presence": {...}}`.

A connection that joins gets a list, and then the changes. Where the members are too many to list, it gets the count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

from .events import Data
from .positions import read

# All frames of the host begin so.
_START = '{"presence":'


def decode(data: Data) -> dict[str, Any] | None:
    """Reads a frame. `None` for any other message."""
    told = read(data, _START).get("presence")
    if not isinstance(told, dict):
        return None
    frame = cast(dict[str, Any], told)
    return frame if _is_valid(frame) else None


def _is_valid(told: dict[str, Any]) -> bool:
    """Whether the values have the types of a frame. Another client may have written anything else."""
    return (
        isinstance(told.get("group"), str)
        and all(type(told.get(key, 1)) is int for key in ("from", "count", "part", "parts"))
        and type(told.get("version")) is int
        and all(isinstance(told.get(key, {}), dict) for key in ("members", "joined", "updated"))
        and isinstance(told.get("left", []), list)
        and all(isinstance(key, str) for key in told.get("left", []))
    )


@dataclass(frozen=True, slots=True)
class Change:
    """The keys of the members that joined, have other facts, and left."""

    joined: tuple[str, ...]
    updated: tuple[str, ...]
    left: tuple[str, ...]


class Presence:
    """A collection that follows the members of a group.

    It is that of the latest message that came in, which may be ahead of the loop over events.
    """

    def __init__(self) -> None:
        self._members: dict[str, Any] = {}
        self._count = 0
        self._version = -1
        self._is_current = False
        self._is_connected = True
        self._is_listed = False
        # Parts of a message that is not complete.
        self._parts: list[dict[str, Any]] = []

    @property
    def members(self) -> Mapping[str, Any]:
        """The facts of the members by key. Empty while they are too many to be listed."""
        return MappingProxyType(self._members)

    @property
    def count(self) -> int:
        """How many members there are."""
        return self._count

    @property
    def current(self) -> bool:
        """Whether it is up to date, as far as the host has told. False between connections."""
        return self._is_connected and self._is_current

    @property
    def listed(self) -> bool:
        """Whether the members are listed, and not only counted."""
        return self._is_listed

    def lose(self) -> None:
        """The connection is over."""
        self._is_connected = False

    def find(self, resumed: bool) -> None:
        """There is a connection. If it does not go on with the one before, it brings a list."""
        self._is_connected = True
        if not resumed:
            self._is_current = False
            self._version = -1
            self._parts = []

    def receive(self, told: dict[str, Any]) -> Change | None:
        """Takes a frame. Returns the change if the collection is another one now."""
        whole = self._join(told)
        if whole is None:
            return None
        start, version, count = whole.get("from"), whole["version"], whole.get("count", 0)
        if start is None:
            if version < self._version:
                return None
            is_listed = "members" in whole or count == 0
            return self._become(whole.get("members", {}), is_listed, count, version)
        # A list has it already; or it follows a change that did not come, until the next list comes.
        if not (self._is_current and self._is_listed) or version <= self._version:
            return None
        if start > self._version:
            self._is_current = False
            return None
        following = {**self._members, **whole.get("joined", {}), **whole.get("updated", {})}
        for key in whole.get("left", ()):
            following.pop(key, None)
        return self._become(following, True, count, version)

    def _join(self, told: dict[str, Any]) -> dict[str, Any] | None:
        """Puts the parts of a message together. `None` while one is missing."""
        part, parts = told.get("part", 1), told.get("parts", 1)
        if part == 1:
            self._parts = []
        if part != len(self._parts) + 1:
            return None
        self._parts.append(told)
        if part < parts:
            return None
        all_of_them, self._parts = self._parts, []
        if len(all_of_them) == 1:
            return told
        whole = {**told, "left": [key for it in all_of_them for key in it.get("left", ())]}
        for word in ("members", "joined", "updated"):
            some = [it[word] for it in all_of_them if word in it]
            if some:
                whole[word] = {key: facts for them in some for key, facts in them.items()}
        return whole

    def _become(
        self, following: dict[str, Any], is_listed: bool, count: int, version: int
    ) -> Change | None:
        before = self._members
        change = Change(
            tuple(key for key in following if key not in before),
            tuple(key for key in following if key in before and before[key] != following[key]),
            tuple(key for key in before if key not in following),
        )
        same = (self._count, self._is_listed, self._is_current) == (count, is_listed, True)
        self._members = following
        self._count, self._is_listed, self._version = count, is_listed, version
        self._is_current = True
        differs = bool(change.joined or change.updated or change.left) or not same
        return change if differs else None
