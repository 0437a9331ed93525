"""Connections that the host keeps for clients that were lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tidegate_sdk import ConsumerError, Socket, channel, export, http, presence, user, websocket
from tidegate_sdk.codec import messagepack
from tidegate_sdk.declarations import WorldError, check_world, declare
from tidegate_sdk.testing import TestHost


@websocket("/chat", resume="2m")
class Chat:
    def receive(self, socket: Socket[None], text: str) -> None:
        socket.send(text)

    def disconnect(self, socket: Socket[None]) -> None:
        socket.info("left")


@websocket("/plain")
class Plain: ...


def declared(**options: Any) -> Any:
    @websocket("/", **options)
    class It: ...

    return messagepack.unpackb(declare(export(It).entries)).get("It")


def test_what_is_declared_has_milliseconds() -> None:
    assert declare(export(Chat, Plain).entries) == b"\x81\xa4Chat\x81\xa6resume\xce\x00\x01\xd4\xc0"
    for time, milliseconds in (
        ("1s", 1_000),
        ("1500ms", 1_500),
        ("10m", 600_000),
        (1, 1_000),
        (2.5, 2_500),
        (timedelta(minutes=5), 300_000),
    ):
        assert declared(resume=time) == {"resume": milliseconds}, time
    assert declared() is None
    assert declared(resume=None) is None


def test_it_stands_beside_other_declarations_and_below_a_prefix() -> None:
    @user
    @presence("room.*")
    @websocket("/", resume="2m")
    class Own: ...

    found = messagepack.unpackb(declare(export({"/app": [Own]}).entries))["Own"]
    assert (found["resume"], found["user"], found["presence"]["groups"]) == (120_000, "required", ["room.*"])


def test_a_component_with_it_exports_declarations() -> None:
    @websocket("/own", resume=5)
    class Own: ...

    check_world(export(Own).entries, is_exported=True)
    check_world(export(Plain).entries, is_exported=False)
    with pytest.raises(WorldError, match=r"Own \(.*\) has `resume`, and this component does not"):
        check_world(export(Plain, Own).entries, is_exported=False)
    with pytest.raises(WorldError, match=r"or has @presence, @history or `resume`: build it with"):
        check_world(export(Plain).entries, is_exported=True)


def test_a_test_host_ends_a_connection_at_once() -> None:
    host = TestHost(export(Chat))
    host.websocket("/chat").drop()
    assert [line.text for line in host.logs] == ["left"]


@pytest.mark.parametrize(
    ("time", "fix"),
    [
        ("999ms", "@websocket('/'): `resume` is a time from 1s to 10m, and not '999ms'"),
        ("11m", "`resume` is a time from 1s to 10m, and not '11m'"),
        (0, "`resume` is a time from 1s to 10m, and not 0"),
        (601, "`resume` is a time from 1s to 10m, and not 601"),
        (timedelta(hours=1), "`resume` is a time from 1s to 10m"),
        (-1, '`resume` is a time, and not -1: write "500ms", "10s" or "5m", seconds, or a timedelta'),
        ("120", "`resume` is a time, and not '120'"),
        ("2 minutes", "`resume` is a time, and not '2 minutes'"),
        (True, "`resume` is a time, and not True"),
        (b"2m", "`resume` is a time, and not b'2m'"),
    ],
)
def test_a_time_that_cannot_be(time: Any, fix: str) -> None:
    with pytest.raises(ConsumerError) as raised:
        declared(resume=time)
    assert fix in str(raised.value)


def test_only_a_consumer_of_websockets_has_it() -> None:
    decorate: Any
    for decorate, name in ((http, "GET /"), (channel, "chat.work")):
        with pytest.raises(ConsumerError) as raised:
            decorate(name, resume="2m")
        assert str(raised.value) == (
            f"@{decorate.__name__}({name!r}): `resume` is for connections that stay open: give it to a consumer of "
            'WebSockets, as in @websocket("/chat", resume="2m")'
        )


def test_an_option_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    decorate: Any = http
    with pytest.raises(
        ConsumerError, match=r"@http\('GET /'\) has no option `retries`; there is host, headers and disc"
    ):
        decorate("GET /", retries=3)
    decorate = channel
    with pytest.raises(ConsumerError, match=r"@channel\('work'\) has no option `retry`; there is retries"):
        decorate("work", retry=3)
