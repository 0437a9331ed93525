"""Server-sent events: a response that stays open and carries events, which a browser reads with `EventSource`.

A stream is started, put into a group and held; then its events come from elsewhere, and it takes no slot meanwhile.

>>> from tidegate_sdk import Context, Reply, Request, export, http, sse
>>> from tidegate_sdk.testing import TestHost
>>> @http("GET /tide")
... def tide(cx: Context, request: Request) -> Reply:
...     cx.start_stream(sse.head())
...     cx.group_add("watchers")
...     last = sse.last_event_id(request)
...     if last is not None:
...         cx.write(str(sse.Event(comment=f"events after {last} would be here")))
...     return cx.hold(3600)
>>> @http("POST /tide/{id}/{level}")
... def rise(cx: Context, id: str, level: int) -> str:
...     cx.group_send("watchers", sse.Event.json(level, id=id, name="level"))
...     return "noted"
>>> host = TestHost(export(tide, rise))
>>> stream = host.get("/tide", headers={"last-event-id": "6"})
>>> host.request("POST", "/tide/7/3").text
'noted'
>>> stream.text
': events after 6 would be here\\n\\nevent: level\\nid: 7\\ndata: 3\\n\\n'

`Chunk(is_last=True)` in the place of an event ends the stream from elsewhere, and the hold with it.

A stream ends when the hold is over, after at most 1 hour, when the host stops, or when the client reads too slowly.
Then a browser connects again and names the last id that it saw. Events that were sent meanwhile are lost, unless the
consumer sends them again: start the stream, join the group, `flush`, and then send the events after `last_event_id`.
A group with `history` does so by itself, for a stream that joins it with `Context.group_join`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tidegate_sdk.checks import milliseconds, need_text
from tidegate_sdk.codec import jsons
from tidegate_sdk.response import Response
from tidegate_sdk.scope import Scope

_BREAK = re.compile(r"\r\n|\r|\n")


def head() -> Response:
    """The start of a stream of events, for `Context.start_stream`.

    Status 200, `content-type: text/event-stream`, `cache-control: no-cache`, and `x-accel-buffering: no`, which asks
    proxies to pass events on at once.
    """
    response = Response().header("content-type", "text/event-stream")
    return response.header("cache-control", "no-cache").header("x-accel-buffering", "no")


def last_event_id(scope: Scope) -> str | None:
    """The id of the last event that the client saw, if it says: a browser does when it comes back."""
    return scope.header("last-event-id") or None


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event of a stream, or a comment. `str()` of it is for `Context.write`; it can also be sent as a message.

    A name or an id with a line break, and an id with U+0000, is a `ValueError`.

    >>> str(Event(data="high water\\nat noon", id="7", name="tide"))
    'event: tide\\nid: 7\\ndata: high water\\ndata: at noon\\n\\n'
    >>> str(Event(retry=2))
    'retry: 2000\\n\\n'
    """

    data: str | None = None
    """The text. Line breaks of any kind reach the client as U+000A."""
    name: str | None = None
    """The name that a browser listens for, `message` if there is none."""
    id: str | None = None
    """The id, which the client names when it comes back. An empty one makes it forget the last."""
    retry: float | timedelta | None = None
    """How many seconds the client waits before it connects again. Without data that is all it does."""
    comment: str | None = None
    """A text that clients ignore. Proxies and clients see that the stream is alive."""

    @classmethod
    def json(cls, value: Any, *, name: str | None = None, id: str | None = None) -> Event:
        """An event whose text is a value as JSON."""
        return cls(data=jsons.dumps(value), name=name, id=id)

    def __str__(self) -> str:
        lines: list[str] = []
        if self.comment is not None:
            lines += [f": {line}" for line in _BREAK.split(self.comment)]
        for field, text, forbidden in (("event", self.name, "\r\n"), ("id", self.id, "\r\n\0")):
            if text is not None:
                if any(letter in text for letter in forbidden):
                    raise ValueError(f"the {field} of an event, {text!r}, has a line break or U+0000")
                lines.append(f"{field}: {text}")
        if self.retry is not None:
            lines.append(f"retry: {milliseconds('retry', self.retry)}")
        if self.data is not None:
            lines += [f"data: {line}" for line in _BREAK.split(self.data)]
        return "".join(f"{line}\n" for line in [*lines, ""])

    def as_message(self) -> dict[str, Any]:
        """The message that is a part of a held stream."""
        body = need_text("an event", str(self)).encode()
        return {"type": "http.response.body", "body": body, "more_body": True}
