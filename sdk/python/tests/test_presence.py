"""Presence: the members of groups, and who is told of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from tidegate_sdk import (
    ConsumerError,
    Context,
    ForbiddenPresence,
    Group,
    InvalidPresence,
    Member,
    Members,
    NoConnection,
    NoUser,
    PresenceChange,
    PresenceError,
    Reply,
    Response,
    Socket,
    Unreadable,
    channel,
    export,
    http,
    presence,
    sse,
    user,
    websocket,
)
from tidegate_sdk.codec import messagepack
from tidegate_sdk.codec.readers import reader
from tidegate_sdk.declarations import WorldError, check_world, declare
from tidegate_sdk.exports import check_forgotten
from tidegate_sdk.testing import TestHost, TestSocket


@dataclass
class Facts:
    colour: str
    at: int = 0


@presence("room.*", leave_after="2s", interval="10s", list=3)
@websocket("/room/{room}/{name}")
class Room:
    room: str
    name: str

    def connect(self, socket: Socket[None]) -> None:
        socket.present(f"room.{self.room}", self.name, Facts("blue"))

    def receive(self, socket: Socket[None], text: str) -> None:
        group = f"room.{self.room}"
        match text.split():
            case ["colour", colour]:
                socket.present(group, self.name, Facts(colour))
            case ["become", name]:
                socket.present(group, name, Facts("blue"))
            case ["leave"]:
                socket.group_discard(group)
            case ["fail"]:
                socket.present(group, "failed")
                raise ValueError("boom")
            case _:
                socket.send(str(socket.member_count(group)))


@presence("room.told", leave_after=5)
@channel("room.changes")
def changes(cx: Context, change: PresenceChange[Facts]) -> None:
    assert all(isinstance(facts, Facts) for facts in [*change.joined.values(), *change.updated.values()])
    cx.store.add("changes")
    cx.store.set(f"change:{change.version:02}", change)


@http("GET /events/{room}/{name}")
def events(cx: Context, room: str, name: str) -> Reply:
    cx.start_stream(sse.head())
    cx.present(f"room.{room}", name)
    return cx.hold(60)


@http("GET /members/{room}")
def listed(cx: Context, room: str) -> Members[Facts]:
    return cx.members(f"room.{room}", Facts)


@channel("room.admit")
def admit(cx: Context, message: dict[str, str]) -> None:
    cx.present("room.blue", "guest", {"colour": "red"}, channel=message["channel"])


def told(socket: TestSocket) -> Any:
    return socket.receive_json()["presence"]


@pytest.fixture
def host() -> TestHost:
    return TestHost(export(Room, changes, events, listed, admit), "chat")


def test_a_client_gets_a_list_and_then_what_has_changed(host: TestHost) -> None:
    ada = host.websocket("/room/blue/ada")
    blue = {"colour": "blue", "at": 0}
    assert told(ada) == {"group": "chat.room.blue", "version": 1, "count": 1, "members": {"ada": blue}}
    change = {"group": "chat.room.blue", "from": 0, "version": 1, "count": 1, "joined": {"ada": blue}}
    assert told(ada) == change
    bob = host.websocket("/room/blue/bob")
    assert told(bob)["members"] == {"ada": blue, "bob": blue}
    bob.send("colour red")
    ada.expect_nothing()
    host.advance(10)
    # The member is new to those who heard of no change meanwhile.
    both = {
        "group": "chat.room.blue",
        "from": 1,
        "version": 3,
        "count": 2,
        "joined": {"bob": {"colour": "red", "at": 0}},
    }
    assert (told(ada), told(bob)) == (both, both)
    ada.send("colour green")
    host.advance(10)
    assert told(bob)["updated"] == {"ada": {"colour": "green", "at": 0}}
    bob.close(1000)
    host.advance(1.9)
    assert host.members("room.blue") == ["ada", "bob"]
    host.advance(0.1)
    assert host.members("room.blue") == ["ada"]
    told(ada)
    ada.expect_nothing()
    host.advance(10)
    assert told(ada) == {"group": "chat.room.blue", "from": 4, "version": 5, "count": 1, "left": ["bob"]}


def test_all_connections_with_one_key_are_one_member(host: TestHost) -> None:
    one, two = host.websocket("/room/blue/ada"), host.websocket("/room/blue/ada")
    two.send("colour red")
    two.send("how many?")
    assert [told(two)["count"], two.receive()] == [1, "1"]
    assert host.get("/members/blue").json() == {
        "members": [{"key": "ada", "facts": {"colour": "red", "at": 0}}], "count": 1, "cursor": None,
    }  # fmt: skip
    # The facts are those of the newest connection that is left.
    two.drop()
    assert host.get("/members/blue").json()["members"][0]["facts"]["colour"] == "blue"
    host.advance(60)
    one.send("leave")
    host.advance(1)
    # Somebody who loads a page again has not left.
    host.websocket("/room/blue/ada").close()
    host.advance(1.9)
    assert host.members("room.blue") == ["ada"]
    host.advance(0.1)
    assert (host.members("room.blue"), host.group("room.blue")) == ([], [])


def test_who_came_and_left_between_two_announcements_is_told_to_nobody_but_those_with_a_list(host: TestHost) -> None:
    ada = host.websocket("/room/told/ada")
    for _ in range(2):
        told(ada)
    bob, eve = host.websocket("/room/told/bob"), host.websocket("/room/told/eve")
    assert set(told(eve)["members"]) == {"ada", "bob", "eve"}
    bob.close()
    host.advance(10)
    change = told(eve)
    assert (set(change["joined"]), change["left"]) == ({"eve"}, ["bob"])
    last = host.messages("room.changes")[-1].read(PresenceChange[Facts])
    assert (last.from_version, last.version, last.count) == (1, 4, 2)
    assert (set(last.joined), last.updated, last.left) == ({"eve"}, {}, [])


def test_a_channel_is_told_by_messages(host: TestHost) -> None:
    ada = host.websocket("/room/told/ada")
    ada.send("colour red")
    host.advance(10)
    ada.close()
    # The longest times of the declarations hold.
    host.advance(4.9)
    assert host.data.counter("changes") == 2
    host.advance(60)
    assert host.data.counter("changes") == 3
    assert host.faults == []
    assert host.messages("room.changes")[-1].read() == {
        "group": "chat.room.told", "from": 2, "version": 3, "count": 0, "joined": {}, "updated": {}, "left": ["ada"],
    }  # fmt: skip
    assert host.data.get("change:02", PresenceChange[Facts]).updated == {"ada": Facts("red")}
    # A group that was empty goes on with higher versions.
    assert told(host.websocket("/room/told/ada"))["version"] == 4


def test_of_a_group_that_nobody_declares_nobody_hears() -> None:
    @websocket("/{name}")
    class Quiet:
        name: str

        def connect(self, socket: Socket[None]) -> None:
            socket.present("room.blue", self.name)

    host = TestHost(export(Quiet, changes))
    ada = host.websocket("/ada")
    host.advance(9)
    ada.expect_nothing()
    ada.close()
    host.advance(9.9)
    assert host.members("room.blue") == ["ada"]
    host.advance(0.1)
    assert host.members("room.blue") == []


def test_where_members_are_many_clients_get_their_number(host: TestHost) -> None:
    sockets = [host.websocket(f"/room/blue/{name}") for name in ("ada", "bob", "eve", "kim")]
    assert set(told(sockets[2])) == {"group", "version", "count", "members"}
    assert set(told(sockets[3])) == {"group", "version", "count"}
    host.advance(10)
    assert told(sockets[-1]) == {"group": "chat.room.blue", "version": 4, "count": 4}
    sockets[-1].send("colour red")
    host.advance(10)
    sockets[-1].expect_nothing()
    sockets[0].close()
    host.advance(20)
    # A list again.
    assert set(told(sockets[-1])["members"]) == {"bob", "eve", "kim"}


def test_a_connection_becomes_another_member(host: TestHost) -> None:
    ada = host.websocket("/room/blue/ada")
    ada.send("become bob")
    assert host.members("room.blue") == ["ada", "bob"]
    host.advance(2)
    assert host.members("room.blue") == ["bob"]


def test_a_stream_of_events_is_told_as_events(host: TestHost) -> None:
    stream = host.get("/events/blue/ada")
    list_, change, rest = stream.text.split("\n\n")
    assert list_ == ('event: presence\ndata: {"group":"chat.room.blue","version":1,"count":1,"members":{"ada":{}}}')
    assert change.startswith('event: presence\ndata: {"group":"chat.room.blue","from":0,')
    assert rest == ""
    stream.leave()
    host.advance(2)
    assert host.members("room.blue") == []


def test_a_fault_takes_the_presence_back(host: TestHost) -> None:
    ada = host.websocket("/room/blue/ada")
    ada.send("fail")
    host.advance(2)
    assert host.members("room.blue") == []


def test_another_consumer_makes_a_connection_present(host: TestHost) -> None:
    ada = host.websocket("/room/red/ada")
    host.send("room.admit", {"channel": ada.reply_channel})
    assert host.members("room.blue") == ["guest"]
    ada.close()
    host.send("room.admit", {"channel": ada.reply_channel})
    assert host.drops == [f"chat.room.blue: {ada.reply_channel} is gone"]
    host.send("room.admit", {"channel": "room.changes"})
    assert 'InvalidPresence: "room.changes" is no reply channel, and connections are present' in host.faults[-1].text


def run(work: Callable[[Context], Any], *, signed_in: str | None = None) -> TestHost:
    """A host on which a consumer of a request has done something, and is held."""

    @http("GET /")
    @user(optional=True)
    def consumer(cx: Context) -> Reply:
        work(cx)
        return cx.hold(60, Response(204))

    host = TestHost(export(consumer), "tide", granted=["other.room"])
    host.get("/", signed_in=signed_in)
    return host


wrong: Any = 7


@pytest.mark.parametrize(
    ("work", "error", "text"),
    [
        (lambda cx: cx.present("room", ""), InvalidPresence, "the key of a member has 1 to 256 bytes and no control"),
        (lambda cx: cx.present("room", "ä" * 129), InvalidPresence, "the key of a member has 1 to 256 bytes"),
        (lambda cx: cx.present("room", "a\nb"), InvalidPresence, "no control characters"),
        (lambda cx: cx.present("room", wrong), TypeError, "the key of a member has to be str, not int"),
        (lambda cx: cx.present(wrong, "ada"), TypeError, "the name of a group has to be str, not int"),
        (lambda cx: cx.present("room", "ada", {"a": "x" * 1100}), InvalidPresence, "at most 1024 are taken"),
        (lambda cx: cx.present("room", "ada", {"a": b""}), InvalidPresence, 'the fact "a" has bytes, or a number that'),
        (lambda cx: cx.present("room", "ada", {"a": [{"b": float("inf")}]}), InvalidPresence, 'the fact "a" has bytes'),
        (lambda cx: cx.present("room", "ada", "blue"), InvalidPresence, "the facts of a member: a message is a map"),
        (lambda cx: cx.present("room", "ada", {"a": object()}), InvalidPresence, "cannot be written: a value of type"),
        (lambda cx: cx.present("room", "ada", {1: 2}), InvalidPresence, "the facts of a member: a map has a key that"),
        (lambda cx: cx.present("a b", "ada"), InvalidPresence, "is not one of a-z A-Z 0-9 . _ -"),
        (
            lambda cx: cx.present(Group("foreign.room"), "ada"),
            ForbiddenPresence,
            "group foreign.room is not under tide.",
        ),
        (lambda cx: cx.present("room", "ada", channel="a!b!c"), InvalidPresence, '"a!b!c" is no reply channel'),
        (lambda cx: cx.present("room", "ada", channel=wrong), TypeError, "the name of a channel has to be str"),
        (lambda cx: cx.present_user("room"), NoUser, "there is no user: put @user before the consumer, or name the"),
        (lambda cx: cx.members("room", limit=0), InvalidPresence, "a part of a list has 1 to 1000 members, not 0"),
        (
            lambda cx: cx.members("room", limit=1001),
            InvalidPresence,
            "a part of a list has 1 to 1000 members, not 1001",
        ),
        (lambda cx: cx.members("room", limit=-1), ValueError, "the limit of a list of members has to be from 0"),
        (lambda cx: cx.members("room", limit=wrong / 2), TypeError, "the limit of a list of members has to be int"),
        (lambda cx: cx.members("room", cursor=wrong), TypeError, "a cursor has to be str, not int"),
        (lambda cx: cx.members("room", cursor=""), InvalidPresence, "the cursor is none that a list of members"),
        (lambda cx: cx.members(Group("foreign.room")), ForbiddenPresence, "group foreign.room is not under tide."),
        (lambda cx: cx.member_count(wrong), TypeError, "the name of a group has to be str, not int"),
        (lambda cx: [cx.member_count("room") for _ in range(101)], InvalidPresence, "a run reads 100 parts of lists"),
    ],
)
def test_each_rule_is_named(work: Callable[[Context], Any], error: type[Exception], text: str) -> None:
    def refused(cx: Context) -> None:
        with pytest.raises(error) as raised:
            work(cx)
        assert text in str(raised.value)
        assert not issubclass(error, PresenceError) or type(raised.value) is error

    host = run(refused)
    assert host.faults == []
    assert host.members("room") == []


def test_a_message_of_a_channel_has_no_connection() -> None:
    @channel("work")
    def work(cx: Context) -> None:
        cx.present("room", "ada")

    host = TestHost(export(work))
    host.send("work", {})
    assert NoConnection.__name__ in host.faults[0].text
    assert "name the channel, as in present(group, key, facts, channel)" in host.faults[0].text


def test_a_user_is_a_member_by_the_id() -> None:
    host = run(lambda cx: cx.present_user("room", {"a": 1}), signed_in="ada")
    assert host.members("room") == ["ada"]


def test_a_group_of_another_module_that_is_granted() -> None:
    host = run(lambda cx: cx.present(Group("other.room"), "ada"))
    assert host.members(Group("other.room")) == ["ada"]


def test_members_are_listed_in_parts() -> None:
    parts: list[Members[dict[str, Any]]] = []

    @http("GET /list")
    def lists(cx: Context) -> str:
        cursor = None
        while True:
            parts.append(cx.members("room", cursor=cursor, limit=2))
            cursor = parts[-1].cursor
            if cursor is None:
                return "done"

    @http("GET /facts")
    def wrong_facts(cx: Context) -> str:
        with pytest.raises(
            Unreadable, match="the facts of member 'ada' do not read as `Facts`: missing field `colour`"
        ):
            cx.members("room", Facts)
        return "done"

    @websocket("/{name}")
    class Quiet:
        name: str

        def connect(self, socket: Socket[None]) -> None:
            socket.present("room", self.name, {"from": self.name})

    host = TestHost(export(lists, wrong_facts, Quiet))
    sockets = [host.websocket(f"/{name}") for name in ("eve", "ada", "bob")]
    assert host.get("/list").text == "done"
    assert parts == [
        Members([Member("ada", {"from": "ada"}), Member("bob", {"from": "bob"})], 3, "bob"),
        Members([Member("eve", {"from": "eve"})], 3, None),
    ]
    assert host.get("/facts").text == "done"
    assert len(sockets) == 3


def test_a_change_reads_with_the_type_of_its_facts() -> None:
    change = PresenceChange("chat.room", 1, 2, 1, {"ada": Facts("blue")}, {}, [])
    assert reader(PresenceChange[Facts])(messagepack.unpackb(messagepack.packb(change.as_message()))) == change
    with pytest.raises(Unreadable, match=r"joined\.ada: missing field `colour`"):
        reader(PresenceChange[Facts])(change.as_message() | {"joined": {"ada": {}}})
    with pytest.raises(Unreadable, match="missing field `from`"):
        reader(PresenceChange)({"group": "chat.room"})


def test_what_is_declared_has_milliseconds() -> None:
    @presence("lobby", leave_after=timedelta(minutes=1), interval=0.5)
    @http("GET /")
    def page() -> str:
        return ""

    assert messagepack.unpackb(declare(export(Room, changes, events, page).entries)) == {
        "Room": {"presence": {"groups": ["room.*"], "leave_after": 2_000, "interval": 10_000, "list": 3}},
        "changes": {"presence": {"groups": ["room.told"], "leave_after": 5_000, "interval": 1_000, "list": 100}},
        "page": {"presence": {"groups": ["lobby"], "leave_after": 60_000, "interval": 500, "list": 100}},
    }


def test_a_component_with_presence_exports_declarations() -> None:
    check_world(export(Room).entries, is_exported=True)
    with pytest.raises(
        WorldError, match=r"Room \(\S+test_presence.py:\d+\) has @presence, and this component does not"
    ):
        check_world(export(Room).entries, is_exported=False)
    with pytest.raises(WorldError, match="exports `declarations`, and no consumer has a schedule"):
        check_world(export(events).entries, is_exported=True)


@pytest.mark.parametrize(
    ("groups", "options", "fix"),
    [
        ([], {}, '@presence names 1 to 32 groups, as in @presence("room.*"), not 0'),
        ([f"room.{n}" for n in range(33)], {}, "1 to 32 groups"),
        ([events], {}, '@presence names groups, which are texts, as in "room.*", and not'),
        ([""], {}, "@presence: '' names no groups: write the name of a group without the module's in front"),
        (["room*"], {}, "@presence: 'room*' names no groups"),
        (["room.*.a"], {}, "or `*` in place of all behind its last dot"),
        (["a room"], {}, "of a-z A-Z 0-9 . _ -"),
        (["a" * 100], {}, "the name of a group has at most 99 bytes"),
        (
            ["a"],
            {"leave_after": "5"},
            "@presence('a'): `leave_after` is a time, and not '5': write \"500ms\", \"10s\" or",
        ),
        (["a"], {"leave_after": "5 years"}, "is a time, and not '5 years'"),
        (["a"], {"leave_after": None}, "is a time, and not None"),
        (["a"], {"leave_after": -1}, "is a time, and not -1"),
        (["a"], {"leave_after": "61m"}, "`leave_after` is a time from 0s to 1h, and not '61m'"),
        (["a"], {"interval": "99ms"}, "`interval` is a time from 100ms to 60s, and not '99ms'"),
        (["a"], {"interval": timedelta(minutes=2)}, "`interval` is a time from 100ms to 60s"),
        (["a"], {"list": 1001}, "`list` is an integer from 0 to 1000, and not 1001"),
        (["a"], {"list": "100"}, "`list` is an integer from 0 to 1000, and not '100'"),
    ],
)
def test_a_declaration_that_cannot_be(groups: list[Any], options: dict[str, Any], fix: str) -> None:
    with pytest.raises(ConsumerError) as raised:
        presence(*groups, **options)
    assert fix in str(raised.value)


def test_a_consumer_has_one_declaration() -> None:
    with pytest.raises(
        ConsumerError, match=r'Room \(\S+\) has two @presence: name all groups in one, as in @presence\("lobby", "room'
    ):
        presence("lobby")(Room)


def test_a_consumer_that_is_not_listed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost() -> None: ...

    decorate: Callable[..., Any] = presence("lobby")
    monkeypatch.setitem(globals(), "lost", decorate(lost))
    with pytest.raises(ConsumerError, match=r"`lost` is not in export\(...\): add it, or remove its decorator"):
        check_forgotten([Room, changes, events, listed, admit])
