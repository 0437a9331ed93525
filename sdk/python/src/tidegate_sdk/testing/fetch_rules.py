"""The rules of the host about requests to servers outside, and the forms of their messages."""

from __future__ import annotations

import re
from typing import Any

from tidegate_sdk.codec import messagepack
from tidegate_sdk.errors import InvalidFetch
from tidegate_sdk.testing import rules
from tidegate_sdk.testing.store_rules import quoted
from tidegate_sdk.wire import Fetch, Headers

# Methods that may be repeated without doing something twice (RFC 9110, section 9.2.2).
_IDEMPOTENT = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE")
_METHODS = (*_IDEMPOTENT, "POST", "PATCH")
_RETRIES_MAX = 10
# A result without an answer is larger than its request by less than 2 KiB.
_REQUEST_MAX = rules.CONTENT_MAX - 2 * 1024
_IDEMPOTENCY_KEY = "idempotency-key"
_OF_THE_HOST = {
    "host", "content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade", "proxy-authorization",
    "keep-alive",
}  # fmt: skip
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_DEFAULT_PORTS = {"https": ":443", "http": ":80"}


def check(request: Fetch) -> None:
    """Checks all of a request but its server and its channel."""
    method = request.method
    if method not in _METHODS:
        raise InvalidFetch(
            f"{quoted(method)} is not a method of a request; use GET, POST, PUT, PATCH, DELETE, HEAD or OPTIONS"
        )
    check_headers(request.headers)
    if request.retries > _RETRIES_MAX:
        raise InvalidFetch(f"a request is made again {_RETRIES_MAX} times at most, not {request.retries}")
    is_keyed = any(name.lower() == _IDEMPOTENCY_KEY for name, _ in request.headers)
    if request.retries > 0 and not is_keyed and method not in _IDEMPOTENT:
        raise InvalidFetch(
            f"a {method} is not idempotent, so that a server may do it twice if it is made again; give the header "
            f"field {_IDEMPOTENCY_KEY} with a value by which the server knows repeats, or no retries"
        )
    if request.timeout == 0:
        raise InvalidFetch("a timeout is at least 1 ms")
    _check_size(request)


def check_headers(headers: Headers) -> None:
    """Checks header fields of a request."""
    for name, value in headers:
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise InvalidFetch(f"the header field {quoted(name)} has a name or a value that HTTP does not allow")
        if name.lower() in _OF_THE_HOST:
            raise InvalidFetch(f"the header field {name.lower()} is written by the host; leave it out")


def _check_size(request: Fetch) -> None:
    it = request
    told = {"method": it.method, "url": it.url, "headers": it.headers, "body": it.body, "then": it.then}
    timeout = {} if it.timeout is None else {"timeout": it.timeout}
    content = with_value(told | {"retries": it.retries} | timeout, it.value)
    try:
        rules.read_content(content)
    except ValueError as error:
        raise InvalidFetch(f"the value that comes back with the result: {error}") from None
    if len(content) > _REQUEST_MAX:
        raise InvalidFetch(f"a request has at most {_REQUEST_MAX} bytes in all; this one has {len(content)}")


def with_value(told: dict[str, Any], value: bytes) -> bytes:
    """The content of a message that has a value as it was written."""
    # None, in whose place it stands, is one byte.
    return messagepack.packb(told | {"value": None})[:-1] + value


def server(url: str) -> str:
    """Scheme, host and port of a URL, as a grant writes them; the port only if it is not that of the scheme.

    >>> server("https://Pay.example.com:443/charges?id=7"), server("http://127.0.0.1:8080")
    ('https://pay.example.com', 'http://127.0.0.1:8080')
    """
    scheme, colon, rest = url.partition("://")
    if not colon:
        raise InvalidFetch('the URL is not valid: it has no ://; write it as "https://api.example.com/path"')
    if scheme not in _DEFAULT_PORTS:
        raise InvalidFetch('the scheme of the URL is neither https nor http; write "https://" before the host')
    authority = re.split("[/?#]", rest, maxsplit=1)[0].lower()
    if not authority:
        raise InvalidFetch('the URL is not valid: it has no host; write it as "https://api.example.com/path"')
    if "@" in authority:
        raise InvalidFetch(
            "the URL has a user name or a password; take them out, and send them in the header field `authorization`"
        )
    return f"{scheme}://{authority.removesuffix(_DEFAULT_PORTS[scheme])}"


def names(granted: str, wanted: str) -> bool:
    """Whether a grant, a host with or without a scheme, or `*.` and the end of a host, names a server.

    >>> names("*.example.com", "https://pay.example.com"), names("http://pay.example.com", "https://pay.example.com")
    (True, False)
    """
    if "://" in granted:
        return granted == wanted
    host = wanted.partition("://")[2]
    if granted.startswith("*"):
        return host.endswith(granted[1:]) and len(host) > len(granted) - 1
    return host == granted
