"""Schedules: consumers of channels that are run by the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar

from tidegate_sdk import routes
from tidegate_sdk.codec.readers import reader, register
from tidegate_sdk.entries import SCHEDULE
from tidegate_sdk.errors import ConsumerError, Unreadable

F = TypeVar("F", bound=Callable[..., Any])

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Tick:
    """The message of a `schedule`.

    >>> tick = Tick(datetime(2027, 1, 4, 3, 30, tzinfo=UTC))
    >>> tick.as_message()
    {'due': 1799033400000}
    """

    due: datetime
    """The moment of the schedule, with time zone UTC. The consumer may run later."""

    def __post_init__(self) -> None:
        if self.due.tzinfo is None:
            raise ValueError("`due` has no time zone: write one, as in datetime.now(timezone.utc)")

    def as_message(self) -> dict[str, int]:
        """The message, which has the moment in milliseconds since 1970."""
        return {"due": (self.due - _EPOCH) // _MILLISECOND}


@dataclass(frozen=True)
class _Message:
    due: int | datetime
    """Milliseconds since 1970. A tick inside another value is written as text, as every date and time is."""


_message = reader(_Message)


def _read(value: Any) -> Tick:
    due = _message(value).due
    if isinstance(due, int):
        try:
            due = _EPOCH + due * _MILLISECOND
        except OverflowError:
            raise Unreadable("no date has so many milliseconds", ("due",)) from None
    try:
        return Tick(due)
    except ValueError as error:
        raise Unreadable(str(error)) from None


register(Tick, _read)


def schedule(
    expression: str,
    *,
    zone: str = "UTC",
    missed: Literal["once", "skip"] = "once",
    overlap: Literal["skip", "queue"] | None = None,
) -> Callable[[F], F]:
    """Runs a consumer of a channel by the clock. It stands beside `channel`.

    At each moment the host sends the channel a `Tick`, once among all processes. So the consumer runs as for any other
    message: with `retries` it runs until it is done, and its data counts once.

    The expression has five fields: minute, hour, day of the month, month, day of the week; or six, with seconds before
    them; or it is `@hourly`, `@daily`, `@weekly`, `@monthly` or `@yearly`. `zone` is a name of the IANA database.
    `missed` says what becomes of moments at which no process was there for more than a minute: with `"once"` the last
    one of them runs when a process is there again, with `"skip"` none does.

    Without `overlap` a run begins whether or not the one before is over. `"skip"`: a moment at which the run of the one
    before is not over is left out. `"queue"`: it waits until that one is over.

    The host refuses an upload whose expression or zone it cannot read. A schedule comes and goes with its version, and
    a change of it runs nothing. In a test `TestHost.fire` stands for the clock.

    >>> from tidegate_sdk import Context, channel, export
    >>> from tidegate_sdk.testing import TestHost
    >>> @schedule("30 3 * * 1-5", zone="Europe/Berlin")
    ... @channel("shop.report", retries=5)
    ... def report(cx: Context, tick: Tick) -> None:
    ...     if tick.due <= cx.now():
    ...         cx.store.add("reports")
    >>> host = TestHost(export(report))
    >>> host.fire("report")
    >>> host.data.counter("reports")
    1
    """
    declared = routes.schedule_parts(expression, zone, missed, overlap)

    def decorate(function: F) -> F:
        if SCHEDULE in vars(function):
            raise ConsumerError(
                f"{function.__name__} ({routes.place_of(function)}) has two schedules, and a consumer has one: let two "
                "channels do the same work"
            )
        setattr(function, SCHEDULE, declared)
        return function

    return decorate
