"""Requests that a run waits for, by `wasi:http`. Only a component whose code names `fetch_now` has its bindings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from componentize_py_types import Err
from wit_world.imports import outgoing_handler, streams
from wit_world.imports import wasi_http_types as http

from tidegate_sdk.errors import FetchFailed
from tidegate_sdk.wire import Asked, Headers

T = TypeVar("T")

_CHUNK_MAX = 4096
"""Bytes that are written at once."""
_READ_MAX = 64 * 1024
"""Bytes that are read at once."""

_METHODS = {
    "GET": http.Method_Get,
    "HEAD": http.Method_Head,
    "POST": http.Method_Post,
    "PUT": http.Method_Put,
    "DELETE": http.Method_Delete,
    "OPTIONS": http.Method_Options,
    "PATCH": http.Method_Patch,
}
_SCHEMES = {"https": http.Scheme_Https, "http": http.Scheme_Http}
_REASONS = {
    http.ErrorCode_DestinationIpProhibited: "refused",
    http.ErrorCode_HttpRequestDenied: "refused",
    http.ErrorCode_DnsError: "resolve",
    http.ErrorCode_ConnectionRefused: "connect",
    http.ErrorCode_TlsCertificateError: "tls",
    http.ErrorCode_ConnectionReadTimeout: "timeout",
}


def send(asked: Asked) -> tuple[int, Headers, bytes]:
    """Makes a request and waits for its answer."""
    request = _outgoing(asked)
    options = http.RequestOptions()
    if asked.timeout is not None:
        _valid("timeout", options.set_first_byte_timeout, asked.timeout * 1_000_000)
    body = _valid("body", request.body)
    try:
        coming = outgoing_handler.handle(request, options)
    except Err as error:
        raise _failure(error.value) from None
    with coming:
        _write(body, asked.body)
        with coming.subscribe() as pollable:
            pollable.block()
        found = coming.get()
        # The first result says whether it was taken before, the second is that of the request.
        outcome = getattr(found, "value", None)
        if outcome is None:
            raise FetchFailed("broken", "no answer came")
        if isinstance(outcome, Err):
            raise _failure(outcome.value)
        return _read(outcome.value)


def _outgoing(asked: Asked) -> Any:
    scheme, colon, rest = asked.url.partition("://")
    if not colon:
        raise FetchFailed("invalid", "the URL of the request is not one")
    cut = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    authority, path = rest[:cut], rest[cut:]
    if not authority:
        raise FetchFailed("invalid", "the URL of the request is not one")
    named = _SCHEMES.get(scheme)
    if named is None:
        raise FetchFailed("invalid", "the scheme of the URL is neither https nor http")
    fields = http.Fields()
    for name, value in asked.headers:
        _valid(f"header field {name!r}", fields.append, name, value)
    if asked.body:
        _valid("length", fields.append, "content-length", str(len(asked.body)).encode())
    request = http.OutgoingRequest(fields)
    known = _METHODS.get(asked.method)
    _valid("method", request.set_method, http.Method_Other(asked.method) if known is None else known())
    _valid("scheme", request.set_scheme, named())
    _valid("host", request.set_authority, authority)
    _valid("path", request.set_path_with_query, path if path.startswith("/") else f"/{path}")
    return request


def _write(body: Any, data: bytes) -> None:
    with _valid("body", body.write) as stream:
        try:
            for at in range(0, len(data), _CHUNK_MAX):
                stream.blocking_write_and_flush(data[at : at + _CHUNK_MAX])
        except Err:
            pass  # Whoever does not read it says why in the answer, or in its place.
    try:
        http.OutgoingBody.finish(body, None)
    except Err:
        pass  # Likewise.


def _read(response: Any) -> tuple[int, Headers, bytes]:
    with response:
        status = response.status()
        with response.headers() as fields:
            headers = [(name, bytes(value)) for name, value in fields.entries()]
        with _valid("answer", response.consume) as body, _valid("answer", body.stream) as stream:
            return status, headers, _read_all(stream)


def _read_all(stream: Any) -> bytes:
    parts = []
    while True:
        try:
            parts.append(bytes(stream.blocking_read(_READ_MAX)))
        except Err as error:
            if isinstance(error.value, streams.StreamError_Closed):
                return b"".join(parts)
            raise FetchFailed("broken", error.value.value.to_debug_string()) from None


def _valid(part: str, call: Callable[..., T], *arguments: Any) -> T:
    try:
        return call(*arguments)
    except Err:
        raise FetchFailed("invalid", f"the {part} of the request is not one") from None


def _failure(code: Any) -> FetchFailed:
    # The guard names the setting.
    if isinstance(code, http.ErrorCode_InternalError) and code.value:
        return FetchFailed("refused", code.value)
    name = type(code).__name__.partition("_")[2]
    payload = getattr(code, "value", None)
    more = getattr(payload, "rcode", None) or getattr(payload, "alert_message", None)
    return FetchFailed(_REASONS.get(type(code), "broken"), f"{name}: {more}" if more else name)
