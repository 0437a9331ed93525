"""The histories of the groups of a test host, by the rules of the host, and the frames of positions."""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from tidegate_sdk.codec import jsons
from tidegate_sdk.entries import Entry, Remembering
from tidegate_sdk.wire import Frame, HistoryPage, Remembered

MESSAGES_MAX = 1_000
"""The most messages of a page, and of what a join catches up with."""

_PAGE_BYTES_MAX = 256 * 1024
_MESSAGE_OVERHEAD = 64
"""The bytes that it takes to keep a message beside its content."""


def rule(entries: Iterable[Entry], module: str, group: str) -> Remembering | None:
    """The most exact declaration about a group of a module. None: it is not remembered."""
    if not group.startswith(f"{module}."):
        return None
    name = group.removeprefix(f"{module}.")
    found = [it for entry in entries for it in entry.histories if _exactness(it.pattern, name) is not None]
    return max(found, key=lambda it: _exactness(it.pattern, name) or 0, default=None)


def _exactness(pattern: str, name: str) -> float | None:
    """The more of a name a pattern fixes, the more it is. None: it does not match."""
    if pattern.endswith("*"):
        return len(pattern) - 1 if name.startswith(pattern[:-1]) else None
    return float("inf") if pattern == name else None


def _cost(content: bytes) -> int:
    return len(content) + _MESSAGE_OVERHEAD


@dataclass
class _Log:
    epoch: int
    last: int = 0
    messages: deque[tuple[int, bytes]] = field(default_factory=deque)
    """The moments at which they came, and their contents."""
    size: int = 0
    """The bytes that it takes to keep them."""

    def trim(self, rule: Remembering, now: int) -> None:
        while self.messages:
            since, content = self.messages[0]
            is_within = len(self.messages) <= rule.messages and self.size <= rule.bytes
            if is_within and now - since < rule.age * 1000:
                break
            self.size -= _cost(content)
            self.messages.popleft()

    def append(self, content: bytes, now: int) -> str:
        self.last += 1
        self.size += _cost(content)
        self.messages.append((now, content))
        return self.position(self.last)

    def position(self, offset: int) -> str:
        return f"{self.epoch:016x}-{offset}"

    @property
    def floor(self) -> int:
        return self.last - len(self.messages)

    def _offset(self, position: str) -> int | None:
        """The offset of a position, if nothing is missing behind it."""
        return next((it for it in range(self.floor, self.last + 1) if self.position(it) == position), None)

    def _latest(self, count: int) -> int:
        """The offset before so many of the latest messages."""
        offset, size = self.last, 0
        for _, content in islice(reversed(self.messages), count):
            size += _cost(content)
            if size > _PAGE_BYTES_MAX:
                break
            offset -= 1
        return offset

    def page(self, after: str | None, latest: int, limit: int) -> tuple[str, HistoryPage]:
        """The place behind which a page begins, and the page."""
        found = None if after is None else self._offset(after)
        start = self._latest(latest) if found is None else found
        messages: list[Remembered] = []
        size = 0
        for _, content in islice(self.messages, start - self.floor, start - self.floor + limit):
            size += _cost(content)
            if size > _PAGE_BYTES_MAX and messages:
                break
            messages.append(Remembered(self.position(start + len(messages) + 1), content))
        end = start + len(messages)
        is_complete = found is not None or after is None
        return self.position(start), HistoryPage(messages, self.position(end), is_complete, end < self.last)


class Histories:
    """The histories of all groups, and the connections that see positions."""

    def __init__(self) -> None:
        self._logs: dict[str, _Log] = {}
        self._epoch = 0
        self._following: set[tuple[str, str]] = set()
        """Groups and channels."""

    def _log(self, group: str, rule: Remembering, now: int) -> _Log:
        if group not in self._logs:
            self._epoch += 1
            self._logs[group] = _Log(self._epoch)
        log = self._logs[group]
        log.trim(rule, now)
        return log

    def remember(self, group: str, rule: Remembering, content: bytes, now: int) -> str:
        """Adds a message. Returns the place behind it."""
        log = self._log(group, rule, now)
        position = log.append(content, now)
        log.trim(rule, now)
        return position

    def read(self, group: str, rule: Remembering, after: str | None, limit: int, now: int) -> HistoryPage:
        """A part of a history."""
        return self._log(group, rule, now).page(after, limit if after is None else 0, limit)[1]

    def missed(
        self, group: str, rule: Remembering, after: str | None, latest: int, now: int
    ) -> tuple[str, HistoryPage]:
        """The messages that a connection is sent when it joins, and the place behind which they begin."""
        log = self._log(group, rule, now)
        start, page = log.page(after, latest, MESSAGES_MAX)
        # What is too much to catch up with counts as gone.
        return log.page("", latest, MESSAGES_MAX) if page.more else (start, page)

    def forget(self, group: str) -> None:
        """Begins the history of a group anew."""
        self._logs.pop(group, None)

    def follow(self, group: str, channel: str) -> None:
        """Lets a connection see positions."""
        self._following.add((group, channel))

    def follows(self, group: str, channel: str) -> bool:
        """Whether a connection sees positions."""
        return (group, channel) in self._following

    def unfollow(self, channel: str, group: str | None = None) -> None:
        """A connection leaves a group, or all."""
        self._following -= {it for it in self._following if it[1] == channel and group in (None, it[0])}


def stands(group: str, position: str, is_complete: bool) -> str:
    """The frame that says from where on a WebSocket gets all messages of a group."""
    return jsons.dumps({"tidegate": "from", "group": group, "position": position, "complete": is_complete})


def numbered(group: str, position: str, frame: Frame) -> str:
    """The frame of a message with its position."""
    content = {"text": frame} if isinstance(frame, str) else {"base64": base64.b64encode(frame).decode()}
    return jsons.dumps({"tidegate": "message", "group": group, "position": position, **content})
