"""JSON, and where in it something is wrong."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from tidegate_sdk.codec.plain import plain
from tidegate_sdk.codec.readers import reader
from tidegate_sdk.errors import Unreadable

_SPACE = " \t\n\r"

# The parser of the standard library calls itself for each level, and the stack of a component is small.
_DEPTH_MAX = 128
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|([\[{])|[\]}]', re.DOTALL)


def dumps(value: Any) -> str:
    """Writes a value. One that JSON cannot hold is a `TypeError` or `ValueError` that says why.

    >>> dumps({"a": [1, None, "ü"]})
    '{"a":[1,null,"ü"]}'
    """
    text = _ENCODER.encode(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("a text has half of a surrogate pair, which is no Unicode text") from None
    return text


def loads(source: bytes | str, kind: Any = Any) -> Any:
    """Reads JSON as a type. What does not read is `Unreadable`, whose text says why and where.

    >>> loads(b'{"a": [1, "x"]}', dict[str, list[int]])
    Traceback (most recent call last):
    tidegate_sdk.errors.Unreadable: a[1]: expected an integer, found the text 'x' at line 1 column 13
    """
    read = reader(kind)
    try:
        text = source if isinstance(source, str) else source.decode()
        _check_depth(text)
        value = _DECODER.decode(text)
    except Unreadable:
        raise
    except UnicodeDecodeError as error:
        raise Unreadable(f"not UTF-8 at byte {error.start + 1}") from None
    except json.JSONDecodeError as error:
        raise Unreadable(f"{error.msg} at line {error.lineno} column {error.colno}") from None
    except ValueError as error:
        raise Unreadable(str(error)) from None
    if "\\u" in text:
        _check_surrogates(value)
    try:
        return read(value)
    except Unreadable as error:
        line, column = _line_and_column(text, _end_of(text, error.path, error.at_key))
        path = error.path[:-1] if error.at_key else error.path
        raise Unreadable(f"{error.problem} at line {line} column {column}", path) from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"`{name}` is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"the number {text[:20]} is too large")
    return number


# Made once: each would take as long as the work itself.
_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)
_ENCODER = json.JSONEncoder(default=plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _check_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= _DEPTH_MAX:
        return
    depth = 0
    for match in _BRACKETS.finditer(text):
        if match[1]:
            depth += 1
        elif match[0] in ("]", "}"):
            depth -= 1
        if depth > _DEPTH_MAX:
            raise Unreadable(f"lists and maps are nested deeper than {_DEPTH_MAX}")


def _check_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Unreadable("a text has half of a surrogate pair") from None


def _line_and_column(text: str, end: int) -> tuple[int, int]:
    before = text[:end]
    return before.count("\n") + 1, len(before) - before.rfind("\n") - 1


def _end_of(text: str, path: tuple[str | int, ...], at_key: bool) -> int:
    """The end of what the path leads to: of the value, or of the key that stands there."""
    start = _skip(text, 0)
    for position, step in enumerate(path):
        is_last = position + 1 == len(path)
        members = _members(text, start)
        here = next((it for it in members if it[0] == step), None)
        if here is None:
            break
        _, key_end, start = here
        if is_last and at_key:
            return key_end
    return _DECODER.raw_decode(text, start)[1]


def _members(text: str, start: int) -> list[tuple[str | int, int, int]]:
    """Key, end of the key and start of the value of each member of a list or map."""
    members: list[tuple[str | int, int, int]] = []
    is_map = text[start] == "{"
    if not is_map and text[start] != "[":
        return members
    position = _skip(text, start + 1)
    while text[position] not in "]}":
        key: str | int = len(members)
        key_end = position
        if is_map:
            key, key_end = _DECODER.raw_decode(text, position)
            position = _skip(text, _skip(text, key_end) + 1)
        members.append((key, key_end, position))
        position = _skip(text, _DECODER.raw_decode(text, position)[1])
        if text[position] == ",":
            position = _skip(text, position + 1)
    return members


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in _SPACE:
        position += 1
    return position
