"""Consumers of channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Never, TypeVar

from tidegate_sdk import routes
from tidegate_sdk.codec import messagepack
from tidegate_sdk.codec.describe import name_of
from tidegate_sdk.codec.readers import reader
from tidegate_sdk.context import Context
from tidegate_sdk.entries import ChannelTrigger, Entry, Mark
from tidegate_sdk.errors import ConsumerError, Unreadable
from tidegate_sdk.hints import parameters
from tidegate_sdk.scope import Request
from tidegate_sdk.wire import ChannelMessage, Event, Host, Invocation

F = TypeVar("F", bound=Callable[..., Any])


def channel(name: str, *, retries: int | None = None, **others: Never) -> Callable[[F], F]:
    """Makes a function a consumer of the messages on a channel. The module owns the channel: no other may declare it.

    The function takes `Context`, the content of the message, both or none. The type of the content says how it is
    read: a dataclass, a pydantic model, or `dict`. A message that does not read is a fault.

    With `retries` a message whose consumer failed, or whose worker is gone, is run again, at most so often; then it
    goes to the channel of this name with `.dead` behind it. Without, each message is run at most once.

    >>> from dataclasses import dataclass
    >>> from tidegate_sdk import Context, channel, export
    >>> from tidegate_sdk.testing import TestHost
    >>> @dataclass
    ... class Note:
    ...     text: str
    >>> @channel("notes")
    ... def noted(cx: Context, note: Note) -> None:
    ...     cx.info(note.text)
    >>> host = TestHost(export(noted))
    >>> host.send("notes", {"text": "milk"})
    >>> host.logs[0].text
    'milk'
    """
    routes.channel_name(name, retries)
    routes.check_options(others, f"@channel({name!r})", "retries")

    def decorate(function: F) -> F:
        place = routes.place_of(function)
        what = f"{function.__name__} ({place})"
        routes.check_plain(function, what)
        trigger = ChannelTrigger(name, retries)
        compiled = lambda: Entry(function.__name__, trigger, _runner(function, what), place)
        Mark(place, compiled).put_on(function)
        return function

    return decorate


def _runner(function: Callable[..., Any], what: str) -> Callable[[Host, Invocation, str, Event], None]:
    context_name: str | None = None
    content: tuple[str, Any] | None = None
    for parameter in parameters(function, what):
        hint = parameter.hint if parameter.is_annotated else Context if parameter.name == "cx" else dict[str, Any]
        if hint is Context:
            context_name = parameter.name
        elif hint is Request:
            raise ConsumerError(f"{what}: a message on a channel comes with no request: take a type of your own")
        elif content is not None:
            raise ConsumerError(
                f"{what}: a message has one content: take it as one dataclass, not as `{parameter.name}`"
            )
        else:
            content = (parameter.name, hint)
    read = reader(content[1]) if content else None

    def run(host: Host, invocation: Invocation, prefix: str, event: Event) -> None:
        if not isinstance(event, ChannelMessage):
            raise ConsumerError(f"{what} is not made for this event: {type(event).__name__}")
        arguments: dict[str, Any] = {}
        if content is not None and read is not None:
            try:
                arguments[content[0]] = read(messagepack.unpackb(event.content))
            except Unreadable as error:
                raise Unreadable(f"the message does not read as `{name_of(content[1])}`: {error}") from None
        if context_name is not None:
            arguments[context_name] = Context(host, invocation, prefix=prefix)
        function(**arguments)

    return run
