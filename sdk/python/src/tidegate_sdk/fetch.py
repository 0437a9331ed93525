"""Requests to servers outside, which the host makes after a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from tidegate_sdk.checks import U32_MAX, checked_headers, milliseconds, need_bytes, need_int, need_text
from tidegate_sdk.codec import jsons, messagepack
from tidegate_sdk.errors import InvalidFetch
from tidegate_sdk.wire import Asked, Fetch, Headers

Fields = Mapping[str, str | bytes] | Sequence[tuple[str, str | bytes]]
"""Names and values of header fields."""


def request(
    method: str,
    url: str,
    *,
    then: str,
    headers: Fields | None,
    body: bytes | str | None,
    json: Any,
    value: Any,
    retries: int,
    idempotency_key: str | None,
    timeout: float | timedelta | None,
) -> Fetch:
    """Puts a request together, its types checked. The rules of HTTP and of grants are the host's."""
    if need_text("the channel of a result", then) == "":
        raise InvalidFetch(
            'the result goes nowhere: name a channel, as in then="shop.charged", and declare a consumer of it'
        )
    it = asked(method, url, headers=headers, body=body, json=json, idempotency_key=idempotency_key, timeout=timeout)
    return Fetch(
        method=it.method,
        url=it.url,
        headers=it.headers,
        body=it.body,
        then=then,
        value=_packed(value),
        timeout=it.timeout,
        retries=need_int("retries", retries),
    )


def asked(
    method: str,
    url: str,
    *,
    headers: Fields | None,
    body: bytes | str | None,
    json: Any,
    idempotency_key: str | None,
    timeout: float | timedelta | None,
) -> Asked:
    """Puts a request together that a run waits for, its types checked."""
    if body is not None and json is not None:
        raise TypeError("a request has one body: give `body` or `json`")
    fields = checked_headers(headers or {})
    if idempotency_key is not None:
        fields.append(("idempotency-key", need_text("the idempotency key of a request", idempotency_key).encode()))
    return Asked(
        method=need_text("the method of a request", method),
        url=need_text("the URL of a request", url),
        headers=fields,
        body=_bytes(body) if json is None else _json(json, fields),
        timeout=None if timeout is None else min(milliseconds("timeout", timeout), U32_MAX),
    )


def _bytes(body: bytes | str | None) -> bytes:
    if isinstance(body, str):
        return need_text("the body of a request", body).encode()
    return need_bytes("the body of a request", b"" if body is None else body)


def _json(value: Any, fields: Headers) -> bytes:
    """Writes a body as JSON. Says so in `content-type`, unless the header fields have one."""
    try:
        body = jsons.dumps(value).encode()
    except (TypeError, ValueError) as error:
        raise InvalidFetch(f"the body cannot be written as JSON: {error}") from None
    if not any(name.lower() == "content-type" for name, _ in fields):
        fields.append(("content-type", b"application/json"))
    return body


def _packed(value: Any) -> bytes:
    try:
        return messagepack.packb(value)
    except (TypeError, ValueError) as error:
        raise InvalidFetch(f"the value cannot be written: {error}") from None
