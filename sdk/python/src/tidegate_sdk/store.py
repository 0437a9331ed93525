"""The data of the module: keys and values that outlive connections and versions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, TypeVar, overload

from tidegate_sdk.checks import milliseconds, need_bytes, need_i64, need_int, need_text
from tidegate_sdk.codec import messagepack
from tidegate_sdk.codec.describe import name_of
from tidegate_sdk.codec.readers import reader
from tidegate_sdk.errors import InvalidCall, NewerSchema, Unreadable, UnreadableValue
from tidegate_sdk.wire import Host, Value

T = TypeVar("T")

_PAGE = 100


class _Reads:
    """Reading keys, whoever they belong to."""

    def _values(self, keys: list[str]) -> list[Value | None]:
        """The values of keys as they are at one moment."""
        raise NotImplementedError

    @overload
    def get(self, key: str) -> Any: ...
    @overload
    def get(self, key: str, kind: type[T]) -> T | None: ...
    def get(self, key: str, kind: Any = Any) -> Any:
        """Reads a key as a type. None if nothing is there, or if it has expired."""
        return self.get_many([key], kind)[0]

    @overload
    def get_many(self, keys: Sequence[str]) -> list[Any]: ...
    @overload
    def get_many(self, keys: Sequence[str], kind: type[T]) -> list[T | None]: ...
    def get_many(self, keys: Sequence[str], kind: Any = Any) -> Any:
        """Reads up to 1,000 keys as they are at one moment, in their order."""
        asked = _keys(keys)
        return _decoded(asked, self._values(asked), kind)

    def counter(self, key: str) -> int:
        """Reads an integer. 0 if nothing is there."""
        return integer(key, self._values(_keys([key]))[0])


class Store(_Reads):
    """The data of the module. `Context.store` is it.

    A run is a transaction. Its writes wait until the consumer returns without a fault, or calls `flush`. Then they take
    effect as a whole, before anything that the run sends. A fault takes back everything since the last flush. If
    something that the run read has changed by then, nothing takes effect and nothing is sent: the host runs the
    consumer again for the same event, 10 times at most. So a consumer reads, decides and writes as if it were alone,
    and has no effect elsewhere that must not happen twice.

    A run sees its own writes. A key is text of 1 to 512 bytes. A value is text, a number, bool, None, a list, a dict, a
    dataclass or a pydantic model, at most 256 KiB as MessagePack. A dataclass may have the number of its shape as
    `SCHEMA`, 0 without, and a class method `migrate(schema, old)` for values with a lower one, `old` being plain.

    Calls raise `InvalidCall` when they break a rule, `StoreUnavailable` when the store does not answer, and when a
    value does not read `NewerSchema` or `UnreadableValue`; all are `StoreError`.

    >>> from dataclasses import dataclass
    >>> from tidegate_sdk import Context, HttpError, export, http
    >>> from tidegate_sdk.testing import TestHost
    >>> @dataclass
    ... class Seat:
    ...     taken_by: str
    >>> @http("POST /seats/{number}/{name}")
    ... def book(cx: Context, number: int, name: str) -> str:
    ...     seat = cx.store.get(f"seat:{number}", Seat)
    ...     if seat is not None:
    ...         raise HttpError(400, f"{seat.taken_by} has it")
    ...     cx.store.set(f"seat:{number}", Seat(name))
    ...     cx.store.add("seats-taken", 1)
    ...     return "booked"
    >>> host = TestHost(export(book))
    >>> host.request("POST", "/seats/7/ada").text, host.request("POST", "/seats/7/bob").text
    ('booked', 'ada has it')

    Somebody else books the seat after the run has read it: the run is done again, and sees that.

    >>> host.before_commit(lambda: host.data.set("seat:8", Seat("eve")))
    >>> host.request("POST", "/seats/8/bob").text, host.data.counter("seats-taken")
    ('eve has it', 1)
    """

    def __init__(self, host: Host) -> None:
        self._host = host

    def _values(self, keys: list[str]) -> list[Value | None]:
        return self._host.store_get_many(keys)

    def set(self, key: str, value: Any, time_to_live: float | timedelta | None = None) -> None:
        """Sets a key. With `time_to_live`, in seconds and up to ten years, it is gone so long after the commit."""
        name = need_text("a key", key)
        span = None if time_to_live is None else milliseconds("time_to_live", time_to_live)
        self._host.store_set(name, encode(name, value), span)

    def delete(self, key: str) -> None:
        """Deletes a key. Without one, it does nothing."""
        self._host.store_delete(need_text("a key", key))

    def add(self, key: str, delta: int = 1) -> None:
        """Adds to an integer without reading it: runs that add to one key do not disturb each other.

        A key that is not there counts as 0. If it holds anything but an integer at the commit, the run fails.
        """
        self._host.store_add(need_text("a key", key), need_i64("delta", delta))

    @overload
    def list(self, prefix: str) -> Iterator[tuple[str, Any]]: ...
    @overload
    def list(self, prefix: str, kind: type[T]) -> Iterator[tuple[str, T]]: ...
    def list(self, prefix: str, kind: Any = Any) -> Iterator[tuple[str, Any]]:
        """The keys that begin with a prefix, with their values, in the order of the keys' bytes.

        An empty prefix lists all keys of the module. The host is asked for 100 keys at a time, as the iterator goes
        on.

        >>> from tidegate_sdk import Context, export, http
        >>> from tidegate_sdk.testing import TestHost
        >>> @http("GET /scores")
        ... def scores(cx: Context) -> str:
        ...     return "".join(f"{key} {score}, " for key, score in cx.store.list("score:", int))
        >>> host = TestHost(export(scores))
        >>> host.data.set("score:ada", 7)
        >>> host.get("/scores").text
        'score:ada 7, '
        """
        for key, value in self._entries(prefix):
            yield key, decode(key, value, kind)

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys that begin with a prefix, as `list` finds them."""
        for key, _ in self._entries(prefix):
            yield key

    def _entries(self, prefix: str) -> Iterator[tuple[str, Value]]:
        need_text("a prefix", prefix)
        cursor: str | None = None
        while True:
            page = self._host.store_list(prefix, cursor, _PAGE)
            yield from page.entries
            cursor = page.cursor
            if cursor is None:
                return

    def get_bytes(self, key: str) -> bytes | None:
        """Reads the bytes below a key, whatever their schema number. An integer is its MessagePack."""
        value = self._host.store_get_many(_keys([key]))[0]
        return None if value is None else _bytes(value)

    def set_bytes(self, key: str, data: bytes, time_to_live: float | timedelta | None = None) -> None:
        """Sets a key to bytes as they are, with schema number 0."""
        span = None if time_to_live is None else milliseconds("time_to_live", time_to_live)
        self._host.store_set(need_text("a key", key), Value(need_bytes("a value", data)), span)

    def of(self, module: str) -> StoreView:
        """The keys of another module, to be read. An operator grants them with `grants.data`.

        They are not part of the transaction: the run is not done again if they change.
        """
        return StoreView(self._host, need_text("the name of a module", module))


