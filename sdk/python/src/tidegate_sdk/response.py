"""HTTP responses, and exceptions that are answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Literal
from urllib.parse import quote

from tidegate_sdk.checks import need_bytes, need_int, need_text
from tidegate_sdk.codec import jsons

SameSite = Literal["Strict", "Lax", "None"]

# Letters of a cookie's value that are not encoded: those of RFC 6265, without what some servers read as a quotation.
_COOKIE_SAFE = "!#$&'()*+-./:<=>?@[]^_`{|}~"


@dataclass(eq=True)
class Response:
    """A whole HTTP response.

    It can also be sent as a message: to the reply channel of a request that is on hold.

    >>> Response.html("<h1>Gone</h1>", status=410).header("cache-control", "no-store").status
    410
    """

    status: int = 200
    """From 200 to 599."""
    body: bytes = b""
    """The body."""
    headers: list[tuple[str, bytes]] = field(default_factory=list)
    """Header fields in order. The host adds `date` and `content-length`, and refuses fields of the connection."""

    def __post_init__(self) -> None:
        need_int("Response.status", self.status)
        self.body = need_bytes("Response.body", self.body)

    @classmethod
    def text(cls, text: str, status: int = 200) -> Response:
        """Plain text."""
        return cls._typed("text/plain; charset=utf-8", need_text("Response.text", text), status)

    @classmethod
    def html(cls, html: str, status: int = 200) -> Response:
        """HTML."""
        return cls._typed("text/html; charset=utf-8", need_text("Response.html", html), status)

    @classmethod
    def json(cls, value: Any, status: int = 200) -> Response:
        """JSON of a value: text, numbers, bool, None, lists, dicts, dataclasses and so on.

        A value that JSON cannot hold is a `TypeError` or `ValueError`.
        """
        return cls._typed("application/json", jsons.dumps(value), status)

    @classmethod
    def durable_stream(cls, group: str) -> Response:
        """Has the host answer with the messages of a group of the module that has a history, such as `room.blue`.

        The client gets those that are kept, and the next ones where it waits, by the read half of the Durable Streams
        protocol. The host runs the consumer for each request: it decides who may read. A native test sees this response
        with the header field `tidegate-stream`, and no messages.
        """
        return cls().header("tidegate-stream", need_text("Response.durable_stream", group))

    @classmethod
    def _typed(cls, content_type: str, text: str, status: int) -> Response:
        return cls(status, text.encode(), [("content-type", content_type.encode())])

    def header(self, name: str, value: str | bytes) -> Response:
        """Adds a header field, and returns the response."""
        value = need_bytes(f"header {name}", value) if not isinstance(value, str) else value.encode()
        self.headers.append((need_text("the name of a header field", name), value))
        return self

    def cookie(
        self,
        name: str,
        value: str,
        *,
        max_age: timedelta | int | None = None,
        expires: datetime | None = None,
        path: str = "/",
        domain: str | None = None,
        http_only: bool = True,
        secure: bool = True,
        same_site: SameSite = "Lax",
    ) -> Response:
        """Sets a cookie, and returns the response. The value is percent-encoded; `Cookies` decodes it.

        What is not said is the safe choice: no script reads it, it is sent over TLS only (browsers make an exception
        for `localhost`), and other sites send it along with links only. Without `max_age` (seconds) or `expires` it is
        gone when the browser is closed.

        >>> Response(204).cookie("name", "Jürgen").headers[0][1]
        b'name=J%C3%BCrgen; HttpOnly; SameSite=Lax; Secure; Path=/'
        """
        parts = [f"{quote(name, _COOKIE_SAFE)}={quote(value, _COOKIE_SAFE)}"]
        parts += ["HttpOnly"] if http_only else []
        parts += [f"SameSite={same_site}"]
        parts += ["Secure"] if secure else []
        parts += [f"Path={path}"]
        parts += [f"Domain={domain}"] if domain else []
        if max_age is not None:
            seconds = max_age.total_seconds() if isinstance(max_age, timedelta) else max_age
            parts.append(f"Max-Age={int(seconds)}")
        if expires is not None:
            parts.append(f"Expires={format_datetime(expires.astimezone(UTC), usegmt=True)}")
        return self.header("set-cookie", "; ".join(parts))

    def without_cookie(self, name: str, *, path: str = "/", domain: str | None = None) -> Response:
        """Takes a cookie back, and returns the response. Path and domain have to be those that set it."""
        long_ago = datetime(1970, 1, 1, tzinfo=UTC)
        return self.cookie(name, "", max_age=0, expires=long_ago, path=path, domain=domain)

    def as_message(self) -> dict[str, Any]:
        """The message that answers a request on hold."""
        headers = [(name.encode(), value) for name, value in self.headers]
        return {"type": "http.response", "status": self.status, "headers": headers, "body": self.body}


class HttpError(Exception):
    """Answers the request, or denies the handshake. It is no fault: what was sent before goes out.

    >>> from tidegate_sdk import export, http
    >>> from tidegate_sdk.testing import TestHost
    >>> @http("GET /half/{number}")
    ... def half(number: int) -> str:
    ...     if number % 2:
    ...         raise HttpError(400, "an even number, please")
    ...     return str(number // 2)
    >>> host = TestHost(export(half))
    >>> host.get("/half/8").text, host.get("/half/7").status, host.get("/half/x").status
    ('4', 400, 404)
    """

    def __init__(self, status: int, body: str | Response = "", headers: Mapping[str, str] | None = None) -> None:
        response = body if isinstance(body, Response) else Response.text(body)
        response.status = need_int("HttpError.status", status)
        for name, value in (headers or {}).items():
            response.header(name, value)
        super().__init__(f"status {status}")
        self.response = response


class Problem(HttpError):
    """An error for a client as JSON of the form of RFC 9457, `application/problem+json`.

    `members` are more members for programs.

    >>> Problem(409, "Out of stock", detail="Item 12 comes back on Monday.", left=0).response.body
    b'{"title":"Out of stock","status":409,"detail":"Item 12 comes back on Monday.","left":0}'
    """

    def __init__(
        self,
        status: int,
        title: str,
        *,
        kind: str | None = None,
        detail: str | None = None,
        instance: str | None = None,
        **members: Any,
    ) -> None:
        known = {"type": kind, "title": title, "status": status, "detail": detail, "instance": instance}
        body = {name: value for name, value in known.items() if value is not None} | members
        response = Response.json(body)
        response.headers = [("content-type", b"application/problem+json")]
        super().__init__(status, response)
