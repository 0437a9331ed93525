"""Consumers of HTTP requests."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Never, TypeVar

from tidegate_sdk import routes
from tidegate_sdk.checks import checked_headers, need_int
from tidegate_sdk.codec import texts
from tidegate_sdk.context import Context, Reply
from tidegate_sdk.entries import Entry, HttpTrigger, Mark
from tidegate_sdk.errors import ConsumerError
from tidegate_sdk.extract import taker
from tidegate_sdk.hints import parameters
from tidegate_sdk.response import HttpError, Response
from tidegate_sdk.scope import Request
from tidegate_sdk.wire import Event, Host, HttpDisconnect, Invocation

F = TypeVar("F", bound=Callable[..., Any])
Take = Callable[[Request, Context], Any]


def http(
    route: str,
    *,
    host: str | None = None,
    headers: Mapping[str, str] | None = None,
    disconnect: Callable[..., None] | None = None,
    **others: Never,
) -> Callable[[F], F]:
    """Makes a function a consumer of HTTP requests: `"GET /users/{id}"`, `"GET|POST /users"`.

    In the path, `{name}` stands for one segment and `{*rest}`, at the end, for what is left. `host` and `headers` are
    guards: what else must hold of a request. `disconnect` is a function that is run when a client leaves early; it
    takes `Context`, or nothing.

    The parameters of the function say what is read, in any order: a parameter with the name of one in the path, of a
    type such as `str`, `int` or `UUID` (text that does not parse is answered with 404); `Context`; `Request`;
    `Json[...]`, `Query[...]`, `Form[...]`, `Multipart`, `Cookies`, `User`, `Annotated[str, Header(...)]`; or a class
    with `from_request`.

    It returns a `Response`, text, a dict, list, dataclass or pydantic model (JSON), a status with one of these, as in
    `(201, "made")`, or what `Context.hold` or `Context.end_stream` returned.

    >>> from tidegate_sdk import export, http
    >>> from tidegate_sdk.testing import TestHost
    >>> @http("GET /add/{a}/{b}")
    ... def add(a: int, b: int) -> dict[str, int]:
    ...     return {"sum": a + b}
    >>> host = TestHost(export(add))
    >>> host.get("/add/1/2").json(), host.get("/add/1/two").status
    ({'sum': 3}, 404)
    """
    methods, path = routes.http_route(route)
    routes.check_options(others, f"@http({route!r})", "host, headers and disconnect")
    names = routes.path_names(path)
    trigger = HttpTrigger(methods, path, routes.guards(host, headers), disconnect is not None)

    def decorate(function: F) -> F:
        name = function.__name__
        place = routes.place_of(function)
        routes.check_plain(function, f"{name} ({place})")
        compiled = lambda: Entry(name, trigger, _runner(function, names, disconnect, f"{name} ({place})"), place)
        Mark(place, compiled).put_on(function)
        return function

    return decorate


def _runner(
    function: Callable[..., Any], names: Sequence[str], disconnect: Callable[..., None] | None, what: str
) -> Callable[[Host, Invocation, str, Event], None]:
    takers = _takers(function, names, what)
    takes_context = disconnect is not None and bool(parameters(disconnect, f"`disconnect` of {what}"))

    def run(host: Host, invocation: Invocation, prefix: str, event: Event) -> None:
        if isinstance(event, Request):
            cx = Context(host, invocation, prefix=prefix, scope=event)
            try:
                answer = function(**{name: take(event, cx) for name, take in takers.items()})
                reply = as_reply(answer, what)
            except HttpError as error:
                reply = error.response
            _answer(host, reply)
        elif isinstance(event, HttpDisconnect) and disconnect is not None:
            cx = Context(host, invocation, prefix=prefix, reply_channel=event.reply_channel)
            disconnect(cx) if takes_context else disconnect()
        else:
            raise ConsumerError(f"{what} is not made for this event: {type(event).__name__}")

    return run


def _takers(function: Callable[..., Any], names: Sequence[str], what: str) -> dict[str, Take]:
    takers: dict[str, Take] = {}
    rest: dict[str, Take] = {}
    takes_request = False
    for parameter in parameters(function, what):
        if parameter.name in names:
            kind = parameter.hint if parameter.is_annotated else str
            takers[parameter.name] = _path_taker(parameter.name, texts.parser(kind))
            continue
        hint = parameter.hint
        if not parameter.is_annotated:
            hint = {"cx": Context, "request": Request}.get(parameter.name)
            if hint is None:
                raise ConsumerError(
                    f"{what}: `{parameter.name}` has no type and is not in the path. Write its type, as in "
                    f"`{parameter.name}: Json[...]`, or call it `cx` or `request`"
                )
        takes_request = takes_request or hint is Request
        rest[parameter.name] = taker(hint, what)
    missing = [name for name in names if name not in takers]
    if missing and not takes_request:
        raise ConsumerError(f"{what}: `{{{missing[0]}}}` is in the path, and no parameter has that name: add one")
    # Path parameters are read first, then the others from left to right.
    return takers | rest


def _path_taker(name: str, parse: texts.Parser) -> Take:
    def take(request: Request, _: Context) -> Any:
        text = request.param(name)
        if text is None:
            raise ConsumerError(f"path parameter `{name}` is not there: another version, with another path, was asked")
        try:
            return parse(text)
        except ValueError:
            raise HttpError(404, "not found\n") from None

    return take


def as_reply(answer: Any, what: str) -> Response | Reply:
    """Turns the value that a consumer returned into a reply."""
    if isinstance(answer, (Response, Reply)):
        return answer
    if isinstance(answer, str):
        return Response.text(answer)
    if isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[0], int):
        reply = as_reply(answer[1], what)
        if isinstance(reply, Response):
            reply.status = need_int("a status", answer[0])
        return reply
    if isinstance(answer, (bytes, bytearray)):
        return Response(200, bytes(answer), [("content-type", b"application/octet-stream")])
    if isinstance(answer, (dict, list)) or _is_model(answer) or isinstance(answer, Mapping):
        return Response.json(answer)
    raise TypeError(
        f"{what} returned {'nothing' if answer is None else f'`{type(answer).__name__}`'}, and an HTTP consumer "
        "returns a Response, text, bytes, a dict, list, dataclass or model, (status, one of these), or what cx.hold or "
        "cx.end_stream returned"
    )


def _is_model(answer: Any) -> bool:
    return not isinstance(answer, type) and (dataclasses.is_dataclass(answer) or hasattr(answer, "model_dump"))


def _answer(host: Host, reply: Response | Reply) -> None:
    if isinstance(reply, Response):
        host.respond(*parts(reply))
    elif reply.hold is not None:
        host.hold(reply.hold, parts(reply.fallback) if reply.fallback else None)


def parts(response: Response) -> tuple[int, list[tuple[str, bytes]], bytes]:
    """A response for the host. Fields may have been assigned since it was made, so they are checked here."""
    response.__post_init__()
    return response.status, checked_headers(response.headers), response.body
