"""Parameters of HTTP consumers, besides those of the path."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, Self, TypeVar, Union, get_args, get_origin
from urllib.parse import unquote

from tidegate_sdk.codec import jsons, texts
from tidegate_sdk.codec.describe import name_of
from tidegate_sdk.codec.readers import reader
from tidegate_sdk.context import Context
from tidegate_sdk.errors import ConsumerError, Unreadable
from tidegate_sdk.response import HttpError, Response
from tidegate_sdk.scope import Request, Scope, pairs
from tidegate_sdk.sessions import Session
from tidegate_sdk.sessions import check as check_session
from tidegate_sdk.users import User

T = TypeVar("T")
Take = Callable[[Request, Context], Any]


@dataclass(frozen=True)
class _Json:
    pass


@dataclass(frozen=True)
class _Query:
    pass


@dataclass(frozen=True)
class _Form:
    pass


Json = Annotated[T, _Json()]
"""As a parameter of an HTTP consumer the body as JSON; as that of `receive` a text frame that holds JSON.

Another content type than `application/json`, or one that ends with `+json`, is answered with status 415: a page of
another site can send those without asking the server first. `Request.json` does not look at it. A body that does not
read as the type is answered with status 400.
"""

Query = Annotated[T, _Query()]
"""The query, read as a dataclass or a `dict[str, str]`. One that does not read is answered with status 400."""

Form = Annotated[T, _Form()]
"""A body that an HTML form sent, read by the rules of `Query`. Another content type is answered with status 415."""


@dataclass(frozen=True)
class Header:
    """A header field as a parameter: `known: Annotated[str | None, Header("if-none-match")]`.

    A field that is missing or does not parse is answered with status 400 and a text that names it; `| None` takes one
    that may be missing.
    """

    name: str


class FromRequest(Protocol):
    """A type of one's own that an HTTP consumer can take as a parameter.

    >>> from dataclasses import dataclass
    >>> from tidegate_sdk import Context, Problem, Request, export, http
    >>> from tidegate_sdk.testing import TestHost
    >>> @dataclass
    ... class Token:
    ...     text: str
    ...     @classmethod
    ...     def from_request(cls, request: Request, cx: Context) -> "Token":
    ...         token = request.header("x-token")
    ...         if token is None:
    ...             raise Problem(401, "A token is needed")
    ...         return cls(token)
    >>> @http("GET /mine")
    ... def mine(token: Token) -> str:
    ...     return f"the things of {token.text}"
    >>> TestHost(export(mine)).get("/mine").status
    401
    """

    @classmethod
    def from_request(cls, request: Request, cx: Context) -> Self:
        """Takes it from the request. An `HttpError` answers the request, and the consumer is not run."""
        ...


class Cookies:
    """The cookies that came with a request, values percent-decoded. `Response.cookie` sets them.

    What is no cookie is left out. Of two with one name the first counts, which has the longer path.

    >>> from tidegate_sdk import Scope
    >>> scope = Scope(reply_channel="a!b", headers=(("cookie", b"other=1; name=J%C3%BCrgen"),))
    >>> Cookies.of(scope).get("name")
    'Jürgen'
    """

    def __init__(self, found: list[tuple[str, str]]) -> None:
        self._found = found

    @classmethod
    def of(cls, scope: Scope) -> Cookies:
        """The cookies of a connection, such as those of a handshake in `connect`."""
        found = []
        for name, value in scope.headers:
            for piece in value.split(b";") if name == "cookie" else ():
                key, equals, text = piece.strip().partition(b"=")
                try:
                    if equals and key:
                        found.append((unquote(key.decode(), errors="strict"), _cookie_value(text.decode())))
                except UnicodeDecodeError:
                    continue
        return cls(found)

    def get(self, name: str) -> str | None:
        """The value of a cookie."""
        return next((value for known, value in self._found if known == name), None)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """All names and values, in the order sent."""
        return iter(self._found)


def _cookie_value(text: str) -> str:
    text = text.strip()
    if len(text) >= 2 and text.startswith('"') and text.endswith('"'):
        text = text[1:-1]
    return unquote(text, errors="strict")


def taker(hint: Any, what: str) -> Take:
    """The function that takes a parameter from a request."""
    if hint is Context:
        return lambda _, cx: cx
    if hint is Request:
        return lambda request, _: request
    if hint is Scope:
        return lambda request, _: request
    if hint is Cookies:
        return lambda request, _: Cookies.of(request)
    if hint is User:
        return lambda _, cx: _user(cx)
    if set(get_args(hint)) == {User, type(None)}:
        return lambda _, cx: cx.user
    if get_origin(hint) is Session:
        kind = get_args(hint)[0]
        check_session(kind, what)
        return lambda _, cx: cx.session(kind)
    for marker in getattr(hint, "__metadata__", ()):
        made = _marked(marker, get_args(hint)[0])
        if made is not None:
            return made
    take = getattr(get_origin(hint) or hint, "from_request", None)
    if callable(take):
        return lambda request, cx: hint.from_request(request, cx)
    raise ConsumerError(
        f"{what}: `{name_of(hint)}` cannot be taken from a request, and its name is not in the path. Take Context, "
        "Request, Json[...], Query[...], Form[...], Multipart, Cookies, User, Session[...], "
        "Annotated[str, Header(...)], or a class with `from_request`"
    )


def _user(cx: Context) -> User:
    """The user, or else status 401: the consumer asks for none, or for one that may be missing."""
    if cx.user is None:
        raise HttpError(401, Response.text("sign in first\n").header("www-authenticate", "Bearer"))
    return cx.user


def _marked(marker: Any, kind: Any) -> Take | None:
    if isinstance(marker, _Json):
        reader(kind)
        return lambda request, _: _json_body(request, kind)
    if isinstance(marker, _Query):
        read_query = texts.pairs_reader(kind)
        return lambda request, _: _read("query", lambda: read_query(pairs(request.query_string)))
    if isinstance(marker, _Form):
        read_form = texts.pairs_reader(kind)
        return lambda request, _: _form_body(request, read_form)
    if isinstance(marker, Header):
        return _header(marker.name.lower(), kind)
    return None


def is_json(hint: Any) -> bool:
    """Whether a type is `Json[...]`."""
    return any(isinstance(marker, _Json) for marker in getattr(hint, "__metadata__", ()))


def _json_body(request: Request, kind: Any) -> Any:
    check_type(
        request,
        "application/json",
        lambda it: it == "application/json" or (it.startswith("application/") and it.endswith("+json")),
    )
    return _read("body", lambda: jsons.loads(request.body, kind))


def _form_body(request: Request, read: Callable[[texts.Pairs], Any]) -> Any:
    wanted = "application/x-www-form-urlencoded"
    check_type(request, wanted, lambda it: it == wanted)
    return _read("body", lambda: read(pairs(request.body.decode(errors="replace"))))


def _header(name: str, kind: Any) -> Take:
    is_optional = get_origin(kind) in (Union, types.UnionType) and type(None) in get_args(kind)
    parse = texts.parser(kind)

    def take(request: Request, _: Context) -> Any:
        raw = next((value for known, value in request.headers if known == name), None)
        if raw is None:
            if is_optional:
                return None
            raise HttpError(400, f"header `{name}`: missing\n")
        try:
            return parse(raw.decode())
        except ValueError as error:
            detail = str(error) if isinstance(error, Unreadable) else "malformed"
            raise HttpError(400, f"header `{name}`: {detail}\n") from None

    return take


def _read(what: str, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except Unreadable as error:
        raise HttpError(400, f"{what}: {error}\n") from None


def check_type(request: Request, expected: str, fits: Callable[[str], bool]) -> None:
    """Answers with status 415 unless the content type is as expected."""
    content_type = request.header("content-type")
    if not fits((content_type or "").split(";")[0].strip().lower()):
        found = "is missing" if content_type is None else f"is `{content_type}`"
        text = f"header `content-type`: {found}, expected `{expected}`\n"
        raise HttpError(415, Response.text(text))
