"""Messages that are sent later, and that can be replaced and cancelled until then."""

from __future__ import annotations

from datetime import datetime, timedelta

from tidegate_sdk.checks import milliseconds, need_text
from tidegate_sdk.frame import Message, encode
from tidegate_sdk.wire import Host


class Timers:
    """Messages that are sent later. `Context.timers` is it.

    A timer is part of the transaction of its run: it is set when the run commits, and not if the run fails. It waits in
    the store of the module, up to a year, and outlives processes and versions. When it is due its message is sent; a
    channel that is full keeps it waiting.

    >>> from tidegate_sdk import Context, channel, export, http
    >>> from tidegate_sdk.testing import TestHost
    >>> @http("POST /seen")
    ... def seen(cx: Context) -> str:
    ...     cx.timers.set("gone.away", {"who": "ada"}, after=60, key="ada")
    ...     return "noted"
    >>> @channel("gone.away")
    ... def gone(cx: Context, message: dict[str, str]) -> None:
    ...     cx.info(message["who"] + " has left")
    >>> host = TestHost(export(seen, gone))
    >>> for _ in range(3):
    ...     _ = host.request("POST", "/seen")
    ...     host.advance(59)
    >>> len(host.logs)
    0
    >>> host.advance(1)
    >>> [line.text for line in host.logs]
    ['ada has left']
    """

    def __init__(self, host: Host) -> None:
        self._host = host

    def set(
        self,
        channel: str,
        message: Message,
        *,
        after: float | timedelta | None = None,
        at: datetime | None = None,
        key: str | None = None,
    ) -> None:
        """Sends a message to a channel `after` so many seconds or `at` a moment, at most a year ahead.

        With a key, a text of 1 to 512 bytes, it takes the place of the timer that the module has set with the same key.
        Raises `TimerError` when the host refuses it.
        """
        if (after is None) == (at is None):
            raise TypeError("a timer is due `after` some seconds or `at` a moment: give one of them")
        if at is not None and at.tzinfo is None:
            raise ValueError("`at` has no time zone: write one, as in datetime.now(timezone.utc)")
        self._host.timer_set(
            None if key is None else need_text("the key of a timer", key),
            need_text("the name of a channel", channel),
            encode(message),
            after=None if after is None else milliseconds("after", after),
            at=None if at is None else round(at.timestamp() * 1000),
        )

    def cancel(self, key: str) -> None:
        """Cancels the timer of a key. Without one, it does nothing."""
        self._host.timer_cancel(need_text("the key of a timer", key))
