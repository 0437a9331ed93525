"""The events of a socket, in the order in which they happen."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .presence import Presence

Data = str | bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection is open. Unless it was `resumed`, the server knows nothing of one before: join again."""

    resumed: bool


@dataclass(frozen=True, slots=True)
class Message:
    """A message: text or bytes. One from a group that is remembered has the group and the position in it."""

    data: Data
    group: str | None = None
    position: str | None = None

    def json(self) -> Any:
        """Reads the message as JSON. Raises `ValueError` for anything else."""
        return json.loads(self.data)


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages of a group that is remembered are gone: those before the position."""

    group: str
    position: str


@dataclass(frozen=True, slots=True)
class PresenceChanged:
    """A collection of members is another one than before. The keys say which members differ."""

    group: str
    presence: Presence
    joined: Sequence[str]
    updated: Sequence[str]
    left: Sequence[str]


@dataclass(frozen=True, slots=True)
class Closed:
    """A connection that was open ended."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Reconnecting:
    """The next attempt is due after `delay` seconds.

    `attempt` counts the failures in a row. `code` and `reason` say how the connection ended, or the attempt: then
    `error` is the exception.
    """

    attempt: int
    delay: float
    code: int
    reason: str
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Error:
    """There is no token, `should_reconnect` raised, or sent messages are lost (a `SendError`). The socket goes on."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Ended:
    """The socket is closed for good: the last event. `unsent` are the messages that were still in the queue."""

    code: int
    reason: str
    unsent: Sequence[Data] = ()


Event = Opened | Message | Gap | PresenceChanged | Closed | Reconnecting | Error | Ended


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a connection or of an attempt, for `should_reconnect`.

    `code` is 1006 if there was none. `opened` says whether a connection was open. `attempt` counts the failures in a
    row, this one included. `error` is the exception of an attempt, such as `websockets.exceptions.InvalidStatus`.
    """

    code: int
    reason: str
    opened: bool
    attempt: int
    error: Exception | None = None
