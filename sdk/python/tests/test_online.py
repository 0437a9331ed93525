"""The connections of a user."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tidegate_sdk import (
    Close,
    Context,
    Forbidden,
    Group,
    HttpError,
    InvalidOnline,
    OnlineError,
    Reply,
    Response,
    Socket,
    channel,
    export,
    http,
    user,
    websocket,
)
from tidegate_sdk.testing import Denied, TestHost


@user(optional=True)
@websocket("/room")
class Room:
    def connect(self, socket: Socket[None]) -> None:
        if socket.scope and socket.scope.query_string == "greet" and socket.user:
            socket.connections_of(socket.user.id).send("hello")
        if socket.scope and socket.scope.query_string == "deny" and socket.user:
            socket.connections_of(socket.user.id).send("one was denied")
            raise HttpError(403)

    def receive(self, socket: Socket[None], text: str) -> None:
        socket.send(text)
        socket.connections_of(text).send("from a friend")
        socket.send("after that")


@websocket("/open")
class Open: ...


@user
@http("GET /hold/{kind}")
def hold(cx: Context, kind: str) -> Reply:
    if kind == "stream":
        cx.start_stream(Response.text("first;"))
    return cx.hold(600, Response.text("nothing") if kind == "fallback" else None)


@channel("news")
def news(cx: Context, message: dict[str, str]) -> None:
    cx.connections_of(message["for"]).send_json({"news": message["text"]})


ALL = [Room, Open, hold, news]


def run(work: Callable[[Context], Any], host_of: list[Any] | None = None) -> TestHost:
    """A host on which a consumer of `POST /` does something."""

    @http("POST /")
    def consumer(cx: Context) -> dict[str, Any]:
        return {"result": work(cx)}

    return TestHost(export(*(host_of or ALL), consumer), "tide", granted=["_user.ada"])


def test_all_connections_of_a_user_are_reached_and_no_other() -> None:
    host = TestHost(export(*ALL))
    phone, laptop = host.websocket("/room", signed_in="ada"), host.websocket("/room", signed_in="ada")
    others = [host.websocket("/room", signed_in="bob"), host.websocket("/room"), host.websocket("/open")]
    host.send("news", {"for": "ada", "text": "storm"})
    for socket in (phone, laptop):
        socket.expect_json({"news": "storm"})
    for socket in others:
        socket.expect_nothing()
    host.send("news", {"for": "eve", "text": "storm"})
    assert (host.faults, host.drops) == ([], [])


def test_a_connection_is_one_of_its_user_from_its_handshake_on() -> None:
    host = TestHost(export(*ALL))
    ada = host.websocket("/room?greet", signed_in="ada")
    ada.expect_text("hello")
    with pytest.raises(Denied):
        host.websocket("/room?deny", signed_in="ada")
    ada.expect_text("one was denied")
    ada.expect_nothing()


def test_what_is_sent_keeps_its_order_with_the_answers() -> None:
    host = TestHost(export(*ALL))
    ada = host.websocket("/room", signed_in="ada")
    ada.send("ada")
    for text in ("ada", "from a friend", "after that"):
        ada.expect_text(text)


def test_connections_that_are_over_are_not_counted() -> None:
    host = run(lambda cx: cx.connections_of("ada").count())

    def count() -> int:
        return int(host.request("POST", "/").json()["result"])

    assert count() == 0
    one, other = host.websocket("/room", signed_in="ada"), host.websocket("/room", signed_in="ada")
    held = host.get("/hold/none", signed_in="ada")
    host.websocket("/room", signed_in="bob")
    assert count() == 3
    one.close(1000)
    assert count() == 2
    other.drop()
    held.leave()
    assert count() == 0
    host.get("/hold/none", signed_in="ada")
    assert count() == 1
    host.advance(600)
    assert count() == 0


def test_what_a_run_sends_is_not_seen_by_its_own_count() -> None:
    def work(cx: Context) -> list[int]:
        theirs = cx.connections_of("ada")
        theirs.close(4000, "signed out")
        before = theirs.count()
        cx.flush()
        return [before, theirs.count()]

    host = run(work)
    ada = host.websocket("/room", signed_in="ada")
    assert host.request("POST", "/").json()["result"] == [1, 0]
    assert ada.closed == Close(4000, "signed out")


def test_a_run_that_fails_sends_and_closes_nothing() -> None:
    def work(cx: Context) -> None:
        cx.connections_of("ada").send("never")
        cx.connections_of("ada").close()
        raise ValueError("broken")

    host = run(work)
    ada = host.websocket("/room", signed_in="ada")
    assert host.request("POST", "/").status == 500
    ada.expect_nothing()
    assert ada.closed is None


def test_a_close_ends_a_request_on_hold_as_if_its_time_were_over() -> None:
    host = run(lambda cx: cx.connections_of("ada").close(4000))
    held = {kind: host.get(f"/hold/{kind}", signed_in="ada") for kind in ("fallback", "none", "stream")}
    assert all(it.is_pending for it in held.values())
    host.request("POST", "/")
    assert not any(it.is_pending for it in held.values())
    assert (held["fallback"].status, held["fallback"].text) == (200, "nothing")
    assert held["none"].status == 504
    assert held["stream"].text == "first;"
    assert (host.faults, host.drops) == ([], [])


def test_a_request_on_hold_is_answered_by_a_message_to_its_user() -> None:
    host = run(lambda cx: cx.connections_of("ada").send(Response.text("news", status=203)))
    held = host.get("/hold/none", signed_in="ada")
    host.request("POST", "/")
    assert (held.status, held.text) == (203, "news")


wrong: Any = 7


@pytest.mark.parametrize(
    ("work", "error", "text"),
    [
        (lambda cx: cx.connections_of(wrong), TypeError, "the id of a user has to be str, not int"),
        (lambda cx: cx.connections_of(b"ada"), TypeError, "has to be str, not bytes: decode it, as in data.decode()"),
        (lambda cx: cx.connections_of("\udc80"), ValueError, "the id of a user has half of a surrogate pair"),
        (lambda cx: cx.connections_of("").send("x"), InvalidOnline, "the id of a user has 1 to 256 bytes and no"),
        (lambda cx: cx.connections_of("ä" * 129).close(), InvalidOnline, "the id of a user has 1 to 256 bytes"),
        (lambda cx: cx.connections_of("a\x85").count(), InvalidOnline, "and no control characters"),
        (lambda cx: cx.connections_of("ada").send(wrong), InvalidOnline, "a message is a map"),
        (lambda cx: cx.connections_of("ada").send({"a": object()}), InvalidOnline, "cannot be written"),
        (lambda cx: cx.connections_of("ada").send("\udc80"), ValueError, "a message has half of a surrogate pair"),
        (lambda cx: cx.connections_of("ada").send("x" * 1_200_000), InvalidOnline, "and the limit is 1114112"),
        (lambda cx: cx.connections_of("ada").send({"a": nested(40)}), InvalidOnline, "nested deeper than 32"),
        (lambda cx: cx.connections_of("ada").close(1001), InvalidOnline, "close code 1001 is neither 1000 nor"),
        (lambda cx: cx.connections_of("ada").close(5000), InvalidOnline, "close code 5000 is neither 1000 nor"),
        (lambda cx: cx.connections_of("ada").close(-1), ValueError, "a close code has to be from 0 to 65535"),
        (lambda cx: cx.connections_of("ada").close(wrong / 2), TypeError, "a close code has to be int, not float"),
        (lambda cx: cx.connections_of("ada").close(4000, "ä" * 62), InvalidOnline, "reason of 124 bytes is over 123"),
        (lambda cx: cx.connections_of("ada").close(4000, wrong), TypeError, "a close reason has to be str, not int"),
        (lambda cx: cx.group_send(Group("_user.ada"), "x"), Forbidden, "one of the host's own; connections_of reaches"),
        (lambda cx: cx.group_add(Group("_session.a"), "a!b"), Forbidden, "one of the host's own"),
    ],
)
def test_each_rule_is_named(work: Callable[[Context], Any], error: type[Exception], text: str) -> None:
    def refused(cx: Context) -> None:
        with pytest.raises(error) as raised:
            work(cx)
        assert text in str(raised.value)
        assert not issubclass(error, OnlineError) or type(raised.value) is error

    host = run(refused)
    ada = host.websocket("/room", signed_in="ada")
    assert host.request("POST", "/").json() == {"result": None}
    assert host.faults == []
    ada.expect_nothing()


def nested(depth: int) -> Any:
    return [nested(depth - 1)] if depth else 0


def test_an_outbox_that_is_too_large_is_a_fault() -> None:
    def work(cx: Context) -> None:
        for _ in range(1001):
            cx.connections_of("ada").send("x")

    host = run(work)
    ada = host.websocket("/room", signed_in="ada")
    assert host.request("POST", "/").status == 500
    assert "an outbox of 1001 entries, and the limit is 1000" in host.faults[0].text
    ada.expect_nothing()
