"""Bodies of several parts: forms with files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import multipart as parser

from tidegate_sdk.context import Context
from tidegate_sdk.errors import ConsumerError
from tidegate_sdk.extract import check_type
from tidegate_sdk.response import HttpError
from tidegate_sdk.scope import Request

_TYPE = "multipart/form-data"


@dataclass(frozen=True)
class Part:
    """One part of a `Multipart` body."""

    name: str
    """The name of the form's field."""
    file_name: str | None
    """The name of the file, as the client has it: not to be trusted as a path."""
    content_type: str | None
    """The type of the content, as the client has it. Not to be trusted."""
    body: bytes
    """The content."""

    @property
    def text(self) -> str:
        """The content as text. One that is not UTF-8 is answered with status 400."""
        try:
            return self.body.decode()
        except UnicodeDecodeError as error:
            raise HttpError(400, f"body: part `{self.name}`: not UTF-8 at byte {error.start + 1}\n") from None


class Multipart:
    """A body of several parts, `multipart/form-data`, as an HTML form with files sends it.

    A subclass may set the limits: at most `parts_max` parts of at most `part_bytes_max` bytes each. They are below the
    limit that the host has for the whole body, 1 MiB by default. More is answered with status 413, another content
    type with 415, and a malformed body with 400.

    >>> from tidegate_sdk import export, http
    >>> from tidegate_sdk.testing import TestHost
    >>> class Picture(Multipart):
    ...     parts_max = 2
    >>> @http("POST /picture")
    ... def picture(form: Picture) -> str:
    ...     title = form.get("title")
    ...     files = [part for part in form if part.file_name]
    ...     return f"{title.text if title else 'untitled'}: {len(files)}"
    >>> body = '--x\\r\\ncontent-disposition: form-data; name="title"\\r\\n\\r\\nWhale\\r\\n--x--\\r\\n'
    >>> kind = {"content-type": "multipart/form-data; boundary=x"}
    >>> TestHost(export(picture)).request("POST", "/picture", body=body, headers=kind).text
    'Whale: 0'
    """

    parts_max: ClassVar[int] = 100
    part_bytes_max: ClassVar[int] = 8 * 1024 * 1024

    def __init__(self, parts: list[Part]) -> None:
        self._parts = parts

    @classmethod
    def from_request(cls, request: Request, cx: Context) -> Any:
        """Reads the body."""
        del cx
        check_type(request, _TYPE, lambda it: it == _TYPE)
        _, options = parser.parse_options_header(request.header("content-type") or "")
        boundary = options.get("boundary")
        if not boundary:
            raise HttpError(400, "header `content-type`: it has no boundary\n")
        try:
            return cls(list(_parts(cls, boundary, request.body)))
        except parser.MultipartError as error:
            raise HttpError(400, f"body: {error}\n") from None

    def get(self, name: str) -> Part | None:
        """The first part of that name."""
        return next((part for part in self._parts if part.name == name), None)

    def __iter__(self) -> Iterator[Part]:
        """All parts, in the order sent."""
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)


def _parts(limits: type[Multipart], boundary: str, body: bytes) -> Iterator[Part]:
    if limits.parts_max < 1 or limits.part_bytes_max < 0:
        raise ConsumerError(f"`{limits.__name__}`: parts_max is 1 or more, and part_bytes_max is 0 or more")
    count, size = 0, 0
    content: list[bytes] = []
    segment: Any = None
    with parser.PushMultipartParser(boundary, content_length=len(body)) as push:
        for event in push.parse(body):
            if isinstance(event, parser.MultipartSegment):
                segment, content, size = event, [], 0
                count += 1
                if count > limits.parts_max:
                    raise HttpError(413, f"body: more than {limits.parts_max} parts\n")
                if not segment.name:
                    raise HttpError(400, f"body: part {count} has no name\n")
            elif event is not None:
                content.append(bytes(event))
                size += len(event)
                if size > limits.part_bytes_max:
                    raise HttpError(413, f"body: part `{segment.name}` is over {limits.part_bytes_max} bytes\n")
            else:
                yield Part(segment.name, segment.filename or None, segment.content_type, b"".join(content))
