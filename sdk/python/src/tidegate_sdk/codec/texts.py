"""Text that stands in a path, a query, a form or a header field, as the type that an annotation names."""

from __future__ import annotations

import dataclasses
import math
import re
import types
import typing
from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from tidegate_sdk.codec import records
from tidegate_sdk.codec.describe import found, name_of
from tidegate_sdk.errors import ConsumerError, Unreadable

Parser = Callable[[str], Any]

_INTEGER = re.compile(r"[+-]?[0-9]{1,4000}", re.ASCII)
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)


def parser(kind: Any) -> Parser:
    """The function that reads one text as a type. Text that does not fit is a `ValueError`.

    A class of one's own is called with the text, and raises `ValueError` for what it does not take.

    >>> parser(int)("7"), parser(bool)("true"), parser(Literal["a", "b"])("b")
    (7, True, 'b')
    >>> parser(int)(" 7 ")
    Traceback (most recent call last):
    tidegate_sdk.errors.Unreadable: expected an integer, found the text ' 7 '
    """
    if kind in (str, Any, object):
        return str
    if kind in _SCALARS:
        parse, what = _SCALARS[kind]
        return _checked(parse, what)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return parser(arguments[0])
    if isinstance(kind, typing.NewType):
        return parser(kind.__supertype__)
    if origin is Literal:
        return _choice({str(value): value for value in arguments})
    if origin in (Union, types.UnionType):
        return _first([parser(it) for it in arguments if it is not type(None)], kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _choice({str(member.value): member for member in kind})
    if isinstance(kind, type) and origin is None and kind not in (list, tuple, dict, set, bytes):
        return kind
    raise ConsumerError(
        f"`{name_of(kind)}` cannot be read from one text: use str, int, float, bool, UUID, Decimal, dates, times, "
        "enums, Literal, or a class that is called with the text"
    )


def _checked(parse: Parser, what: str) -> Parser:
    def read(text: str) -> Any:
        try:
            return parse(text)
        except (ValueError, InvalidOperation):
            raise Unreadable(f"expected {what}, found {found(text)}") from None

    return read


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError(text)
    return int(text)


def _float(text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    number = float(text)
    if math.isinf(number):
        raise ValueError(text)
    return number


def decimal(text: str) -> Decimal:
    """A number as it is written: no infinity, and nothing that is not a number."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return Decimal(text)


def _bool(text: str) -> bool:
    return {"true": True, "false": False}[text] if text in ("true", "false") else _wrong(text)


def _wrong(text: str) -> bool:
    raise ValueError(text)


_SCALARS: dict[Any, tuple[Parser, str]] = {
    int: (_integer, "an integer"),
    float: (_float, "a number"),
    bool: (_bool, "true or false"),
    UUID: (UUID, "a UUID"),
    Decimal: (decimal, "a decimal number"),
    datetime: (datetime.fromisoformat, "a date and time of ISO 8601"),
    date: (date.fromisoformat, "a date of ISO 8601"),
    time: (time.fromisoformat, "a time of ISO 8601"),
}


def _choice(choices: dict[str, Any]) -> Parser:
    def read(text: str) -> Any:
        if text not in choices:
            raise Unreadable(f"expected {' or '.join(map(repr, choices))}, found {found(text)}")
        return choices[text]

    return read


def _first(parsers: list[Parser], kind: Any) -> Parser:
    def read(text: str) -> Any:
        for parse in parsers:
            try:
                return parse(text)
            except ValueError:
                continue
        raise Unreadable(f"expected `{name_of(kind)}`, found {found(text)}")

    return parsers[0] if len(parsers) == 1 else read


Pairs = list[tuple[str, str]]


def pairs_reader(kind: Any) -> Callable[[Pairs], Any]:
    """The function that reads the pairs of a query or a form: as a dataclass, a TypedDict, or a `dict[str, ...]`.

    >>> from dataclasses import dataclass, field
    >>> @dataclass
    ... class Search:
    ...     q: str
    ...     tag: list[str] = field(default_factory=list)
    ...     page: int = 1
    >>> read = pairs_reader(Search)
    >>> read([("q", "whale"), ("tag", "sea"), ("tag", "big")])
    Search(q='whale', tag=['sea', 'big'], page=1)
    >>> read([("q", "whale"), ("page", "two")])
    Traceback (most recent call last):
    tidegate_sdk.errors.Unreadable: page: expected an integer, found the text 'two'
    """
    if kind is dict or get_origin(kind) is dict:
        hint = (*get_args(kind), str, str)[1]
        read = _field(hint)
        return lambda pairs: {name: _at(name, read, values) for name, values in _grouped(pairs).items()}
    if not (dataclasses.is_dataclass(kind) and isinstance(kind, type)) and not typing.is_typeddict(kind):
        raise ConsumerError(
            f"`{name_of(kind)}` cannot be read from a query or a form: use a dataclass, a TypedDict or `dict[str, str]`"
        )
    make: Any = kind
    hints = get_type_hints(kind, include_extras=True)
    required = _required(kind, hints)
    readers = {name: _field(hint) for name, hint in hints.items()}

    def read_record(pairs: Pairs) -> Any:
        grouped = _grouped(pairs)
        values: dict[str, Any] = {}
        for name, read in readers.items():
            if name in grouped:
                values[name] = _at(name, read, grouped[name])
            elif name in required:
                raise Unreadable(f"missing field `{name}`")
        try:
            return make(**values)
        except ValueError as error:
            raise Unreadable(str(error)) from None

    return read_record


def _required(kind: Any, hints: dict[str, Any]) -> frozenset[str]:
    if typing.is_typeddict(kind):
        return records.required_keys(kind, hints)
    missing = dataclasses.MISSING
    fields = dataclasses.fields(kind)
    return frozenset(it.name for it in fields if it.default is missing and it.default_factory is missing)


def _grouped(pairs: Pairs) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in pairs:
        grouped.setdefault(name, []).append(value)
    return grouped


def _field(hint: Any) -> Callable[[list[str]], Any]:
    base = get_args(hint)[0] if get_origin(hint) in (Annotated, NotRequired, Required) else hint
    if get_origin(base) in (list, Sequence) or base is list:
        parse_item = parser((*get_args(base), str)[0])
        return lambda values: [parse_item(value) for value in values]
    parse = parser(base)

    def read(values: list[str]) -> Any:
        if len(values) > 1:
            raise Unreadable(f"it is there {len(values)} times, and one is taken")
        return parse(values[0])

    return read


def _at(name: str, read: Callable[[list[str]], Any], values: list[str]) -> Any:
    try:
        return read(values)
    except Unreadable as error:
        raise error.inside(name) from None
    except ValueError as error:
        raise Unreadable(str(error), (name,)) from None
