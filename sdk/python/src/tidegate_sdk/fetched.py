"""The result of a request to a server outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, overload

from tidegate_sdk.codec import jsons
from tidegate_sdk.codec.readers import Reader, reader, register_generic
from tidegate_sdk.errors import Unreadable
from tidegate_sdk.scope import first_header

T = TypeVar("T")
V = TypeVar("V")

_UNKNOWN = "unknown"


@dataclass(frozen=True)
class Answer:
    """The answer of a server to a request.

    >>> answer = Answer(201, (("content-type", b"application/json"),), b'{"id": 7}')
    >>> answer.is_success, answer.header("Content-Type"), answer.json()
    (True, 'application/json', {'id': 7})
    """

    status: int
    """The status."""
    headers: tuple[tuple[str, bytes], ...] = ()
    """The header fields in the order received, names in lower case."""
    body: bytes = b""
    """The body."""

    @property
    def is_success(self) -> bool:
        """Whether the status is one from 200 to 299."""
        return 200 <= self.status <= 299

    def header(self, name: str) -> str | None:
        """The first header field of that name in any case, if its value is UTF-8."""
        return first_header(self.headers, name)

    def text(self) -> str:
        """The body as text, with U+FFFD in the place of bytes that are not UTF-8."""
        return self.body.decode(errors="replace")

    @overload
    def json(self) -> Any: ...
    @overload
    def json(self, kind: type[T]) -> T: ...
    def json(self, kind: Any = Any) -> Any:
        """Reads the body as JSON, whatever the content type says.

        `kind` is the type that it is read as, as in `Request.json`. A body that does not read is `Unreadable`.
        """
        return jsons.loads(self.body, kind)


@dataclass(frozen=True)
class FetchFailure:
    """Why a request has no answer.

    >>> str(FetchFailure("connect", "connection refused"))
    'connect: connection refused'
    """

    reason: str
    """A word.

    Of a request that was not answered it is `refused` (the host refuses an address or a redirect), `resolve`,
    `connect`, `tls`, `timeout`, `broken` (the answer breaks off, or is not HTTP), `too_large` or `redirects`.

    It is `unknown` if the process that made the request ended, so that nobody knows whether the server has done it.
    Only a request without retries has that.
    """
    message: str
    """A text for people. It has no path, query or header field of the request."""

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


_LOST = FetchFailure(_UNKNOWN, "the process that made the request ended")


@dataclass(frozen=True)
class Fetched(Generic[V]):
    """The result of a request, which `Context.fetch` has sent to a channel. `V` is the type of its `value`.

    Either `answer` is there or `failure`. A consumer of the channel takes it as `Fetched[Order]`; a message that is not
    the result of a request is a fault.
    """

    value: V
    """The value that was given with the request."""
    attempts: int
    """The number of times that the request was made, or was about to be made."""
    answer: Answer | None = None
    """The answer of the server, whatever its status."""
    failure: FetchFailure | None = None
    """Why there is no answer."""

    def __post_init__(self) -> None:
        if (self.answer is None) == (self.failure is None):
            raise ValueError("a request has an answer or a failure: give one of them")

    def as_message(self) -> dict[str, Any]:
        """The message, in the form of the contract."""
        told: dict[str, Any] = {"result": "answered", "value": self.value, "attempts": self.attempts}
        if self.answer is not None:
            return told | {
                "status": self.answer.status,
                "headers": self.answer.headers,
                "body": self.answer.body,
            }
        if self.failure is None or self.failure.reason == _UNKNOWN:
            return told | {"result": "unknown"}
        return told | {"result": "failed", "reason": self.failure.reason, "message": self.failure.message}


@dataclass
class _Message:
    result: str
    value: Any
    attempts: int
    status: int | None = None
    headers: list[tuple[str, bytes]] = field(default_factory=list)
    body: bytes = b""
    reason: str = ""
    message: str = ""


_message = reader(_Message)


def _reader(arguments: tuple[Any, ...]) -> Reader:
    """The reader of `Fetched[V]`, or of `Fetched` with any value."""
    read_value: Callable[[Any], Any] = reader(arguments[0]) if arguments else lambda value: value

    def read(value: Any) -> Fetched[Any]:
        message = _message(value)
        try:
            own = read_value(message.value)
        except Unreadable as error:
            raise error.inside("value") from None
        match message.result:
            case "answered" if message.status is not None:
                answer = Answer(message.status, tuple(message.headers), message.body)
                return Fetched(own, message.attempts, answer=answer)
            case "failed":
                return Fetched(own, message.attempts, failure=FetchFailure(message.reason, message.message))
            case "unknown":
                return Fetched(own, message.attempts, failure=_LOST)
            case other:
                raise Unreadable(f"{other!r} is not the result of a request", ("result",))

    return read


register_generic(Fetched, _reader)
