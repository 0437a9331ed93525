"""Exceptions of the SDK.

One that a consumer does not catch is a fault, as every other exception is.
"""

from __future__ import annotations

from typing import Literal


class ConsumerError(TypeError):
    """A consumer is written so that it cannot run. The text says which, the rule, and the fix.

    It is raised while the module is built, or when a test imports it.
    """


class Unreadable(ValueError):
    """Something from outside does not read as the type that the consumer takes.

    `str()` of it says where and why, as in ``items[0].count: expected an integer, found text``.
    """

    def __init__(self, problem: str, path: tuple[str | int, ...] = (), *, at_key: bool = False) -> None:
        super().__init__(problem, path)
        self.problem = problem
        self.path = path
        self.at_key = at_key

    def inside(self, step: str | int) -> Unreadable:
        """The same problem, seen from the value around it."""
        return Unreadable(self.problem, (step, *self.path), at_key=self.at_key)

    @property
    def place(self) -> str:
        """The path in one text. Empty at the top."""
        text = ""
        for step in self.path:
            text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
        return text

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}" if self.path else self.problem


class SendError(Exception):
    """A message, a membership or a delay was refused. Trying again gives the same answer."""


class InvalidName(SendError):
    """The name of a channel or a group breaks a rule; the text says which."""


class Forbidden(SendError):
    """The channel or group belongs to somebody else; the text says to whom."""


class InvalidContent(SendError):
    """The content is no MessagePack map with text keys; the text says why."""


class TooLarge(SendError):
    """The content is larger than the layer takes.

    >>> str(TooLarge(2_000_000, 1_114_112))
    'content of 2000000 bytes, and the limit is 1114112'
    """

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"content of {size} bytes, and the limit is {limit}")
        self.size = size
        self.limit = limit


class NoConnection(SendError):
    """The event came from a channel of the application, so there is no connection of its own."""

    def __init__(self, call: str) -> None:
        super().__init__(f"this event has no connection: name the channel, as in {call}")


class FlushError(Exception):
    """`flush` stopped. What stood before the failed entry is sent, the failed one is removed, the rest stays."""

    def __init__(
        self, index: int, channel: str, reason: Literal["channel-full", "unavailable", "refused"], text: str = ""
    ) -> None:
        super().__init__(
            {
                "channel-full": f"channel `{channel}` is full",
                "unavailable": f"no layer to send to `{channel}`: {text}",
                "refused": f"`{channel}`: {text}" if channel else text,
            }[reason]
        )
        self.index = index
        """The position of the failed entry, counted from 0 since the last flush."""
        self.channel = channel
        """The channel or group of the failed entry."""
        self.reason = reason
        """`channel-full` and `unavailable`: sending again later may work. `refused`: it will not."""


class ReplyError(Exception):
    """An answer to the own connection was refused."""


class WrongEvent(ReplyError):
    """This event takes no such answer; the text says which it takes."""


class InvalidReply(ReplyError):
    """A status, header, subprotocol or close code that may not be sent; the text says which rule it breaks."""


class StateTooLarge(ReplyError):
    """The state of a connection is larger than the host keeps, 16 KiB."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"state of {size} bytes, and the limit is {limit}")
        self.size = size
        self.limit = limit


class StateUnreadable(Exception):
    """The state of a connection was written by another version and does not read.

    The host closes the connection with code 1012.
    """


class StoreError(Exception):
    """A call of the store did nothing, or read nothing that the code understands."""


class InvalidCall(StoreError):
    """The call breaks a rule of the store; the text says which. Trying again gives the same answer."""


class ForbiddenKeys(StoreError):
    """The keys belong to another module; the text says which setting grants them."""


class StoreUnavailable(StoreError):
    """The store does not answer. Trying again later may work."""


class NewerSchema(StoreError):
    """A newer version of the module wrote the value, as after a rollback."""

    def __init__(self, key: str, found: int, known: int) -> None:
        super().__init__(
            f'newer-schema: "{key}" has schema {found}, and this version of the module reads up to {known}. '
            "Deploy the version that wrote it, or delete the key"
        )
        self.key = key
        self.found = found
        self.known = known


class UnreadableValue(StoreError):
    """The value is not one of the type that the code asked for."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f'"{key}": {problem}')
        self.key = key
        self.problem = problem


class TimerError(Exception):
    """A timer was not set or not cancelled; the text says which rule it breaks, or whose the channel is."""


class PresenceError(Exception):
    """A connection was not made present, or the members of a group are not known."""


class InvalidPresence(PresenceError):
    """The call breaks a rule; the text says which. Trying again gives the same answer."""


class ForbiddenPresence(PresenceError):
    """The group belongs to somebody else; the text says to whom."""


class PresenceUnavailable(PresenceError):
    """The layer does not answer. Trying again later may work."""


class NoUser(PresenceError):
    """Nobody is signed in, or the consumer asks for no user."""

    def __init__(self) -> None:
        super().__init__("there is no user: put @user before the consumer, or name the member with present")


class OnlineError(Exception):
    """Nothing was done with the connections of a user."""


class InvalidOnline(OnlineError):
    """The call breaks a rule; the text says which. Trying again gives the same answer."""


class OnlineUnavailable(OnlineError):
    """The layer does not answer. Trying again later may work."""


class SessionError(Exception):
    """Nothing was done with a session."""


class InvalidSession(SessionError):
    """The call breaks a rule; the text says which. Trying again gives the same answer."""


class NoSession(SessionError):
    """There is no session here, and none can begin; the text says why. Trying again gives the same answer."""


class ForbiddenSession(SessionError):
    """The module may not do this; the text says what grants it. Trying again gives the same answer."""


class SessionsUnavailable(SessionError):
    """The sessions cannot be read now; the text says why."""


class HistoryError(Exception):
    """A history was not read, or a connection did not join a group that is remembered."""


class InvalidHistory(HistoryError):
    """The call breaks a rule, or the group is not remembered; the text says which."""


class ForbiddenHistory(HistoryError):
    """The group belongs to another module; the text says which setting grants it."""


class HistoryUnavailable(HistoryError):
    """The layer cannot be reached. Trying again later may work."""


class FetchError(Exception):
    """A request was refused, and the host does not make it. Trying again gives the same answer."""


class InvalidFetch(FetchError):
    """The request breaks a rule; the text says which."""


class ForbiddenFetch(FetchError):
    """The module may not reach the server, or not use the channel; the text says which setting grants it."""


class FetchFailed(Exception):
    """A request that a run waited for has no answer; `Context.fetch_now` raises it.

    >>> str(FetchFailed("connect", "connection refused"))
    'connect: connection refused'
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        """A word: `invalid` (the request breaks a rule), `refused` (the server is not granted, or the guard refuses its
        address; the message says which setting grants it), `resolve`, `connect`, `tls`, `timeout` or `broken`."""
        self.message = message
        """A text for people."""
