"""Groups that are remembered: what a member is sent from a position, and what a run reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from tidegate_sdk import (
    Close,
    ConsumerError,
    Context,
    ForbiddenHistory,
    Group,
    HistoryError,
    HistoryPage,
    InvalidHistory,
    Json,
    Reply,
    Response,
    Socket,
    Unreadable,
    channel,
    export,
    history,
    http,
    sse,
    websocket,
)
from tidegate_sdk.codec import messagepack
from tidegate_sdk.declarations import WorldError, check_world, declare
from tidegate_sdk.exports import check_forgotten
from tidegate_sdk.testing import TestHost, TestSocket


@history("room.*", messages=5)
@history("room.brief", messages=100, age="1m", bytes="1KiB")
@websocket("/room/{room}")
class Room:
    room: str

    def connect(self, socket: Socket[None]) -> None:
        latest = int((socket.scope and socket.scope.query("latest")) or 0)
        socket.group_join(self.group, after=socket.last_position(self.group), latest=latest)

    def receive(self, socket: Socket[None], frame: str | bytes) -> None:
        match str(frame).split():
            case ["again", position]:
                socket.group_discard(self.group)
                socket.group_join(self.group, after=position)
            case ["join", position]:
                socket.group_join(self.group, after=position)
            case ["bye"]:
                socket.group_send(self.group, Close(4001))
            case _:
                socket.group_send(self.group, frame)

    @property
    def group(self) -> str:
        return f"room.{self.room}"


@websocket("/plain/{room}")
class Plain:
    room: str

    def groups(self) -> list[str]:
        return [f"room.{self.room}"]


@history("all.*")
@http("POST /{kind}/{text}")
def send(cx: Context, kind: str, text: str) -> str:
    match kind:
        case "events":
            cx.group_send("all.events", sse.Event(data=text))
        case "news":
            cx.group_send("all.news", Response.text(text))
        case room:
            cx.group_send(f"room.{room}", text)
    return "sent\n"


@http("GET /events")
def events(cx: Context) -> Reply:
    # The host keeps what comes before the head.
    cx.group_join("all.events", after=cx.last_position("all.events"))
    cx.start_stream(sse.head())
    return cx.hold(60)


@http("GET /news")
def news(cx: Context) -> Reply:
    cx.group_join("all.news", after=cx.last_position("all.news"), latest=1 if cx.scope and cx.scope.query("one") else 0)
    return cx.hold(60, Response(204))


ALL = [Room, Plain, send, events, news]


@pytest.fixture
def host() -> TestHost:
    return TestHost(export(*ALL), "chat")


def say(host: TestHost, room: str, *texts: str) -> None:
    for text in texts:
        assert host.request("POST", f"/{room}/{text}").status == 200


def stands(socket: TestSocket, *, is_complete: bool = True) -> str:
    """Reads from where on a socket gets all messages. Returns the place."""
    told = socket.receive_json()
    position = told.pop("position")
    assert told == {"tidegate": "from", "group": "chat.room.blue", "complete": is_complete}
    return str(position)


def hears(socket: TestSocket, *texts: str) -> str:
    """Reads messages. Returns the place behind the last."""
    position = ""
    for text in texts:
        told = socket.receive_json()
        position = str(told.pop("position"))
        assert told == {"tidegate": "message", "group": "chat.room.blue", "text": text}
    socket.expect_nothing()
    return position


def rest(socket: TestSocket) -> list[str]:
    """The messages that have come."""
    return [str(frame) for frame in iter(socket.receive, None)]


def test_a_client_that_comes_back_gets_all_that_it_has_missed(host: TestHost) -> None:
    with host.websocket("/room/blue") as ada:
        stands(ada)
        say(host, "blue", "one", "two")
        position = hears(ada, "one", "two")
    say(host, "blue", "three", "four")
    ada = host.websocket(f"/room/blue?after=chat.room.blue:{position}")
    assert stands(ada) == position
    hears(ada, "three", "four")
    say(host, "blue", "five")
    hears(ada, "five")
    # A client without a position gets the latest if the consumer asks for them.
    bob = host.websocket("/room/blue?latest=2")
    stands(bob)
    hears(bob, "four", "five")


def test_each_position_that_is_none_of_the_group_is_a_gap(host: TestHost) -> None:
    ada = host.websocket("/room/blue")
    start = stands(ada)
    say(host, "blue", *"123456")
    end = hears(ada, *"123456")
    other = host.websocket("/room/other").receive_json()["position"]
    epoch = end.partition("-")[0]
    # Five are kept, so the start is too old.
    for wrong in (
        start,
        other,
        f"{epoch}-7",
        f"{epoch}--1",
        f"{epoch}-x",
        f"{epoch}-" + "9" * 5000,
        "nowhere",
        "%ff",
        "",
    ):
        bob = host.websocket(f"/room/blue?latest=1&after=chat.room.blue:{wrong}")
        stands(bob, is_complete=False)
        assert hears(bob, "6") == end
    stands(host.websocket(f"/room/blue?after=chat.room.blue:{epoch}-1"))


def test_messages_are_kept_up_to_each_limit(host: TestHost) -> None:
    def kept() -> list[str]:
        socket = host.websocket("/room/brief?latest=1000")
        assert socket.receive_json()["complete"] is True
        return [json.loads(frame)["text"] for frame in rest(socket)]

    say(host, "brief", "old")
    host.advance(30)
    say(host, "brief", *"abc")
    assert kept() == ["old", "a", "b", "c"]
    host.advance(30)
    assert kept() == ["a", "b", "c"]
    say(host, "brief", "x" * 500)
    assert len(kept()) == 4
    say(host, "brief", "y" * 400)
    assert kept() == ["y" * 400]


def test_more_than_can_be_caught_up_with_counts_as_gone() -> None:
    @history("many", messages=10_000, bytes="16MiB")
    @websocket("/many")
    class Many:
        def connect(self, socket: Socket[None]) -> None:
            socket.group_join("many", after=socket.last_position("many"), latest=1000)

        def receive(self, socket: Socket[None], size: Json[list[int]]) -> None:
            for _ in range(size[0]):
                socket.group_send("many", "x" * size[1])

    def back(position: str) -> tuple[bool, int]:
        socket = host.websocket(f"/many?after={position}")
        return socket.receive_json()["complete"], len(rest(socket))

    host = TestHost(export(Many))
    ada = host.websocket("/many")
    start = ada.receive_json()["position"]
    ada.send_json([1000, 1])
    assert back(start) == (True, 1000)
    ada.send_json([1, 1])
    assert back(start) == (False, 1000)
    ada.send_json([3, 100_000])
    # 256 KiB are two of them.
    assert back(start) == (False, 2)


def test_a_history_that_was_forgotten_is_a_gap(host: TestHost) -> None:
    ada = host.websocket("/room/blue")
    stands(ada)
    say(host, "blue", "one")
    position = hears(ada, "one")
    host.forget("room.blue")
    bob = host.websocket(f"/room/blue?after=chat.room.blue:{position}&latest=9")
    assert stands(bob, is_complete=False) != position
    say(host, "blue", "two")
    assert hears(ada, "two") == hears(bob, "two") != position
    host.forget("never.there")


def test_a_group_has_members_of_both_kinds(host: TestHost) -> None:
    ada, bob = host.websocket("/room/blue"), host.websocket("/plain/blue")
    stands(ada)
    ada.send("hello")
    ada.send(b"\x00\xff")
    hello, data = ada.receive_json(), ada.receive_json()
    assert (hello["text"], data["base64"], "text" in data) == ("hello", "AP8=", False)
    assert (bob.receive(), bob.receive()) == ("hello", b"\x00\xff")
    # A message that is none to a client has no envelope.
    ada.send("bye")
    ada.expect_close(4001)
    # It is for those who are there: nobody who comes back is closed.
    again = host.websocket(f"/room/blue?after=chat.room.blue:{data['position']}")
    assert (stands(again), again.closed) == (data["position"], None)
    assert host.faults == []


def test_a_member_that_sees_positions_stays_as_it_is_until_it_leaves(host: TestHost) -> None:
    ada = host.websocket("/room/blue")
    start = stands(ada)
    say(host, "blue", "one")
    hears(ada, "one")
    ada.send(f"join {start}")
    ada.expect_nothing()
    ada.send(f"again {start}")
    assert stands(ada) == start
    hears(ada, "one")
    assert len(host.group("room.blue")) == 1


def test_the_position_of_its_group_counts_then_a_lone_one_then_the_last_event_id() -> None:
    @http("GET /")
    def said(cx: Context) -> list[str | None]:
        return [cx.last_position("a"), cx.last_position(Group("other.b"))]

    @channel("work")
    def work(cx: Context) -> None:
        assert cx.last_position("a") is None

    host = TestHost(export(said, work))
    fields = {"last-event-id": "9"}
    for query, found in {
        "": ["9", "9"],
        "?after=7": ["7", "7"],
        "?after=": ["", ""],
        "?after=7&after=test.a:1:2&after=test.a:3": ["1:2", "7"],
        "?after=other.b:1&before=2": ["9", "1"],
    }.items():
        assert host.get(f"/{query}", fields).json() == found
    assert host.get("/").json() == [None, None]
    host.send("work", {})
    assert host.faults == []


def test_a_stream_of_events_has_positions_as_ids(host: TestHost) -> None:
    stream = host.get("/events")
    [start] = [line for line in stream.text.splitlines() if line]
    host.request("POST", "/events/rain")
    position = start.replace("-0", "-1")
    assert stream.text == f"{start}\n\n{position}\ndata: rain\n\n"
    stream.leave()
    host.request("POST", "/events/wind")
    stream = host.get("/events", {"last-event-id": position.removeprefix("id: ")})
    assert stream.text == f"{position}\n\n{start.replace('-0', '-2')}\ndata: wind\n\n"
    gap = host.get("/events", {"last-event-id": "nowhere"})
    assert gap.text == f"event: tidegate-gap\n{start.replace('-0', '-2')}\ndata: chat.all.events\n\n"


def test_a_held_request_has_its_position_in_the_response(host: TestHost) -> None:
    first = host.get("/news")
    host.request("POST", "/news/rain")
    position = first.header("tidegate-position")
    assert (first.text, first.header("tidegate-complete")) == ("rain", None)
    host.request("POST", "/news/wind")
    # Nothing is missed between an answer and the next request.
    second = host.get(f"/news?after={position}")
    assert second.text == "wind"
    third = host.get(f"/news?after={second.header('tidegate-position')}")
    assert third.is_pending
    host.advance(60)
    assert (third.status, third.header("tidegate-position")) == (204, second.header("tidegate-position"))
    # A gap is told at once.
    lost = host.get("/news?after=nowhere")
    assert (lost.status, lost.header("tidegate-complete")) == (204, "false")
    latest = host.get("/news?after=nowhere&one=1")
    assert (latest.text, latest.header("tidegate-complete")) == ("wind", "false")


def run(work: Callable[[Context], Any], host: TestHost | None = None) -> TestHost:
    """Does something as a consumer, on a host with a history of three messages."""

    @history("room.*")
    @http("GET /")
    def consumer(cx: Context) -> str:
        for text in ("one", "two", "three"):
            cx.group_send("room.blue", text)
        cx.flush()
        work(cx)
        return "done"

    @channel("work")
    def on_channel(cx: Context) -> None:
        work(cx)

    host = TestHost(export(consumer, on_channel), "tide", granted=["other.room"])
    host.get("/")
    return host


def test_a_run_reads_a_history_in_pages() -> None:
    def texts(page: HistoryPage) -> list[Any]:
        return [message.frame for message in page.messages]

    def read(cx: Context) -> None:
        blue = cx.history("room.blue")
        page = blue.latest(2)
        assert (texts(page), page.is_complete, page.has_more) == (["two", "three"], True, False)
        assert page.position == page.messages[-1].position
        page = blue.after(page.messages[0].position.replace("-2", "-0"), 2)
        assert (texts(page), page.is_complete, page.has_more) == (["one", "two"], True, True)
        page = blue.after(page.position)
        assert (texts(page), page.is_complete, page.has_more) == (["three"], True, False)
        gap = blue.after("nowhere")
        assert (gap.messages, gap.is_complete, gap.position) == ([], False, page.position)
        empty = cx.history("room.red").latest()
        assert (empty.messages, empty.is_complete, empty.has_more) == ([], True, False)
        cx.group_send("room.blue", "four")
        assert texts(blue.latest(1)) == ["three"]

    assert run(read).faults == []


def test_a_message_reads_as_what_was_sent() -> None:
    @dataclass
    class Line:
        text: str

    def read(cx: Context) -> None:
        for message in ({"text": "plain"}, '{"text": "json"}', b"bytes", Response.text("page")):
            cx.group_send("room.red", message)
        cx.flush()
        plain, text, data, page = cx.history("room.red").latest().messages
        assert (plain.read(Line), plain.read()) == (Line("plain"), {"text": "plain"})
        assert (text.json(Line), text.json(), data.frame) == (Line("json"), {"text": "json"}, b"bytes")
        assert page.read()["status"] == 200
        with pytest.raises(Unreadable, match="a remembered message does not read as `Line`: missing field `text`"):
            page.read(Line)
        with pytest.raises(Unreadable, match="a remembered message is no message to a WebSocket: `read` reads it"):
            _ = page.frame
        with pytest.raises(Unreadable, match=r"does not read as `int`: expected an integer, found a map"):
            text.json(int)

    assert run(read).faults == []


wrong: Any = 7


@pytest.mark.parametrize(
    ("work", "error", "text"),
    [
        (
            lambda cx: cx.history("other").latest(),
            InvalidHistory,
            "group tide.other is not remembered; declare it, as @h",
        ),
        (lambda cx: cx.group_join("other"), InvalidHistory, "group tide.other is not remembered"),
        (lambda cx: cx.group_join(Group("other.room")), InvalidHistory, "group other.room is not remembered"),
        (lambda cx: cx.group_join(Group("foreign.a")), ForbiddenHistory, "group foreign.a is not under tide."),
        (lambda cx: cx.history(Group("foreign.a")).latest(), ForbiddenHistory, "group foreign.a is not under tide."),
        (lambda cx: cx.history("a b").latest(), InvalidHistory, "is not one of a-z A-Z 0-9 . _ -"),
        (
            lambda cx: cx.history("room.a").latest(0),
            InvalidHistory,
            "a page has 1 to 1000 messages; this call asks for 0",
        ),
        (lambda cx: cx.history("room.a").after("x", 1001), InvalidHistory, "a page has 1 to 1000 messages; this call"),
        (lambda cx: cx.history("room.a").latest(-1), ValueError, "the limit of a page has to be from 0"),
        (lambda cx: cx.history("room.a").latest(wrong / 2), TypeError, "the limit of a page has to be int, not float"),
        (lambda cx: cx.history("room.a").after(wrong), TypeError, "a position has to be str, not int"),
        (lambda cx: cx.history("room.a").after("\ud800"), ValueError, "a position has half of a surrogate pair"),
        (lambda cx: cx.history(wrong), TypeError, "the name of a group has to be str, not int"),
        (lambda cx: cx.group_join(wrong), TypeError, "the name of a group has to be str, not int"),
        (lambda cx: cx.group_join("room.a", after=wrong), TypeError, "a position has to be str, not int"),
        (lambda cx: cx.group_join("room.a", latest=wrong / 2), TypeError, "`latest` has to be int, not float"),
        (lambda cx: cx.group_join("room.a", latest=-1), ValueError, "`latest` has to be from 0"),
        (
            lambda cx: cx.group_join("room.a", latest=1001),
            InvalidHistory,
            "a join sends at most the latest 1000 messages",
        ),
    ],
)
def test_each_rule_is_named(work: Callable[[Context], Any], error: type[Exception], text: str) -> None:
    def refused(cx: Context) -> None:
        with pytest.raises(error) as raised:
            work(cx)
        assert text in str(raised.value)
        assert not issubclass(error, HistoryError) or type(raised.value) is error

    assert run(refused).faults == []


def test_a_message_on_a_channel_has_no_connection_that_could_join() -> None:
    host = run(lambda cx: cx.group_join("room.a") if cx.scope is None else None)
    host.send("work", {})
    assert "InvalidHistory: a message on a channel has no connection of its own that could join" in host.faults[0].text


def test_a_fault_takes_the_join_back() -> None:
    def fails(cx: Context) -> None:
        cx.group_join("room.blue")
        raise ValueError("boom")

    assert run(fails).group("room.blue") == []


def test_the_most_exact_pattern_counts() -> None:
    @history("*", messages=3)
    @history("room.*", messages=2)
    @http("POST /{group}")
    def sends(cx: Context, group: str) -> list[int]:
        for text in "abcd":
            cx.group_send(group, text)
        cx.flush()
        return [len(cx.history(group).latest().messages)]

    @history("room.one", messages=1)
    @http("GET /")
    def page() -> str:
        return ""

    host = TestHost(export(sends, page))
    assert [host.request("POST", f"/{it}").json() for it in ("room.one", "room.two", "lobby")] == [[1], [2], [3]]


def test_what_is_declared_has_numbers() -> None:
    @history("lobby", age=timedelta(minutes=2), bytes=4096)
    @http("GET /")
    def page() -> str:
        return ""

    assert messagepack.unpackb(declare(export(Room, Plain, page).entries)) == {
        "Room": {
            "history": {
                "room.*": {"messages": 5, "age": 3600, "bytes": 262_144},
                "room.brief": {"messages": 100, "age": 60, "bytes": 1024},
            }
        },
        "page": {"history": {"lobby": {"messages": 100, "age": 120, "bytes": 4096}}},
    }


def test_a_component_with_a_history_exports_declarations() -> None:
    check_world(export(Room).entries, is_exported=True)
    with pytest.raises(WorldError, match=r"Room \(\S+test_history.py:\d+\) has @history, and this component does not"):
        check_world(export(Room).entries, is_exported=False)
    with pytest.raises(WorldError, match="has @presence, @history or `resume`: build it with"):
        check_world(export(Plain).entries, is_exported=True)


@pytest.mark.parametrize(
    ("pattern", "options", "fix"),
    [
        (events, {}, '@history names groups, which are texts, as in "room.*", and not'),
        ("room*", {}, "@history: 'room*' names no groups"),
        ("a" * 100, {}, "the name of a group has at most 99 bytes"),
        ("a", {"messages": 0}, "@history('a'): `messages` is an integer from 1 to 10000, and not 0"),
        ("a", {"messages": 10_001}, "from 1 to 10000"),
        ("a", {"messages": "100"}, "and not '100'"),
        ("a", {"messages": True}, "and not True"),
        ("a", {"age": 0}, "`age` is a time from 1s to 30d, and not 0"),
        ("a", {"age": "31d"}, "`age` is a time from 1s to 30d, and not '31d'"),
        ("a", {"age": "a day"}, "`age` is a time, and not 'a day': write"),
        ("a", {"age": 1.5}, "`age` is a whole number of seconds, and not 1.5"),
        ("a", {"bytes": 1023}, "`bytes` is from 1KiB to 16MiB, and not 1023"),
        ("a", {"bytes": "17MiB"}, "`bytes` is from 1KiB to 16MiB, and not '17MiB'"),
        ("a", {"bytes": "1MB"}, 'and not \'1MB\': write "256KiB", "1MiB" or a number'),
        ("a", {"bytes": None}, "and not None"),
    ],
)
def test_a_declaration_that_cannot_be(pattern: Any, options: dict[str, Any], fix: str) -> None:
    with pytest.raises(ConsumerError) as raised:
        history(pattern, **options)
    assert fix in str(raised.value)


def test_a_pattern_is_declared_once() -> None:
    @history("room.*")
    @http("GET /other")
    def other() -> str:
        return ""

    with pytest.raises(ConsumerError, match=r"other \(\S+\) has @history\('room\.\*'\) twice: write it once"):
        history("room.*", messages=3)(other)
    with pytest.raises(ConsumerError, match=r'and `other` \(\S+\) have @history\("room\.\*"\), and nobody could say'):
        export(Room, other)
    for number in range(31):
        history(f"room.{number}")(other)
    with pytest.raises(ConsumerError, match="has @history more than 32 times: write some beside another consumer"):
        history("one.more")(other)


def test_a_consumer_that_is_not_listed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost() -> None: ...

    decorate: Callable[..., Any] = history("lobby")
    monkeypatch.setitem(globals(), "lost", decorate(lost))
    with pytest.raises(ConsumerError, match=r"`lost` is not in export\(...\): add it, or remove its decorator"):
        check_forgotten(ALL)
