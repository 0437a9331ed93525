"""The facts of a connection, and an HTTP request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar, overload
from urllib.parse import parse_qsl

from tidegate_sdk.codec import jsons
from tidegate_sdk.errors import Unreadable
from tidegate_sdk.response import HttpError

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Scope:
    """The facts of a connection. They do not change while it is open."""

    reply_channel: str
    """The connection's own channel: messages to it go to the client. A consumer that is handed the name may answer."""
    scheme: str = "http"
    """`http`, `https`, `ws` or `wss`."""
    method: str = "GET"
    """The method in upper case. `GET` for a WebSocket."""
    http_version: str = "1.1"
    """`1.0`, `1.1` or `2`."""
    path: str = "/"
    """The path, percent-decoded."""
    raw_path: str = "/"
    """The path as the client wrote it."""
    query_string: str = ""
    """The query: the text after the question mark, undecoded. Empty without one."""
    path_params: tuple[tuple[str, str], ...] = ()
    """Names and texts of the path's parameters, in the order of the path, percent-decoded."""
    headers: tuple[tuple[str, bytes], ...] = ()
    """The header fields in the order sent, names in lower case."""
    client: tuple[str, int] = ("", 0)
    """Address and port of the client."""
    server: tuple[str, int] = ("", 0)
    """Address and port of the server."""
    root_path: str = ""
    """The path under which the application is mounted. Empty at the root."""
    subprotocols: tuple[str, ...] = ()
    """The subprotocols that a WebSocket client offers, best first. Empty for HTTP."""

    def header(self, name: str) -> str | None:
        """The first header field of that name in any case, if its value is UTF-8."""
        return first_header(self.headers, name)

    def query(self, key: str) -> str | None:
        """The first value of a key in the query, percent-decoded. `""` for a key without value."""
        return next((value for name, value in self.query_pairs() if name == key), None)

    def query_pairs(self) -> list[tuple[str, str]]:
        """All pairs of the query in order, percent-decoded. Bytes that are not UTF-8 become U+FFFD."""
        return pairs(self.query_string)

    def param(self, name: str) -> str | None:
        """The text of a parameter of the path, percent-decoded. None if the path has no such parameter."""
        return dict(self.path_params).get(name)


@dataclass(slots=True, kw_only=True)
class Request(Scope):
    """An HTTP request: the facts of its connection, and a body.

    >>> from tidegate_sdk import Request, export, http
    >>> from tidegate_sdk.testing import TestHost
    >>> @http("GET /search")
    ... def search(request: Request) -> str:
    ...     return f"nothing found for {request.query('q')}"
    >>> TestHost(export(search)).get("/search?q=blue+whale").text
    'nothing found for blue whale'
    """

    body: bytes = b""
    """The body."""

    def text(self) -> str:
        """The body as text. One that is not UTF-8 is answered with status 400."""
        try:
            return self.body.decode()
        except UnicodeDecodeError as error:
            raise HttpError(400, f"body: not UTF-8 at byte {error.start + 1}\n") from None

    @overload
    def json(self) -> Any: ...
    @overload
    def json(self, kind: type[T]) -> T: ...
    def json(self, kind: Any = Any) -> Any:
        """Reads the body as JSON, whatever the content type says.

        `kind` is what it has to read as: a dataclass, `list[int]`, a pydantic model and so on. A body that does not
        is answered with status 400 and a text that says what is wrong where.
        """
        try:
            return jsons.loads(self.body, kind)
        except Unreadable as error:
            raise HttpError(400, f"body: {error}\n") from None


def first_header(headers: Iterable[tuple[str, bytes]], name: str) -> str | None:
    """The first header field of a name in any case, if its value is UTF-8. Those of `headers` are in lower case."""
    value = next((value for known, value in headers if known == name.lower()), None)
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def pairs(encoded: str) -> list[tuple[str, str]]:
    """The pairs of a query or a form."""
    return parse_qsl(encoded, keep_blank_values=True, errors="replace")
