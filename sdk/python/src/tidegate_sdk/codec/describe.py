"""Values and types in the words of error messages."""

from __future__ import annotations

from typing import Any

_LONGEST = 40


def found(value: Any) -> str:
    """Describes a value for the client that sent it.

    >>> found("x"), found(3), found([1]), found(None)
    ("the text 'x'", 'the number 3', 'a list', 'null')
    """
    match value:
        case None:
            return "null"
        case True | False:
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}" if abs(value) < 10**20 else "a large number"
        case str():
            return f"the text {value!r}" if len(value) <= _LONGEST else f"a text of {len(value)} characters"
        case bytes():
            return f"{len(value)} bytes"
        case list() | tuple():
            return "a list"
        case dict():
            return "a map"
        case _:
            return f"a `{type(value).__name__}`"


def name_of(kind: Any) -> str:
    """The name of a type, as in an annotation."""
    return getattr(kind, "__name__", None) or str(kind) if isinstance(kind, type) else str(kind)


def either(names: list[str]) -> str:
    """`a`, `b` or `c`."""
    quoted = [f"`{name}`" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"
