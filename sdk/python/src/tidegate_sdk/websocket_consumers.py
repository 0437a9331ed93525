"""Consumers of WebSocket connections."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import operator
import types
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, Union, get_args, get_origin

from tidegate_sdk import quantities, routes
from tidegate_sdk.codec import jsons, texts
from tidegate_sdk.codec.describe import name_of
from tidegate_sdk.codec.readers import reader
from tidegate_sdk.entries import Entry, Mark, WebsocketTrigger
from tidegate_sdk.errors import ConsumerError, StateUnreadable, Unreadable
from tidegate_sdk.extract import is_json
from tidegate_sdk.frame import Close
from tidegate_sdk.hints import hints_of, parameters
from tidegate_sdk.quantities import Span
from tidegate_sdk.response import HttpError
from tidegate_sdk.socket import Handshake, Socket
from tidegate_sdk.state import StateType
from tidegate_sdk.wire import (
    Event,
    Frame,
    Host,
    Invocation,
    WebsocketConnect,
    WebsocketDisconnect,
    WebsocketReceive,
)

C = TypeVar("C", bound=type)
Method = Callable[..., Any]

_RESUME = "1s", "10m"
"""The shortest and the longest time for which the host keeps a connection whose client was lost."""


def websocket(
    path: str,
    *,
    host: str | None = None,
    headers: Mapping[str, str] | None = None,
    resume: Span | None = None,
) -> Callable[[C], C]:
    """Makes a class a consumer of WebSocket connections. `host` and `headers` are guards, as for `http`.

    An object of the class is made for each event. It has an attribute for each `{name}` of the path, of the type that
    the class annotates it with, `str` without. Text that does not parse denies the handshake. The methods, none of
    which has to be there:

    - `groups(self)` returns the groups that the connection is a member of from acceptance to end.
    - `connect(self, socket)` is run for a handshake. It returns nothing or a `Handshake`; `HttpError` denies.
    - `receive(self, socket, incoming)` is run for each message. The type of `incoming` says how it is read: `str`,
      `bytes`, both (`str | bytes`, also without a type), or `Json[...]`. A message that does not read closes the
      connection with code 4400 and the reason; `Json[...] | Unreadable` gets the reason instead.
    - `disconnect(self, socket, close)` is run once for each connection that was accepted.

    What a connection has to remember is `socket.state`, of the type that the class has as `State`.

    `resume` is the time, from `"1s"` to `"10m"`, for which the host keeps a connection whose client was lost without a
    close frame: such a text, seconds, or a `timedelta`. A client that asks for it, as the JavaScript client does with
    its option `resume`, and comes back in time goes on where it was. The class sees nothing of a resume: state, groups
    and answers go on; `disconnect` comes when the time is over, or when too much waits for the client. The connection
    of another client ends at once, as all do without `resume`.

    >>> from dataclasses import dataclass
    >>> from tidegate_sdk import Socket, export, websocket
    >>> from tidegate_sdk.testing import TestHost
    >>> @websocket("/chat/{room}")
    ... class Chat:
    ...     room: str
    ...     @dataclass
    ...     class State:
    ...         lines: int = 0
    ...     def groups(self) -> list[str]:
    ...         return [self.room]
    ...     def receive(self, socket: "Socket[Chat.State]", line: str) -> None:
    ...         socket.state.lines += 1
    ...         socket.group_send(self.room, f"{socket.state.lines}: {line}")
    >>> host = TestHost(export(Chat))
    >>> ada, bob = host.websocket("/chat/sea"), host.websocket("/chat/sea")
    >>> ada.send("ahoy")
    >>> ada.send("anybody?")
    >>> bob.receive(), bob.receive()
    ('1: ahoy', '2: anybody?')
    """
    names = routes.path_names(path)
    trigger = WebsocketTrigger(path, routes.guards(host, headers))
    what = f"@websocket({path!r}): `resume`"
    kept = None if resume is None else quantities.span(what, resume, *_RESUME)

    def decorate(kind: C) -> C:
        _mark(kind, names, trigger, kept)
        return kind

    return decorate


def _mark(kind: type, names: tuple[str, ...], trigger: WebsocketTrigger, resume: int | None) -> None:
    if not inspect.isclass(kind):
        raise ConsumerError(f"@websocket stands before a class, and `{kind}` is none")
    place = routes.place_of(next((it for it in vars(kind).values() if isinstance(it, types.FunctionType)), kind))
    what = f"{kind.__name__} ({place})"
    for name in ("groups", "connect", "receive", "disconnect"):
        if hasattr(kind, name):
            routes.check_plain(getattr(kind, name), f"`{name}` of {what}")
    compiled = lambda: Entry(kind.__name__, trigger, _Runner(kind, names, what), place, resume=resume)
    Mark(place, compiled).put_on(kind)


class _Runner:
    """Runs the methods of a class."""

    def __init__(self, kind: type, names: tuple[str, ...], what: str) -> None:
        self._kind = kind
        self._what = what
        hints = _attributes(kind, names, what) if names else {}
        try:
            inspect.signature(kind).bind(**dict.fromkeys(names) if dataclasses.is_dataclass(kind) else {})
        except TypeError as error:
            raise ConsumerError(
                f"{what}: an object is made for each event, of what the path has and no more: {error}. Keep the rest "
                "in the state of the connection"
            ) from None
        self._parsers = {name: texts.parser(hints.get(name, str)) for name in names}
        state = getattr(kind, "State", None)
        self._state_type = StateType(state, what) if state is not None else None
        self._arity = {name: _arity(kind, name, what) for name in ("connect", "receive", "disconnect")}
        self._read = _frame_reader(kind, what)

    def __call__(self, host: Host, invocation: Invocation, prefix: str, event: Event) -> None:
        if isinstance(event, WebsocketConnect):
            facts = {"prefix": prefix, "scope": event.scope}
            self._connect(host, Socket(host, invocation, self._state_type, is_connecting=True, **facts), event)
        elif isinstance(event, (WebsocketReceive, WebsocketDisconnect)):
            consumer = self._made(event.path_params)
            facts = {"prefix": prefix, "reply_channel": event.reply_channel}
            socket: Socket[Any] = Socket(host, invocation, self._state_type, is_connecting=False, **facts)
            if isinstance(event, WebsocketReceive):
                self._receive(consumer, socket, event.frame)
            else:
                self._call(consumer, "disconnect", socket, Close(event.code, event.reason))
            socket.keep_state()
        else:
            raise ConsumerError(f"{self._what} is not made for this event: {type(event).__name__}")

    def _connect(self, host: Host, socket: Socket[Any], event: WebsocketConnect) -> None:
        try:
            consumer = self._made(event.scope.path_params)
        except StateUnreadable:
            host.close(1000, "")
            return
        try:
            handshake = self._call(consumer, "connect", socket)
        except HttpError:
            host.close(1000, "")
            return
        if handshake is None:
            handshake = Handshake()
        if not isinstance(handshake, Handshake):
            raise TypeError(
                f"`connect` of {self._what} returned `{type(handshake).__name__}`: return nothing to let the "
                "client in, or a Handshake"
            )
        groups = consumer.groups() if hasattr(consumer, "groups") else []
        if isinstance(groups, str):
            raise TypeError(f"`groups` of {self._what} returned text: return a list of names, as in [{groups!r}]")
        socket.answer(handshake, list(groups))
        socket.keep_state()

    def _receive(self, consumer: Any, socket: Socket[Any], frame: Frame) -> None:
        try:
            incoming = self._read(frame)
        except Unreadable as error:
            socket.refuse(str(error))
            return
        self._call(consumer, "receive", socket, incoming)

    def _call(self, consumer: Any, name: str, *arguments: Any) -> Any:
        count = self._arity[name]
        return getattr(consumer, name)(*arguments[:count]) if count is not None else None

    def _made(self, path_params: tuple[tuple[str, str], ...]) -> Any:
        """The object for an event. What does not read means that another version opened the connection."""
        found = dict(path_params)
        values = {}
        for name, parse in self._parsers.items():
            if name not in found:
                raise StateUnreadable(f"path parameter `{name}` is not there")
            try:
                values[name] = parse(found[name])
            except ValueError:
                raise StateUnreadable(f"path parameter `{name}` does not parse") from None
        if dataclasses.is_dataclass(self._kind):
            return self._kind(**values)
        made = self._kind()
        for name, value in values.items():
            setattr(made, name, value)
        return made


def _attributes(kind: type, names: tuple[str, ...], what: str) -> dict[str, Any]:
    hints = hints_of(kind, what)
    if dataclasses.is_dataclass(kind):
        fields = {field.name for field in dataclasses.fields(kind)}
        for name in names:
            if name not in fields:
                raise ConsumerError(f"{what}: `{{{name}}}` is in the path, and no field has that name: add one")
    return hints


def _arity(kind: type, name: str, what: str) -> int | None:
    """The number of arguments that a method takes besides `self`. None if it is not there."""
    method = getattr(kind, name, None)
    if method is None:
        return None
    taken = len(parameters(method, f"`{name}` of {what}")) - 1
    most = {"connect": 1, "receive": 2, "disconnect": 2}[name]
    if not 0 <= taken <= most:
        given = "socket" if most == 1 else "socket, incoming" if name == "receive" else "socket, close"
        raise ConsumerError(f"{what}: `{name}` takes (self, {given})")
    return taken


def _frame_reader(kind: type, what: str) -> Callable[[Frame], Any]:
    method = getattr(kind, "receive", None)
    taken = parameters(method, f"`receive` of {what}") if method else []
    hint = taken[2].hint if len(taken) > 2 and taken[2].is_annotated else Frame
    is_union = get_origin(hint) in (Union, types.UnionType)
    if is_union and Unreadable in get_args(hint):
        rest = [it for it in get_args(hint) if it is not Unreadable]
        read = _reader_of(rest[0] if len(rest) == 1 else functools.reduce(operator.or_, rest), what)

        def read_or_tell(frame: Frame) -> Any:
            try:
                return read(frame)
            except Unreadable as error:
                return error

        return read_or_tell
    return _reader_of(hint, what)


def _reader_of(hint: Any, what: str) -> Callable[[Frame], Any]:
    if is_json(hint):
        kind = get_args(hint)[0]
        reader(kind)
        return lambda frame: jsons.loads(_text(frame), kind)
    if hint is str:
        return _text
    if hint is bytes:
        return _bytes
    if hint in (Any, object) or set(get_args(hint)) == {str, bytes}:
        return lambda frame: frame
    raise ConsumerError(
        f"{what}: a message cannot be read as `{name_of(hint)}`: take str, bytes, `str | bytes`, Json[...], or "
        "`Json[...] | Unreadable`"
    )


def _text(frame: Frame) -> str:
    if isinstance(frame, str):
        return frame
    raise Unreadable("expected a text message")


def _bytes(frame: Frame) -> bytes:
    if isinstance(frame, bytes):
        return frame
    raise Unreadable("expected a binary message")