class StoreView(_Reads):
    """The keys of another module, to be read. Without a grant calls raise `ForbiddenKeys`."""

    def __init__(self, host: Host, module: str) -> None:
        self._host = host
        self._module = module

    def _values(self, keys: list[str]) -> list[Value | None]:
        return self._host.store_get_many_of(self._module, keys)


def _keys(keys: Sequence[str]) -> list[str]:
    if isinstance(keys, str):
        raise TypeError("keys are a list of texts: [key]")
    return [need_text("a key", key) for key in keys]


def _decoded(keys: list[str], values: list[Value | None], kind: Any) -> list[Any]:
    return [None if value is None else decode(key, value, kind) for key, value in zip(keys, values, strict=True)]


def _schema(kind: Any) -> int:
    return need_int("SCHEMA", getattr(kind, "SCHEMA", 0))


def encode(key: str, value: Any) -> Value:
    """Writes a value. An integer is kept as one, so that `add` changes it."""
    if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63:
        return Value(int(value))
    try:
        return Value(messagepack.packb(value), _schema(type(value)))
    except (TypeError, ValueError) as error:
        raise InvalidCall(f'"{key}" cannot be written: {error}') from None


def decode(key: str, value: Value, kind: Any) -> Any:
    """Reads a value that `encode` wrote, also in another version of the module."""
    known = _schema(kind)
    if kind is not Any and value.schema > known:
        raise NewerSchema(key, value.schema, known)
    try:
        plain = value.data if isinstance(value.data, int) else messagepack.unpackb(value.data)
        if kind is not Any and value.schema < known:
            return _migrated(key, value.schema, known, plain, kind)
        return reader(kind)(plain)
    except Unreadable as error:
        raise UnreadableValue(key, f"it does not read as `{name_of(kind)}`: {error}") from None


def _migrated(key: str, schema: int, known: int, plain: Any, kind: Any) -> Any:
    migrate = getattr(kind, "migrate", None)
    if migrate is None:
        raise UnreadableValue(
            key, f"it has schema {schema}, and this version reads schema {known}. Write `migrate` for `{name_of(kind)}`"
        )
    try:
        return migrate(schema, plain)
    except Exception as error:
        raise UnreadableValue(key, f"{type(error).__name__}: {error}") from error


def _bytes(value: Value) -> bytes:
    return value.data if isinstance(value.data, bytes) else messagepack.packb(value.data)


def integer(key: str, value: Value | None) -> int:
    """Reads an integer. 0 without one."""
    if value is None:
        return 0
    if isinstance(value.data, int):
        return value.data
    raise UnreadableValue(key, "it is not an integer. Read it with `get` and the type that wrote it")
