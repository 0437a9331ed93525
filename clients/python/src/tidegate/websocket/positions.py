"""Positions in groups that the host remembers: reads them from messages, and names them in the address."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from .events import Data

# Begins everything that the host adds to messages. Applications send nothing that begins so.
_MARK = '{"tidegate":'
# Groups whose positions are kept. Their names go into the address.
GROUPS_MAX = 50
_KEY = "after"


@dataclass(frozen=True, slots=True)
class Placed:
    """A message with its position, or without data the position from which on all messages follow."""

    group: str
    position: str
    data: Data | None = None
    gap: bool = False


class Positions:
    """The last position of each group."""

    def __init__(self) -> None:
        # The group that was heard of last stands last.
        self._known: dict[str, str] = {}

    def open(self, frame: Data) -> Placed | None:
        """Reads a frame and keeps its position. `None` for a message without a position."""
        placed = _read(frame)
        if placed is not None:
            self._known.pop(placed.group, None)
            self._known[placed.group] = placed.position
            if len(self._known) > GROUPS_MAX:
                del self._known[next(iter(self._known))]
        return placed

    def get(self, group: str) -> str | None:
        """Returns the last position of a group."""
        return self._known.get(group)

    def forget(self, group: str) -> None:
        """Forgets the position of a group."""
        self._known.pop(group, None)

    def address(self, url: str) -> str:
        """Returns the address with all positions, for the host to go on behind them."""
        if not self._known:
            return url
        named = urlencode(
            [(_KEY, f"{group}:{position}") for group, position in self._known.items()]
        )
        parts = urlsplit(url)
        query = f"{parts.query}&{named}" if parts.query else named
        return parts._replace(query=query).geturl()


def _read(frame: Data) -> Placed | None:
    told = read(frame, _MARK)
    group, position = told.get("group"), told.get("position")
    if not (isinstance(group, str) and isinstance(position, str)):
        return None
    kind, complete = told.get("tidegate"), told.get("complete")
    if kind == "from" and isinstance(complete, bool):
        return Placed(group, position, gap=not complete)
    data = _content(told) if kind == "message" else None
    return None if data is None else Placed(group, position, data)


def _content(told: dict[str, Any]) -> Data | None:
    text, encoded = told.get("text"), told.get("base64")
    if isinstance(text, str):
        return text
    if not isinstance(encoded, str):
        return None
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError:
        return None


def read(frame: Data, mark: str) -> dict[str, Any]:
    """Reads an object of JSON that begins with a mark. Returns an empty one for any other frame."""
    if not (isinstance(frame, str) and frame.startswith(mark)):
        return {}
    try:
        told: dict[str, Any] = json.loads(frame)
    except (ValueError, RecursionError):
        return {}
    return told
