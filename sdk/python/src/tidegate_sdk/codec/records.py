"""Readers of types with named fields: dataclasses, TypedDicts, and pydantic models where pydantic is installed."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable
from typing import Any, NotRequired, Required, TypeVar, get_origin, get_type_hints

from tidegate_sdk.codec.describe import either, found, name_of
from tidegate_sdk.errors import ConsumerError, Unreadable

Reader = Callable[[Any], Any]
ReaderOf = Callable[[Any], Reader]
C = TypeVar("C", bound=type)

_STRICT = "__tidegate_strict__"


def strict(kind: C) -> C:
    """Makes a dataclass or TypedDict refuse fields that it does not have. Others leave them aside.

    >>> from dataclasses import dataclass
    >>> from tidegate_sdk.codec.jsons import loads
    >>> @strict
    ... @dataclass
    ... class Wish:
    ...     name: str
    >>> loads(b'{"nmae": "Ada"}', Wish)
    Traceback (most recent call last):
    tidegate_sdk.errors.Unreadable: unknown field `nmae`, expected `name` at line 1 column 7
    """
    setattr(kind, _STRICT, True)
    return kind


def reader(kind: Any, reader_of: ReaderOf) -> Reader | None:
    """The reader, if the type has named fields."""
    base = get_origin(kind) or kind
    if dataclasses.is_dataclass(base) and isinstance(base, type):
        return _dataclass(base, reader_of)
    if typing.is_typeddict(base):
        return _typed_dict(base, reader_of)
    if isinstance(base, type) and hasattr(base, "model_validate"):
        return _pydantic(kind)
    return None


@dataclasses.dataclass(frozen=True)
class _Field:
    name: str
    read: Reader
    is_required: bool


def _fields_of(kind: type) -> dict[str, Any]:
    try:
        return get_type_hints(kind, include_extras=True)
    except NameError as error:
        raise ConsumerError(
            f"`{kind.__name__}` names a type that is not there: {error}. Define it at the top of the file"
        ) from None


def _dataclass(kind: type, reader_of: ReaderOf) -> Reader:
    hints = _fields_of(kind)
    fields = [
        _Field(
            it.name,
            reader_of(hints[it.name]),
            it.default is dataclasses.MISSING and it.default_factory is dataclasses.MISSING,
        )
        for it in dataclasses.fields(kind)
        if it.init
    ]

    def build(values: dict[str, Any]) -> Any:
        try:
            return kind(**values)
        except ValueError as error:  # of `__post_init__`
            raise Unreadable(str(error)) from None

    return _record(fields, build, getattr(kind, _STRICT, False))


def _typed_dict(kind: Any, reader_of: ReaderOf) -> Reader:
    hints = _fields_of(kind)
    required = required_keys(kind, hints)
    fields = [_Field(name, reader_of(_bare(hint)), name in required) for name, hint in hints.items()]
    return _record(fields, lambda values: values, getattr(kind, _STRICT, False))


def required_keys(kind: Any, hints: dict[str, Any]) -> frozenset[str]:
    """The keys that a TypedDict must have, also where its annotations are text, of which Python does not know."""
    known = kind.__required_keys__ | {name for name, hint in hints.items() if get_origin(hint) is Required}
    return frozenset(name for name in known if get_origin(hints[name]) is not NotRequired)


def _bare(hint: Any) -> Any:
    return typing.get_args(hint)[0] if get_origin(hint) in (Required, NotRequired) else hint


def _record(fields: list[_Field], build: Callable[[dict[str, Any]], Any], is_strict: bool) -> Reader:
    known = {field.name for field in fields}

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise Unreadable(f"expected a map, found {found(value)}")
        if is_strict:
            for key in value:
                if key not in known:
                    expected = either([field.name for field in fields]) if fields else "none"
                    raise Unreadable(f"unknown field `{key}`, expected {expected}", (str(key),), at_key=True)
        values = {}
        for field in fields:
            if field.name in value:
                try:
                    values[field.name] = field.read(value[field.name])
                except Unreadable as error:
                    raise error.inside(field.name) from None
            elif field.is_required:
                raise Unreadable(f"missing field `{field.name}`")
        return build(values)

    return read


def _pydantic(kind: Any) -> Reader:
    def read(value: Any) -> Any:
        try:
            return kind.model_validate(value)
        except ValueError as error:  # pydantic.ValidationError is one
            errors: Any = getattr(error, "errors", None)
            if errors is None:
                raise Unreadable(str(error)) from None
            first = errors()[0]
            raise Unreadable(str(first["msg"]), tuple(first["loc"])) from None

    read.__name__ = f"read_{name_of(kind)}"
    return read
