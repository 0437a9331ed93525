"""Draws the pause before the next attempt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol


class Pauses(Protocol):
    """The options that a pause depends on."""

    @property
    def first(self) -> float: ...
    @property
    def longest(self) -> float: ...
    @property
    def factor(self) -> float: ...
    @property
    def spread(self) -> float: ...
    @property
    def later(self) -> float: ...


def delay(
    advice: Literal["spread", "backoff", "later"],
    failures: int,
    options: Pauses,
    random: Callable[[], float],
) -> float:
    """Draws a pause after so many failures in a row, at least one.

    All of it is drawn at random ("full jitter"): clients that lost their connections together would reconnect together
    otherwise, each time. `random` returns a number from 0 to below 1.
    """
    try:
        span = min(options.longest, options.first * options.factor ** (failures - 1))
    except OverflowError:
        span = options.longest
    drawn = random()
    match advice:
        case "spread":
            return drawn * max(options.spread, span)
        case "later":
            return options.later + drawn * span
        case _:
            return drawn * span
