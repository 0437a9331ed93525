"""Resuming: a connection that was lost goes on where it stopped, if the host still has it."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import Any

from .codes import BROKEN, EXPIRED
from .events import Data
from .outgoing import size
from .positions import read

# The subprotocol that says that the client can resume. With a token and a count it asks for it.
_ENTRY = "tidegate.resume"
# Begins the host's first frame on a connection that offered the entry.
_MARK = '{"tidegate":"connection"'
# Messages that are kept in case the host has not read them.
KEPT_MAX = 1_000
# After these close codes the host keeps the connection: it broke, or the user needs another token.
_LOST = (BROKEN, EXPIRED)
_TOKEN = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Start:
    """The beginning of a WebSocket.

    `again` are the messages to send again, since the host has not read them. `lost` counts more of them, which are not
    kept any more.
    """

    resumed: bool
    again: tuple[Data, ...] = ()
    lost: int = 0


class Resume:
    """Counts the messages of one connection, over all WebSockets that carry it, and keeps the latest that were sent."""

    def __init__(self, is_wanted: bool, bytes_max: int) -> None:
        self._is_wanted = is_wanted
        self._bytes_max = bytes_max
        self._token: str | None = None
        # Whether the next frame may be the host's first one.
        self._is_first = False
        self._received = 0
        self._sent = 0
        self._kept: deque[tuple[Data, int]] = deque()
        self._bytes = 0

    @property
    def entry(self) -> str | None:
        """The entry of the subprotocols."""
        if not self._is_wanted:
            return None
        return _ENTRY if self._token is None else f"{_ENTRY}.{self._token}.{self._received}"

    @property
    def is_asking(self) -> bool:
        """Whether the next WebSocket asks to resume, so that its first frame has to come before it counts as open."""
        return self._token is not None

    def begin(self, first: Data | None = None) -> Start:
        """Begins with a WebSocket that is open, and with its first frame if that was waited for."""
        told = _decode(first)
        self._is_first = self._is_wanted
        if told is None or not told["resumed"] or not self.is_asking:
            self._received = self._sent = 0
            self.forget()
            return Start(resumed=False)
        unread = max(0, self._sent - told["received"])
        lost = max(0, unread - len(self._kept))
        while len(self._kept) > unread:
            self._drop()
        # The host counts the messages that it reads, and so never those that are lost.
        self._sent = told["received"] + len(self._kept)
        return Start(True, tuple(data for data, _ in self._kept), lost)

    def takes(self, frame: Data) -> bool:
        """Counts a frame. True if it is the host's own, and no message."""
        is_first, self._is_first = self._is_first, False
        told = _decode(frame) if is_first else None
        if told is None:
            self._received += 1
        else:
            token = told.get("token")
            is_token = isinstance(token, str) and _TOKEN.fullmatch(token)
            self._token = token if is_token else None
        if is_first and not self.is_asking:
            self.forget()
        return told is not None

    def sends(self, data: Data) -> None:
        """Counts and keeps a message that is about to be sent."""
        if not (self._is_first or self.is_asking):
            return
        count = size(data)
        self._sent += 1
        self._kept.append((data, count))
        self._bytes += count
        while len(self._kept) > KEPT_MAX or self._bytes > self._bytes_max:
            self._drop()

    def ended(self, code: int) -> None:
        """The WebSocket ended, or the attempt to open one."""
        if code not in _LOST:
            self.forget()

    def forget(self) -> None:
        """Forgets the connection: it cannot be resumed any more."""
        self._token = None
        self._kept.clear()
        self._bytes = 0

    def _drop(self) -> None:
        _, count = self._kept.popleft()
        self._bytes -= count


def _decode(frame: Data | None) -> dict[str, Any] | None:
    """Reads the host's first frame. `None` for a message."""
    if frame is None:
        return None
    told = read(frame, _MARK)
    received = told.get("received")
    is_count = isinstance(received, int) and not isinstance(received, bool)
    return told if isinstance(told.get("resumed"), bool) and is_count else None
