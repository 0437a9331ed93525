"""Readers: functions that check a value from JSON or MessagePack and make of it what an annotation names."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

from tidegate_sdk.codec import records, texts, unions
from tidegate_sdk.codec.describe import found, name_of
from tidegate_sdk.errors import ConsumerError, Unreadable

Reader = Callable[[Any], Any]

_KNOWN: dict[Any, Reader] = {}
_GENERIC: dict[Any, Callable[[tuple[Any, ...]], Reader]] = {}


def reader(kind: Any) -> Reader:
    """The reader for a type. It is made once, when the module is built.

    >>> reader(list[int])([1, 2])
    [1, 2]
    >>> reader(dict[str, bool])({"a": 1})
    Traceback (most recent call last):
    tidegate_sdk.errors.Unreadable: a: expected true or false, found the number 1
    """
    try:
        known = _KNOWN.get(kind)
    except TypeError:  # Annotated with something that has no hash
        return _make(kind)
    if known is None:
        # A type that has itself as a part finds this one meanwhile.
        _KNOWN[kind] = lambda value: _KNOWN[kind](value)
        try:
            known = _KNOWN[kind] = _make(kind)
        except BaseException:
            del _KNOWN[kind]
            raise
    return known


def register(kind: type, read: Reader) -> None:
    """Gives a class a reader of its own, in place of the one that its fields would give it."""
    _KNOWN[kind] = read


def register_generic(kind: type, make: Callable[[tuple[Any, ...]], Reader]) -> None:
    """Gives a generic class readers of its own. `make` gets the types in its brackets, none without brackets."""
    _GENERIC[kind] = make


def _make(kind: Any) -> Reader:
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return reader(arguments[0])
    if origin in (Union, types.UnionType):
        return unions.reader(arguments, reader)
    if origin is Literal:
        return unions.literal(arguments)
    if isinstance(kind, typing.NewType):
        return reader(kind.__supertype__)
    if isinstance(value := getattr(kind, "__value__", None), object) and value is not None:
        return reader(value)  # `type Name = ...`
    if (origin or kind) in _GENERIC:
        return _GENERIC[origin or kind](arguments)
    made = _container(kind, origin or kind, arguments) or records.reader(kind, reader)
    if made is not None:
        return made
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _enum(kind)
    raise ConsumerError(
        f"`{name_of(kind)}` cannot be read from JSON or MessagePack: use text, numbers, bool, None, bytes, lists, "
        "dicts, dataclasses, TypedDicts, enums, Literal, UUID, Decimal, dates and times, or a pydantic model"
    )


def _container(kind: Any, base: Any, arguments: tuple[Any, ...]) -> Reader | None:
    if base in (list, Sequence, set, frozenset, AbstractSet):
        build = frozenset if base is frozenset else set if base in (set, AbstractSet) else list
        return _sequence(reader(arguments[0]) if arguments else _any, build)
    if base is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return _sequence(reader(arguments[0]), tuple)
        return _tuple([reader(it) for it in arguments]) if arguments else _sequence(_any, tuple)
    if base in (dict, Mapping):
        if arguments and arguments[0] not in (str, Any):
            raise ConsumerError(f"`{name_of(kind)}` has keys that are not text: use `dict[str, ...]`")
        return _dict(reader(arguments[1]) if arguments else _any)
    return None


def _sequence(item: Reader, build: Callable[[Any], Any]) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            raise Unreadable(f"expected a list, found {found(value)}")
        return build([_inside(item, one, position) for position, one in enumerate(value)])

    return read


def _tuple(items: list[Reader]) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, (list, tuple)) or len(value) != len(items):
            raise Unreadable(f"expected a list of {len(items)}, found {found(value)}")
        return tuple(
            _inside(item, one, position) for position, (item, one) in enumerate(zip(items, value, strict=True))
        )

    return read


def _dict(item: Reader) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise Unreadable(f"expected a map, found {found(value)}")
        for key in value:
            if not isinstance(key, str):
                raise Unreadable(f"expected keys that are text, found {found(key)}")
        return {key: _inside(item, one, key) for key, one in value.items()}

    return read


def _inside(read: Reader, value: Any, step: str | int) -> Any:
    try:
        return read(value)
    except Unreadable as error:
        raise error.inside(step) from None


def _enum(kind: type[Enum]) -> Reader:
    def read(value: Any) -> Any:
        try:
            return kind(value)
        except ValueError:
            names = ", ".join(repr(member.value) for member in kind)
            raise Unreadable(f"expected one of {names}, found {found(value)}") from None

    return read


def _any(value: Any) -> Any:
    return value


def _exactly(kind: type, what: str) -> Reader:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise Unreadable(f"expected {what}, found {found(value)}")
        return value

    return read


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Unreadable(f"expected a number, found {found(value)}")
    try:
        return float(value)
    except OverflowError:
        raise Unreadable("the number is too large") from None


def _null(value: Any) -> None:
    if value is not None:
        raise Unreadable(f"expected null, found {found(value)}")


def _from_text(parse: Callable[[str], Any], what: str) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, str):
            raise Unreadable(f"expected {what}, found {found(value)}")
        try:
            return parse(value)
        except (ValueError, InvalidOperation):
            raise Unreadable(f"expected {what}, found {found(value)}") from None

    return read


_SIMPLE: dict[Any, Reader] = {
    Any: _any,
    object: _any,
    None: _null,
    type(None): _null,
    bool: _exactly(bool, "true or false"),
    int: _exactly(int, "an integer"),
    str: _exactly(str, "text"),
    bytes: _exactly(bytes, "bytes"),
    float: _float,
    UUID: _from_text(UUID, "a UUID"),
    Decimal: _from_text(texts.decimal, "a decimal number as text"),
    datetime: _from_text(datetime.fromisoformat, "a date and time of ISO 8601"),
    date: _from_text(date.fromisoformat, "a date of ISO 8601"),
    time: _from_text(time.fromisoformat, "a time of ISO 8601"),
}
