"""Reads HTTP/1 requests, and says them as Tidegate's events."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import unquote

from layer import Map

BODY_BYTES = 1024 * 1024


class Refused(Exception):
    """A request that goes to no worker: the status says why."""


@dataclass
class Request:
    """A request as it was read."""

    method: str
    target: str
    version: str
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def event(self, reply_channel: str, writer: asyncio.StreamWriter) -> Map:
        """The event as docs/redis.md has it."""
        raw_path, _, query = self.target.partition("?")
        try:
            path = unquote(raw_path, errors="strict")
        except UnicodeDecodeError:
            raise Refused(HTTPStatus.BAD_REQUEST) from None
        return {
            "type": "http.request",
            "reply_channel": reply_channel,
            "order": 0,
            "done": True,
            "scheme": "http",
            "method": self.method,
            "http_version": self.version,
            "path": path,
            "raw_path": raw_path.encode(),
            "query_string": query.encode(),
            "headers": self.headers,
            "client": writer.get_extra_info("peername")[:2],
            "server": writer.get_extra_info("sockname")[:2],
            "body": self.body,
        }


async def read(reader: asyncio.StreamReader) -> Request:
    """Reads a request with its whole body."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
        method, target, version = head[0].decode("ascii").split(" ")
        pairs = [line.split(b":", 1) for line in head[1:]]
        headers = [(name.lower(), value.strip()) for name, value in pairs]
        fields = dict(headers)
        length = int(fields.get(b"content-length", b"0"))
    except (ValueError, UnicodeDecodeError, asyncio.LimitOverrunError):
        raise Refused(HTTPStatus.BAD_REQUEST) from None
    if b"transfer-encoding" in fields:
        raise Refused(HTTPStatus.LENGTH_REQUIRED)
    if not 0 <= length <= BODY_BYTES:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    if version not in ("HTTP/1.0", "HTTP/1.1"):
        raise Refused(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
    body = await reader.readexactly(length)
    return Request(method, target, version.removeprefix("HTTP/"), headers, body)
