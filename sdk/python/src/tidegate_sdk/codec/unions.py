"""Readers of `A | B` and `Literal`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin, get_type_hints

from tidegate_sdk.codec.describe import found, name_of
from tidegate_sdk.errors import Unreadable

Reader = Callable[[Any], Any]


def literal(values: tuple[Any, ...]) -> Reader:
    """Takes one of the values, and nothing that is merely equal to it, as 1 is to True."""

    def read(value: Any) -> Any:
        for known in values:
            if type(known) is type(value) and known == value:
                return known
        raise Unreadable(f"expected {_one_of(values)}, found {found(value)}")

    return read


def reader(kinds: tuple[Any, ...], reader_of: Callable[[Any], Reader]) -> Reader:
    """Takes the first type that reads.

    Dataclasses that have a field of different `Literal`s, such as `type: Literal["join"]`, are told apart by it, and
    errors are those of the one that is meant.
    """
    others = [kind for kind in kinds if kind is not type(None)]
    tagged = _tagged(others)
    read = _by_tag(*tagged, reader_of) if tagged else _first([(kind, reader_of(kind)) for kind in others])
    if len(others) == len(kinds):
        return read
    return lambda value: None if value is None else read(value)


def _first(readers: list[tuple[Any, Reader]]) -> Reader:
    if len(readers) == 1:
        return readers[0][1]

    def read(value: Any) -> Any:
        for _, one in readers:
            try:
                return one(value)
            except Unreadable:
                continue
        names = " or ".join(f"`{name_of(kind)}`" for kind, _ in readers)
        raise Unreadable(f"expected {names}, found {found(value)}")

    return read


def _tagged(kinds: list[Any]) -> tuple[str, dict[Any, Any]] | None:
    """The field by which dataclasses are told apart, and which value stands for which."""
    if len(kinds) < 2 or not all(dataclasses.is_dataclass(kind) for kind in kinds):
        return None
    for name in [field.name for field in dataclasses.fields(kinds[0])]:
        by_tag: dict[Any, Any] = {}
        for kind in kinds:
            hint = get_type_hints(kind).get(name)
            values = get_args(hint) if get_origin(hint) is Literal else ()
            by_tag |= {value: kind for value in values if value not in by_tag}
        if len(set(by_tag.values())) == len(kinds):
            return name, by_tag
    return None


def _by_tag(name: str, by_tag: dict[Any, Any], reader_of: Callable[[Any], Reader]) -> Reader:
    readers = {tag: reader_of(kind) for tag, kind in by_tag.items()}

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise Unreadable(f"expected a map, found {found(value)}")
        if name not in value:
            raise Unreadable(f"missing field `{name}`")
        tag = value[name]
        chosen = readers.get(tag) if isinstance(tag, str | int) else None
        if chosen is None:
            raise Unreadable(f"expected {_one_of(tuple(readers))}, found {found(tag)}", (name,))
        return chosen(value)

    return read


def _one_of(values: tuple[Any, ...]) -> str:
    return " or ".join(repr(value) for value in values)
