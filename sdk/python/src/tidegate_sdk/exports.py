"""The list of a module's consumers."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from tidegate_sdk import faults, overlaps
from tidegate_sdk.entries import MARK, Entry, Mark
from tidegate_sdk.errors import ConsumerError
from tidegate_sdk.wire import Event, Host, Invocation

Exported = Callable[..., Any] | type | Mapping[str, Any]


class Consumers:
    """What the host calls. `export` makes a subclass of it, which a module has as `Consumer`."""

    entries: ClassVar[tuple[Entry, ...]] = ()
    """The consumers."""

    @classmethod
    def run(cls, host: Host, invocation: Invocation, event: Event) -> None:
        """Runs the consumer that the invocation names."""
        for entry in cls.entries:
            if entry.name == invocation.consumer:
                faults.guarded(entry.run, host, invocation, entry.prefix, event)
                return
        raise ConsumerError(f"no consumer `{invocation.consumer}`")

    def routes(self) -> Any:
        """The consumers of the module, for the host."""
        from tidegate_sdk import component

        return component.routes(self.entries)

    def handle(self, invocation: Any, event: Any) -> None:
        """Runs a consumer for an event of the host."""
        from tidegate_sdk import component

        component.handle(type(self), invocation, event)


def export(*consumers: Exported) -> type[Consumers]:
    """Makes the list of a module's consumers. The module that is built has it as `Consumer`.

    A dict puts a prefix before the paths of a group. Under a prefix, `/` is the prefix itself.

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
        from tidegate_sdk import component, eager  # noqa: F401

    listed = list(_flatten(consumers, ""))
    if not listed:
        raise ConsumerError("export() names the consumers: Consumer = export(hello, Chat)")
    _check_forgotten([thing for thing, _ in listed])
    entries = []
    for thing, prefix in listed:
        mark: Mark = getattr(thing, MARK)
        if prefix and not mark.has_path:
            raise ConsumerError(f"{mark.place}: a consumer of a channel has no path: list it outside of the prefix")
        entries.append(mark.compile().under(prefix))
    overlaps.check(entries)
    return type("Consumer", (Consumers,), {"entries": tuple(entries)})


def _flatten(consumers: Sequence[Any], prefix: str) -> Iterator[tuple[Any, str]]:
    for thing in consumers:
        if isinstance(thing, Mapping):
            for more, inner in thing.items():
                if not more.startswith("/") or more.endswith("/") or "{" in more:
                    raise ConsumerError(f'`{more}` is no prefix: write one such as "/api", without a slash at its end')
                yield from _flatten(inner, prefix + more)
        elif not isinstance(vars(thing).get(MARK) if hasattr(thing, "__dict__") else None, Mark):
            name = getattr(thing, "__name__", repr(thing))
            raise ConsumerError(f"`{name}` is no consumer: put @http, @websocket or @channel before it")
        else:
            yield thing, prefix


def _check_forgotten(listed: list[Any]) -> None:
    """A consumer that is not listed would never run, and nobody would know."""
    known = {id(thing) for thing in listed}
    for thing in listed:
        namespace = getattr(thing, "__globals__", {})
        for name, other in list(namespace.items()):
            is_own = getattr(other, "__module__", None) == namespace.get("__name__")
            mark = getattr(other, "__dict__", {}).get(MARK)
            if isinstance(mark, Mark) and is_own and id(other) not in known:
                raise ConsumerError(f"{mark.place}: `{name}` is not in export(...): add it, or remove its decorator")
