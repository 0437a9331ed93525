"""Mistakes in how consumers are written are named when the module is put together."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pytest

from tidegate_sdk import ConsumerError, Context, Json, Request, Socket, channel, export, http, websocket
from tidegate_sdk.exports import check_forgotten, check_frozen
from tidegate_sdk.testing import TestHost


@pytest.mark.parametrize(
    ("route", "fix"),
    [
        ("/hello", 'say which method: "GET /hello"'),
        ("hello", "write a method, a space and a path"),
        ("get /hello", "methods are in upper case: write `GET`"),
        ("GET|GET /hello", "`GET` stands there twice"),
        ("GET, POST /hello", "`GET,` is no method"),
        ("GET hello", "a path starts with `/`: write `/hello`"),
        ("GET /a?b", "a path has no `?` or `#`"),
        ("GET /a b", "a path has no white space"),
        ("GET /a-{b}", "`{name}` stands for a whole segment of the path, and `a-{b}` is not one"),
        ("GET /{*rest}/a", "`{*rest}` takes the rest of the path: put it at the end"),
        ("GET /{a}/{a}", "`{a}` stands twice in the path"),
        ("GET /{a b}", "white space"),
        ("GET /{1}", "`{1}` does not name a parameter"),
    ],
)
def test_a_route_that_is_none(route: str, fix: str) -> None:
    with pytest.raises(ConsumerError) as raised:
        http(route)
    assert fix in str(raised.value)


@pytest.mark.parametrize(
    ("guards", "fix"),
    [
        ({"host": "api.example.com:80"}, 'hosts are compared without the port: write "api.example.com"'),
        ({"host": "a b"}, "`a b` is no host"),
        ({"headers": {"x y": "1"}}, "`x y` is no name of a header field"),
        ({"headers": {"x_y": "1"}}, 'write "x-y"'),
        ({"headers": {"Host": "a"}}, "the host is a guard of its own"),
        ({"headers": {"x": " 1"}}, "no request has such a value"),
        ({"headers": {"x": "1", "X": "2"}}, "`X` is there twice"),
    ],
)
def test_a_guard_that_no_request_meets(guards: Any, fix: str) -> None:
    with pytest.raises(ConsumerError) as raised:
        http("GET /", **guards)
    assert fix in str(raised.value)


@pytest.mark.parametrize(
    ("name", "retries", "fix"),
    [
        ("http.request", None, "belong to the interface server"),
        ("", None, "1 to 99 bytes, this one has 0"),
        ("a" * 100, None, "this one has 100"),
        ("a b", None, "a channel name has only a-z A-Z 0-9 . _ -"),
        ("a", 0, "a message is run again 1 to 100 times"),
        ("a" * 95, 1, "with retries a channel name has at most 94 bytes"),
    ],
)
def test_a_channel_that_cannot_be(name: str, retries: int | None, fix: str) -> None:
    with pytest.raises(ConsumerError) as raised:
        channel(name, retries=retries)
    assert fix in str(raised.value)


def refusal(*consumers: Any) -> str:
    with pytest.raises(ConsumerError) as raised:
        export(*consumers)
    return str(raised.value)


def test_parameters_that_nothing_can_fill() -> None:
    @http("GET /{a}")
    def missing() -> str:
        return ""

    @http("GET /")
    def untyped(thing) -> str:  # type: ignore[no-untyped-def]
        return ""

    @http("GET /")
    def unknown(thing: bytes) -> str:
        return ""

    @http("GET /{a}")
    def unreadable(a: list[int]) -> str:
        return ""

    @http("GET /")
    def unreadable_body(body: Json[dict[int, str]]) -> str:
        return ""

    @http("GET /")
    def many(*things: str) -> str:
        return ""

    @channel("a")
    def two(one: dict[str, str], other: dict[str, str]) -> None: ...

    @channel("a")
    def no_request(request: Request) -> None: ...

    assert "`{a}` is in the path, and no parameter has that name: add one" in refusal(missing)
    assert "`thing` has no type and is not in the path" in refusal(untyped)
    assert "`bytes` cannot be taken from a request" in refusal(unknown)
    assert "`list[int]` cannot be read from one text" in refusal(unreadable)
    assert "has keys that are not text" in refusal(unreadable_body)
    assert "takes `*things: 'str'`: name each parameter" in refusal(many)
    assert "a message has one content" in refusal(two)
    assert "a message on a channel comes with no request" in refusal(no_request)
    for consumer in (missing, untyped, unknown, unreadable, unreadable_body, many, two, no_request):
        assert f"{consumer.__name__} ({__file__}:" in refusal(consumer)


def test_a_request_may_stand_for_what_is_in_the_path() -> None:
    @http("GET /{a}/{b}")
    def both(request: Request) -> str:
        return f"{request.param('a')} {request.param('b')}"

    assert TestHost(export(both)).get("/x/y").text == "x y"


def test_functions_that_do_not_run_to_their_end() -> None:
    with pytest.raises(ConsumerError, match="nothing awaits it"):

        @http("GET /")
        async def later() -> str:
            return ""

    with pytest.raises(ConsumerError, match="has `yield`"):

        @http("GET /")
        def parts() -> Any:
            yield ""

    with pytest.raises(ConsumerError, match="nothing awaits it"):

        @websocket("/")
        class Later:
            async def receive(self, socket: Socket[None], text: str) -> None: ...


def test_classes_that_cannot_run() -> None:
    @dataclass
    class Named:
        name: str

    @websocket("/a")
    class NoFirst:
        State = Named

    @websocket("/b")
    class Many:
        def receive(self, socket: Socket[None], text: str, more: str) -> None: ...

    @websocket("/c")
    class Number:
        def receive(self, socket: Socket[None], text: int) -> None: ...

    @websocket("/d")
    class Wants:
        def __init__(self, more: str) -> None: ...

    @websocket("/e/{room}")
    @dataclass
    class Field:
        room: str
        more: str

    assert "an object is made for each event" in refusal(Wants)
    assert "missing a required argument: 'more'" in refusal(Field)
    with pytest.raises(ConsumerError, match="has two decorators"):
        http("GET /two")(first)
    assert "it has fields without a default. Give them defaults, or write `State = Named | None`" in refusal(NoFirst)
    assert "`receive` takes (self, socket, incoming)" in refusal(Many)
    assert "a message cannot be read as `int`" in refusal(Number)


@http("GET /same/{a}")
def first(a: str) -> str:
    return a


def test_consumers_that_could_not_be_told_apart() -> None:
    @http("GET|POST /same/{a}")
    def second(a: str) -> str:
        return a

    @http("GET /same/{b}")
    def third(b: str) -> str:
        return b

    @http("POST /other", headers={"x": "1"})
    def one(cx: Context) -> str:
        return ""

    @http("POST /other", headers={"x": "2"})
    def other(cx: Context) -> str:
        return ""

    @channel("c")
    def reader() -> None: ...

    @channel("c")
    def another() -> None: ...

    def first_again() -> Any:
        @http("GET /elsewhere")
        def first() -> str:
            return ""

        return first

    assert "take the same requests" in refusal(first, second)
    assert "differ only in the names of their parameters" in refusal(first, third)
    assert "declare the same channel" in refusal(reader, another)
    assert "have the same name" in refusal(first, first_again())
    assert len(export(first, one, other).entries) == 3


def test_a_consumer_that_is_not_listed() -> None:
    @http("GET /new")
    def new() -> str:
        return ""

    with pytest.raises(ConsumerError, match=r"`first` is not in export\(...\): add it, or remove its decorator"):
        check_forgotten([new_in_this_file, NewSocket])
    with pytest.raises(ConsumerError, match="is not in export"):
        check_forgotten([NewSocket])
    assert "export() names the consumers" in refusal()
    assert "is no consumer: put @http, @websocket or @channel before it" in refusal(len)
    assert "`/a/` is no prefix" in refusal({"/a/": [new]})

    @channel("d")
    def reader() -> None: ...

    assert "a consumer of a channel has no path" in refusal({"/a": [reader]})


def test_random_numbers_that_would_be_the_same_in_each_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "GENERATOR", random.SystemRandom())
    check_frozen([first])
    monkeypatch.setitem(globals(), "GENERATOR", random.Random())
    with pytest.raises(ConsumerError, match=r"`GENERATOR` beside `first` is a random.Random that is made once"):
        check_frozen([first])


@websocket("/new/socket")
class NewSocket:
    pass


@channel("new.in.this.file")
def new_in_this_file() -> None: ...
