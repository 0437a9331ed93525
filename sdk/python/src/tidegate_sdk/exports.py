"""The list of a module's consumers."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

from tidegate_sdk import declarations, eager, faults, logs, overlaps, routes
from tidegate_sdk.access import Guarded, joined
from tidegate_sdk.codec.readers import reader
from tidegate_sdk.entries import (
    ACCESS,
    HISTORY,
    MARK,
    PRESENCE,
    SCHEDULE,
    Access,
    ChannelTrigger,
    Entry,
    Mark,
    Schedule,
)
from tidegate_sdk.errors import ConsumerError
from tidegate_sdk.wire import Event, Host, Invocation

Exported = Callable[..., Any] | type | Mapping[str, Any]


class Consumers:
    """The consumers of a module. `export` makes a subclass, which the module has as `Consumer` and the host calls."""

    entries: ClassVar[tuple[Entry, ...]] = ()
    """The consumers."""

    def __init__(self) -> None:
        # The build of a component makes the object, and nobody else does.
        from tidegate_sdk import component

        component.check_world(self.entries)

    @classmethod
    def run(cls, host: Host, invocation: Invocation, event: Event) -> None:
        """Runs the consumer that the invocation names."""
        for entry in cls.entries:
            if entry.name == invocation.consumer:
                faults.guarded(entry, host, invocation, event)
                return
        raise ConsumerError(f"no consumer `{invocation.consumer}`")

    def routes(self) -> Any:
        """The consumers of the module, for the host."""
        from tidegate_sdk import component

        return component.routes(self.entries)

    def declare(self) -> bytes:
        """The declarations about the consumers, for the host."""
        return declarations.declare(self.entries)

    def handle(self, invocation: Any, event: Any) -> None:
        """Runs a consumer for an event of the host."""
        from tidegate_sdk import component

        component.handle(type(self), invocation, event)


def export(*consumers: Exported) -> type[Consumers]:
    """Makes the list of a module's consumers. The module that is built has it as `Consumer`.

    Each is a function or class with a decorator, or a list that another file of the module exports. A dict puts a
    prefix before the paths of a group. Under a prefix, `/` is the prefix itself.

    >>> from tidegate_sdk import http
    >>> from tidegate_sdk.testing import TestHost
    >>> @http("GET /")
    ... def index() -> str:
    ...     return "all"
    >>> @http("GET /{item}")
    ... def show(item: str) -> str:
    ...     return item
    >>> Consumer = export({"/items": [index, show]})
    >>> TestHost(Consumer).get("/items").text, TestHost(Consumer).get("/items/7").text
    ('all', '7')
    """
    # In a component the bindings are there. What they need is imported while it is built.
    if importlib.util.find_spec("wit_world") is not None:
        importlib.import_module("tidegate_sdk.component")
        eager.load()
        logs.prepare()
        check_forgotten(consumers)
        check_frozen(consumers)

    entries = list(_flatten(consumers, ""))
    if not entries:
        raise ConsumerError("export() names the consumers: Consumer = export(hello, Chat)")
    overlaps.check(entries)
    _prepare(consumers)
    return type("Consumer", (Consumers,), {"entries": tuple(entries)})


def _flatten(consumers: Sequence[Any], prefix: str) -> Iterator[Entry]:
    for thing in consumers:
        if isinstance(thing, Mapping):
            for more, inner in thing.items():
                if not more.startswith("/") or more.endswith("/") or "{" in more:
                    raise ConsumerError(f'`{more}` is no prefix: write one such as "/api", without a slash at its end')
                yield from _guarded(thing, _flatten(inner, prefix + more))
            continue
        if isinstance(thing, type) and issubclass(thing, Consumers):
            found: Sequence[Entry] = thing.entries
        else:
            found = [_compiled(thing)]
        for entry in found:
            if prefix and isinstance(entry.trigger, ChannelTrigger):
                raise ConsumerError(
                    f"{entry.place}: a consumer of a channel has no path: list it outside of the prefix"
                )
            yield entry.under(prefix) if prefix else entry


def _guarded(thing: Mapping[str, Any], entries: Iterator[Entry]) -> Iterator[Entry]:
    """Adds what stands before a prefix to what each consumer below it asks of the user."""
    for entry in entries:
        yield _asking(entry, thing.access) if isinstance(thing, Guarded) else entry


def _compiled(thing: Any) -> Entry:
    mark = _mark(thing)
    try:
        marks = vars(thing)
        entry = _asking(_scheduled(mark.compile(), marks.get(SCHEDULE)), marks.get(ACCESS))
        return dataclasses.replace(entry, presence=marks.get(PRESENCE), histories=marks.get(HISTORY, ()))
    except ConsumerError as error:
        text = str(error)
        raise ConsumerError(text if mark.place in text else f"{thing.__name__} ({mark.place}): {text}") from None


def _scheduled(entry: Entry, schedule: Schedule | None) -> Entry:
    if schedule is None:
        return entry
    if not isinstance(entry.trigger, ChannelTrigger):
        raise ConsumerError(
            "@schedule sends a message to the channel of a consumer, and this consumer has none: write "
            '@channel("reports.make") in place of its other decorator'
        )
    return dataclasses.replace(entry, schedule=schedule)


def _asking(entry: Entry, access: Access | None) -> Entry:
    if access is None:
        return entry
    if isinstance(entry.trigger, ChannelTrigger):
        raise ConsumerError(
            "a message of a channel has no user: put @user and @claims before consumers of HTTP and WebSockets"
        )
    what = f"{entry.name} ({entry.place})"
    return dataclasses.replace(entry, access=joined(entry.access or Access(), access, what))


def _mark(thing: Any) -> Mark:
    mark = getattr(thing, "__dict__", {}).get(MARK)
    if not isinstance(mark, Mark):
        name = getattr(thing, "__name__", repr(thing))
        raise ConsumerError(f"`{name}` is no consumer: put @http, @websocket or @channel before it")
    return mark


def _functions(consumers: Sequence[Any]) -> Iterator[Any]:
    for thing in consumers:
        if isinstance(thing, Mapping):
            for inner in thing.values():
                yield from _functions(inner)
        else:
            yield thing


def _namespace(thing: Any) -> dict[str, Any]:
    """The names of the file that a consumer stands in."""
    found = getattr(thing, "__globals__", None)
    if found is None:
        found = vars(sys.modules[thing.__module__]) if thing.__module__ in sys.modules else {}
    names: dict[str, Any] = found
    return names


def check_forgotten(consumers: Sequence[Any]) -> None:
    """Refuses a module that has a consumer which is not listed: it would never run, and nobody would know.

    Only a component is checked. In a test, some consumers of a file may be run without the others.
    """
    listed = list(_functions(consumers))
    known = {id(thing) for thing in listed}
    for thing in listed:
        namespace = _namespace(thing)
        for name, other in list(namespace.items()):
            is_own = getattr(other, "__module__", None) == namespace.get("__name__")
            marks = getattr(other, "__dict__", {})
            if not {MARK, SCHEDULE, ACCESS, PRESENCE, HISTORY}.isdisjoint(marks) and is_own and id(other) not in known:
                mark = marks.get(MARK)
                place = mark.place if isinstance(mark, Mark) else routes.place_of(other)
                raise ConsumerError(f"{place}: `{name}` is not in export(...): add it, or remove its decorator")


def check_frozen(consumers: Sequence[Any]) -> None:
    """Refuses a generator of random numbers at the top of a file: each instance would draw the same numbers."""
    random = sys.modules.get("random")
    if random is None:
        return
    for thing in _functions(consumers):
        for name, value in list(_namespace(thing).items()):
            if isinstance(value, random.Random) and not isinstance(value, random.SystemRandom):
                raise ConsumerError(
                    f"`{name}` beside `{thing.__name__}` is a random.Random that is made once, when the component is "
                    "built, so each instance would draw the same numbers: make it in the function, or use the "
                    "functions of `random` or `secrets`"
                )


def _prepare(consumers: Sequence[Any]) -> None:
    """Makes the readers of the dataclasses of the module now, not in each fresh instance that reads one."""
    for thing in _functions(consumers):
        namespace = _namespace(thing)
        for kind in list(namespace.values()):
            if isinstance(kind, type) and dataclasses.is_dataclass(kind):
                # One that nothing reads may have fields of any type.
                with suppress(ConsumerError):
                    reader(kind)
