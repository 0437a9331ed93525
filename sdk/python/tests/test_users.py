"""Users: who is let in, and whom a consumer sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tidegate_sdk import (
    ConsumerError,
    Context,
    Reply,
    Response,
    Socket,
    User,
    channel,
    claims,
    export,
    http,
    schedule,
    user,
    websocket,
)
from tidegate_sdk.codec import messagepack
from tidegate_sdk.declarations import WorldError, check_world, declare
from tidegate_sdk.exports import check_forgotten
from tidegate_sdk.testing import Denied, TestHost
from tidegate_sdk.users import from_wire
from tidegate_sdk.wire import User as WireUser


@dataclass
class Claims:
    role: str


def told(user: User | None) -> str:
    return f"{user.id} {user.claims()} {user.expires}" if user else "nobody"


@user
@http("GET /me")
def me(user: User) -> str:
    return told(user)


@http("GET /home")
@user(optional=True)
def home(user: User | None) -> str:
    return told(user)


@http("GET /forgotten")
def forgotten(user: User) -> str:
    return told(user)


@http("GET /open")
def opened(cx: Context) -> str:
    return told(cx.user)


@claims(role=["admin", "owner"], level=2)
@http("POST /close")
def close(user: User) -> str:
    return user.claims(Claims).role


@claims({"https://example.com/role": "admin"})
@user
@websocket("/room")
class Room:
    def connect(self, socket: Socket[None]) -> None:
        socket.send(f"welcome {told(socket.user)}")

    def receive(self, socket: Socket[None], text: str) -> None:
        socket.send("rooms.work", {"to": socket.reply_channel})
        socket.send(f"{told(socket.user)}: {text}")

    def disconnect(self, socket: Socket[None]) -> None:
        socket.info(f"{told(socket.user)} left")


@channel("rooms.work")
def work(cx: Context) -> None:
    cx.info(told(cx.user))


@http("GET /wait", disconnect=lambda cx: cx.info(told(cx.user)))
@user(optional=True)
def wait(cx: Context) -> Reply:
    return cx.hold(10)


ALL = [me, home, forgotten, opened, close, Room, work, wait]
ADMIN = {"https://example.com/role": ["reader", "admin"]}


def test_a_consumer_sees_the_user_that_it_asks_for() -> None:
    host = TestHost(export(*ALL))
    assert host.get("/me", signed_in="ada", claims={"a": [1]}).text == "ada {'a': [1]} None"
    assert host.get("/home", signed_in="ada").text == "ada {} None"
    assert host.get("/home").text == "nobody"
    missing = host.get("/me")
    assert (missing.status, missing.text, missing.header("www-authenticate")) == (401, "sign in first\n", "Bearer")


def test_without_a_guard_nobody_is_looked_for_and_a_parameter_lets_nobody_in() -> None:
    host = TestHost(export(*ALL))
    assert host.get("/open", signed_in="ada").text == "nobody"
    for response in (host.get("/forgotten"), host.get("/forgotten", signed_in="ada")):
        assert (response.status, response.header("www-authenticate")) == (401, "Bearer")
    assert host.faults == []


def test_claims_are_compared_with_their_types() -> None:
    host = TestHost(export(*ALL))
    for given, status in (
        ({"role": "owner", "level": 2}, 200),
        ({"role": "owner", "level": 2, "more": None}, 200),
        ({"role": "owner", "level": [1, 2]}, 200),
        ({"role": "owner", "level": "2"}, 403),
        ({"role": "owner", "level": 2.0}, 403),
        ({"role": "owner", "level": True}, 403),
        ({"role": "owner", "level": [[2]]}, 403),
        ({"role": "reader", "level": 2}, 403),
        ({"role": "owner"}, 403),
        ({}, 403),
    ):
        assert host.request("POST", "/close", signed_in="ada", claims=given).status == status, given
    assert host.request("POST", "/close").status == 401


def test_claims_of_a_test_may_be_a_dataclass_and_those_that_do_not_read_are_a_fault() -> None:
    @user
    @http("GET /role")
    def role(user: User) -> str:
        return user.claims(Claims).role

    host = TestHost(export(role))
    assert host.get("/role", signed_in="ada", claims=Claims("admin")).text == "admin"
    assert host.get("/role", signed_in="ada").status == 500
    assert "the claims do not read as `Claims`: missing field `role`" in host.faults[0].text


def test_a_socket_has_the_user_of_its_handshake_to_its_end_and_a_message_has_none() -> None:
    host = TestHost(export(*ALL))
    room = host.websocket("/room", signed_in="ada", claims=ADMIN)
    who = f"ada {ADMIN} None"
    room.expect_text(f"welcome {who}")
    room.send("ahoy")
    room.expect_text(f"{who}: ahoy")
    room.close()
    assert [line.text for line in host.logs] == ["nobody", f"{who} left"]
    for signed_in, given, status in ((None, None, 401), ("bob", {}, 403), ("bob", {"role": "admin"}, 403)):
        with pytest.raises(Denied) as denied:
            host.websocket("/room", signed_in=signed_in, claims=given)
        assert denied.value.status == status


def test_who_leaves_is_who_has_asked() -> None:
    host = TestHost(export(wait))
    host.get("/wait", signed_in="ada").leave()
    assert [line.text for line in host.logs] == ["ada {} None"]


def test_the_end_of_a_user_is_a_time_with_a_zone() -> None:
    for seconds, expected in ((1_799_033_400, "2027-01-04 03:30:00+00:00"), (None, "None"), (2**64 - 1, "None")):
        found = from_wire(WireUser("ada", b"\x80", seconds))
        assert found is not None
        assert str(found.expires) == expected


def test_what_is_declared_has_what_each_consumer_asks_for() -> None:
    assert messagepack.unpackb(declare(export({"/a": [me, home]}, opened, close, Room, work).entries)) == {
        "me": {"user": "required"},
        "home": {"user": "optional"},
        "close": {"user": "required", "claims": {"role": ["admin", "owner"], "level": [2]}},
        "Room": {"user": "required", "claims": {"https://example.com/role": ["admin"]}},
    }


def test_what_stands_before_a_prefix_is_for_each_consumer_below_it() -> None:
    inner = export({"/inner": [opened, close]})
    consumers = export(claims({"https://example.com/verified": True})(user({"/app": [forgotten, inner]})), home)
    declared = messagepack.unpackb(declare(consumers.entries))
    verified = {"https://example.com/verified": [True]}
    assert declared == {
        "forgotten": {"user": "required", "claims": verified},
        "opened": {"user": "required", "claims": verified},
        "close": {"user": "required", "claims": {"role": ["admin", "owner"], "level": [2], **verified}},
        "home": {"user": "optional"},
    }
    host = TestHost(consumers)
    assert host.get("/app/forgotten").status == 401
    assert host.get("/app/inner/open", signed_in="ada").status == 403
    assert host.get("/app/inner/open", signed_in="ada", claims={"https://example.com/verified": True}).status == 200
    # The list that is mounted below the prefix is as it was.
    assert TestHost(inner).get("/inner/open").status == 200


def test_a_component_exports_declarations_where_a_consumer_asks_for_a_user() -> None:
    check_world(export(home).entries, is_exported=True)
    with pytest.raises(WorldError, match=r"home \(\S+test_users.py:\d+\) asks for a user, and this component does not"):
        check_world(export(home, opened).entries, is_exported=False)


@pytest.mark.parametrize(
    ("decorate", "fix"),
    [
        (lambda: user(optional="yes"), "@user(optional=...) is True or False, not 'yes'"),  # type: ignore[call-overload]
        (lambda: user("me"), "stand before a consumer of HTTP or of WebSockets, or take those below a prefix"),
        (lambda: user([me]), "stand before a consumer of HTTP or of WebSockets"),
        (lambda: user(me), "what it asks of the user is said already, here or before the prefix"),
        (lambda: claims(level=3)(close), "the claim `level` is there already, here or before the prefix"),
        (lambda: claims(role="admin")(home), "claims are those of a user: write @user or nothing beside them"),
        (lambda: export(user({"/a": [home]})), "what it asks of the user is said already"),
        (lambda: export(user(optional=True)({"/a": [close]})), "claims are those of a user"),
        (lambda: claims(), '@claims names 1 to 32 claims, as in @claims(role="admin", level=[1, 2])'),
        (lambda: claims(close), "write the claims that are asked for"),
        (lambda: claims(**{f"a{n}": n for n in range(33)}), "@claims names 1 to 32 claims"),
        (lambda: claims(role=[]), "@claims(role=...) has 0 values, and 1 to 32 can be asked for"),
        (lambda: claims(level=list(range(33))), "has 33 values"),
        (lambda: claims(level=1.5), "is compared with a text, an integer or a bool, not 1.5"),
        (lambda: claims(level=None), "is compared with a text, an integer or a bool, not None"),
        (lambda: export(user(channel("some.thing")(lambda: None))), "a message of a channel has no user"),
    ],
)
def test_a_guard_that_cannot_be(decorate: Callable[[], Any], fix: str) -> None:
    with pytest.raises(ConsumerError) as raised:
        decorate()
    assert fix in str(raised.value)


def test_a_consumer_of_a_channel_has_no_user_even_with_a_schedule() -> None:
    @user
    @schedule("@daily")
    @channel("shop.report")
    def report() -> None: ...

    with pytest.raises(ConsumerError, match=r"report \(\S+:\d+\): a message of a channel has no user: put @user and"):
        export(report)


def test_a_guard_before_what_is_no_consumer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    @user
    def lost() -> Response:
        return Response()

    with pytest.raises(ConsumerError, match="`lost` is no consumer: put @http, @websocket or @channel before it"):
        export(lost)
    lost.__module__ = __name__
    monkeypatch.setitem(globals(), "lost", lost)
    with pytest.raises(ConsumerError, match=r"`lost` is not in export\(...\): add it, or remove its decorator"):
        check_forgotten(ALL)


@pytest.mark.parametrize(
    ("signed_in", "given", "fix"),
    [
        ("", None, "'' is not 1 to 256 bytes without control characters"),
        ("ä" * 129, None, "is not 1 to 256 bytes"),
        ("a\x85", None, "without control characters"),
        ("ada", {"a": "x" * 4096}, "the claims have 4102 bytes; at most 4096 are taken"),
        (None, {"role": "admin"}, 'claims are those of a user: give `signed_in`, too, as in signed_in="ada"'),
    ],
)
def test_a_user_that_no_token_has_is_refused_in_a_test(signed_in: Any, given: Any, fix: str) -> None:
    host = TestHost(export(*ALL))
    for ask in (host.get, host.websocket):
        with pytest.raises(ValueError) as raised:
            ask("/room", signed_in=signed_in, claims=given)
        assert fix in str(raised.value)
