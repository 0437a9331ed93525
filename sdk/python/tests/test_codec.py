"""Values as JSON and MessagePack, and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, NotRequired, TypedDict
from uuid import UUID

import pydantic
import pytest

from tidegate_sdk import Json, Unreadable, export, http, strict
from tidegate_sdk.codec import jsons, messagepack
from tidegate_sdk.codec.readers import reader
from tidegate_sdk.testing import TestHost


class Colour(Enum):
    RED = "red"


@dataclass
class Tree:
    name: str
    children: list[Tree] = field(default_factory=list)


class Options(TypedDict):
    dry: bool
    count: NotRequired[int]


@dataclass
class All:
    text: str
    number: int
    share: float
    flag: bool
    nothing: None
    colour: Colour
    key: UUID
    price: Decimal
    moment: datetime
    day: date
    hour: time
    size: Literal["s", 1]
    pair: tuple[int, str]
    names: frozenset[str]
    options: Options
    tree: Tree
    maybe: int | None = None
    either: int | str = 0
    more: Any = None


WHOLE = All(
    text="ü", number=-1, share=0.5, flag=True, nothing=None, colour=Colour.RED, key=UUID(int=7), price=Decimal("1.50"),
    moment=datetime(2026, 1, 2, 3, 4, 5), day=date(2026, 1, 2), hour=time(3, 4), size=1, pair=(1, "a"),
    names=frozenset({"a"}), options={"dry": True}, tree=Tree("a", [Tree("b")]), maybe=None, either="x",
    more=[1, {"a": None}],
)  # fmt: skip


def test_values_come_back_as_they_were() -> None:
    assert jsons.loads(jsons.dumps(WHOLE), All) == WHOLE
    assert reader(All)(messagepack.unpackb(messagepack.packb(WHOLE))) == WHOLE


@pytest.mark.parametrize(
    ("kind", "text", "problem"),
    [
        (int, "1.0", "expected an integer, found the number 1.0 at line 1 column 3"),
        (int, "true", "expected an integer, found true at line 1 column 4"),
        (float, '"1"', "expected a number, found the text '1' at line 1 column 3"),
        (float, "1" + "0" * 400, "the number is too large at line 1 column 401"),
        (float, "1e999", "the number 1e999 is too large"),
        (Any, "[-1e999]", "the number -1e999 is too large"),
        (Decimal, '"NaN"', "expected a decimal number as text, found the text 'NaN'"),
        (bool, "1", "expected true or false, found the number 1 at line 1 column 1"),
        (str, "null", "expected text, found null at line 1 column 4"),
        (bytes, '"a"', "expected bytes, found the text 'a' at line 1 column 3"),
        (list[int], "{}", "expected a list, found a map at line 1 column 2"),
        (tuple[int, int], "[1]", "expected a list of 2, found a list at line 1 column 3"),
        (dict[str, int], '{"a":\n{"b": 1}}', "a: expected an integer, found a map at line 2 column 8"),
        (Colour, '"blue"', "expected one of 'red', found the text 'blue' at line 1 column 6"),
        (UUID, '"x"', "expected a UUID, found the text 'x' at line 1 column 3"),
        (Decimal, '"x"', "expected a decimal number as text, found the text 'x' at line 1 column 3"),
        (date, '"2026-02-30"', "expected a date of ISO 8601, found the text '2026-02-30' at line 1 column 12"),
        (Literal[1], "true", "expected 1, found true at line 1 column 4"),
        (int | None, '"x"', "expected an integer, found the text 'x' at line 1 column 3"),
        (int | list[int], '"x"', "expected `int` or `list[int]`, found the text 'x' at line 1 column 3"),
        (Tree, '{"name": "a", "children": [{}]}', "children[0]: missing field `name` at line 1 column 29"),
        (Options, "{}", "missing field `dry` at line 1 column 2"),
        (Any, "[1", "Expecting ',' delimiter at line 1 column 3"),
        (Any, "NaN", "`NaN` is no JSON"),
        (Any, '"\\ud800"', "a text has half of a surrogate pair"),
        (Any, "[" * 129 + "]" * 129, "lists and maps are nested deeper than 128"),
        (Any, "1" * 5000, "Exceeds the limit"),
        (Any, "", "Expecting value at line 1 column 1"),
    ],
)
def test_json_that_does_not_read(kind: Any, text: str, problem: str) -> None:
    with pytest.raises(Unreadable) as raised:
        jsons.loads(text, kind)
    assert str(raised.value).startswith(problem)


def test_brackets_in_texts_are_no_depth() -> None:
    assert jsons.loads('["' + "[" * 500 + '\\""]') == ["[" * 500 + '"']
    assert jsons.loads("[" + "[]," * 500 + "[]]") == [[]] * 501


def test_json_that_is_no_text() -> None:
    with pytest.raises(Unreadable, match="not UTF-8 at byte 2"):
        jsons.loads(b'"\xff"')


@pytest.mark.parametrize("value", [float("nan"), "\ud800", object(), {1: 2, "a": {object()}}])
def test_values_that_json_cannot_hold(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        jsons.dumps(value)


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x92\x01", b"\x01\x01", b"\xa1\xff", b"\x91" * 2000])
def test_messagepack_that_does_not_read(data: bytes) -> None:
    with pytest.raises(Unreadable, match="no MessagePack"):
        messagepack.unpackb(data)


def test_a_post_init_that_refuses_is_the_sender_s_mistake() -> None:
    @strict
    @dataclass
    class Even:
        n: int

        def __post_init__(self) -> None:
            if self.n % 2:
                raise ValueError("an even number, please")

    with pytest.raises(Unreadable, match="an even number, please at line 1 column 8"):
        jsons.loads('{"n": 1}', Even)


def test_a_pydantic_model_is_a_body_and_an_answer() -> None:
    class Item(pydantic.BaseModel):
        name: str
        count: int = pydantic.Field(gt=0)

    def add(item: Json[Item]) -> Item:
        return item

    # Annotations of a function in a function are not found by name.
    add.__annotations__ = {"item": Json[Item], "return": Item}  # type: ignore[index]
    host = TestHost(export(http("POST /items")(add)))
    assert host.request("POST", "/items", json={"name": "a", "count": 1}).json() == {"name": "a", "count": 1}
    wrong = host.request("POST", "/items", json={"name": "a", "count": 0})
    assert (wrong.status, wrong.text) == (400, "body: count: Input should be greater than 0 at line 1 column 24\n")
