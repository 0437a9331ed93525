"""Histories of groups, as a run reads them, and the positions that clients name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar, overload

from tidegate_sdk.checks import need_int, need_text
from tidegate_sdk.codec import jsons, messagepack
from tidegate_sdk.codec.describe import name_of
from tidegate_sdk.codec.readers import reader
from tidegate_sdk.errors import Unreadable
from tidegate_sdk.scope import Scope
from tidegate_sdk.wire import Frame, Host

T = TypeVar("T")

_QUERY_KEY = "after"
"""The key of the query in which a client names its positions."""


@dataclass(frozen=True)
class Remembered:
    """A message of a history."""

    position: str
    """The place behind the message."""
    content: bytes
    """The content, MessagePack."""

    @property
    def frame(self) -> Frame:
        """The text or the bytes that a WebSocket gets. Raises `Unreadable` for a message of another kind."""
        content = messagepack.unpackb(self.content)
        if isinstance(content, dict) and content.get("type") == "websocket.send":
            found = content.get("text", content.get("bytes"))
            if isinstance(found, (str, bytes)):
                return found
        raise Unreadable("a remembered message is no message to a WebSocket: `read` reads it as another type")

    @overload
    def json(self) -> Any: ...
    @overload
    def json(self, kind: type[T]) -> T: ...
    def json(self, kind: Any = Any) -> Any:
        """Reads the text that a WebSocket gets as JSON, which has to read as a type. `Unreadable` if it does not."""
        try:
            return jsons.loads(self.frame, kind)
        except Unreadable as error:
            raise _unread(kind, error) from None

    @overload
    def read(self) -> dict[str, Any]: ...
    @overload
    def read(self, kind: type[T]) -> T: ...
    def read(self, kind: Any = dict[str, Any]) -> Any:
        """Reads the content as a type, as a consumer of a channel does. `Unreadable` if it does not read."""
        try:
            return reader(kind)(messagepack.unpackb(self.content))
        except Unreadable as error:
            raise _unread(kind, error) from None


def _unread(kind: Any, error: Unreadable) -> Unreadable:
    return Unreadable(f"a remembered message does not read as `{name_of(kind)}`: {error}")


@dataclass(frozen=True)
class HistoryPage:
    """A part of a history, oldest first and without holes."""

    messages: list[Remembered]
    """The messages."""
    position: str
    """The place behind the last message; without one the place that was asked for, or the end of the history."""
    is_complete: bool
    """Whether nothing is missing behind the position that was asked for."""
    has_more: bool
    """Whether the history goes on behind `position`."""


class History:
    """The history of a group. `Context.history` is it.

    What the run sends to the group is not there before `flush`. Calls raise `HistoryError` when the group is not
    remembered or not the module's, when they break a rule, and when the layer cannot be reached.

    >>> from tidegate_sdk import Context, export, history, http
    >>> from tidegate_sdk.testing import TestHost
    >>> @history("news")
    ... @http("POST /news/{text}")
    ... def publish(cx: Context, text: str) -> str:
    ...     cx.group_send("news", text)
    ...     return "published"
    >>> @http("GET /news")
    ... def news(cx: Context) -> list[object]:
    ...     return [message.frame for message in cx.history("news").latest(2).messages]
    >>> host = TestHost(export(publish, news))
    >>> for text in ("rain", "wind", "sun"):
    ...     _ = host.request("POST", f"/news/{text}")
    >>> host.get("/news").json()
    ['wind', 'sun']
    """

    def __init__(self, host: Host, group: str) -> None:
        self._host = host
        self._group = group

    def latest(self, limit: int = 1000) -> HistoryPage:
        """The latest messages, at most `limit`, which is 1 to 1,000, and 256 KiB."""
        return self._read(None, limit)

    def after(self, position: str, limit: int = 1000) -> HistoryPage:
        """The messages behind a position, oldest first, at most `limit`, which is 1 to 1,000, and 256 KiB.

        Where some of them are gone, and for a text that is no position of the group, the page is not complete and has
        no messages.
        """
        return self._read(need_text("a position", position), limit)

    def _read(self, after: str | None, limit: int) -> HistoryPage:
        page = self._host.history_read(self._group, after, need_int("the limit of a page", limit))
        messages = [Remembered(it.position, it.content) for it in page.messages]
        return HistoryPage(messages, page.position, page.complete, page.more)


def said(scope: Scope, group: str) -> str | None:
    """The position in a group that a client names."""
    alone = None
    for _, value in (pair for pair in scope.query_pairs() if pair[0] == _QUERY_KEY):
        of, colon, position = value.partition(":")
        if not colon:
            alone = value
        elif of == group:
            return position
    return alone if alone is not None else scope.header("last-event-id") or None
