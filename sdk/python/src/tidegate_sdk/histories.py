"""Declarations of groups that are remembered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from tidegate_sdk import quantities, routes
from tidegate_sdk.entries import HISTORY, Remembering
from tidegate_sdk.errors import ConsumerError
from tidegate_sdk.quantities import Span

C = TypeVar("C", bound=Callable[..., Any])

_PATTERNS_MAX = 32
_MESSAGES_MAX = 10_000


def history(pattern: str, *, messages: int = 100, age: Span = "1h", bytes: int | str = "256KiB") -> Callable[[C], C]:
    """Has groups of the module remembered. It stands beside `websocket`, `http` or `channel`, on any consumer.

    The host numbers the messages to such a group and keeps the latest of them. A connection that joins with
    `Context.group_join` names the last position that its client has. It gets all messages behind it, in order and once,
    or is told that some are gone; never a part. After that it is a member like any other, and what it gets carries
    positions. Members that joined with `Context.group_add` get the messages as they are.

    - `pattern` is the name of a group without the module's name and the dot in front. It may end with `*` behind a dot,
      or be `*` alone. Of patterns that match a group the most exact one counts. A consumer may have the decorator up to
      32 times.
    - `messages` is 1 to 10,000; `age`, up to 30 days, a text such as `"24h"`, seconds, or a `timedelta`; `bytes`
      `"1KiB"` to `"16MiB"`, or a number. What is beyond any of them is gone.
    - An operator bounds what all groups of the module take together.

    A WebSocket gets JSON in text frames: `{"tidegate": "from", group, position, complete}` says from where on it gets
    all messages, and whether none is missing before; `{"tidegate": "message", group, position, text}` is a message,
    with `base64` in place of `text` for one of bytes. The JavaScript client unwraps them, keeps the positions, and
    sends them when it comes back. A stream of events has the position as the `id` of its events, which browsers send
    back; a response to a held request has it in the header field `tidegate-position`.

    `Context.history` reads a history in a run. In a test `TestHost.forget` takes one away.

    >>> from tidegate_sdk import Socket, export, websocket
    >>> from tidegate_sdk.testing import TestHost
    >>> @history("room.*", messages=100, age="24h", bytes="1MiB")
    ... @websocket("/room")
    ... class Room:
    ...     def connect(self, socket: Socket[None]) -> None:
    ...         socket.group_join("room.one", after=socket.last_position("room.one"), latest=100)
    ...     def receive(self, socket: Socket[None], text: str) -> None:
    ...         socket.group_send("room.one", text)
    >>> host = TestHost(export(Room))
    >>> ada = host.websocket("/room")
    >>> ada.send("hello")
    >>> ada.receive_json()
    {'tidegate': 'from', 'group': 'test.room.one', 'position': '0000000000000001-0', 'complete': True}
    >>> ada.receive_json()
    {'tidegate': 'message', 'group': 'test.room.one', 'position': '0000000000000001-1', 'text': 'hello'}
    >>> ada.drop()
    >>> host.websocket("/room").send("are you there?")
    >>> missed = host.websocket("/room?after=test.room.one:0000000000000001-1")
    >>> missed.receive_json()["complete"], missed.receive_json()["text"]
    (True, 'are you there?')
    """
    name = routes.group_pattern(pattern, "@history")
    what = f"@history({name!r})"
    millis = quantities.span(f"{what}: `age`", age, "1s", "30d")
    if millis % 1000:
        raise ConsumerError(f"{what}: `age` is a whole number of seconds, and not {age!r}")
    declared = Remembering(
        name,
        quantities.count(f"{what}: `messages`", messages, 1, _MESSAGES_MAX),
        millis // 1000,
        quantities.size(f"{what}: `bytes`", bytes, "1KiB", "16MiB"),
    )

    def decorate(consumer: C) -> C:
        known: tuple[Remembering, ...] = vars(consumer).get(HISTORY, ())
        place = f"{consumer.__name__} ({routes.place_of(consumer)})"
        if any(it.pattern == name for it in known):
            raise ConsumerError(f"{place} has {what} twice: write it once")
        if len(known) == _PATTERNS_MAX:
            raise ConsumerError(
                f"{place} has @history more than {_PATTERNS_MAX} times: write some beside another consumer"
            )
        setattr(consumer, HISTORY, (declared, *known))
        return consumer

    return decorate
