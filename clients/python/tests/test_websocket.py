"""The client for WebSockets against a host on loopback, on a clock that is held."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import Any

import pytest
from conftest import must
from host import FakeHost, Followed, HeldClock, Peer
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.protocol import State

from tidegate import ConfigError, InvalidMessage
from tidegate.websocket import (
    Closed,
    Ended,
    Ending,
    Error,
    Gap,
    Message,
    Opened,
    Options,
    PresenceChanged,
    Reconnecting,
    SendError,
    Socket,
)
from tidegate.websocket.connection import Connection
from tidegate.websocket.outgoing import Outgoing
from tidegate.websocket.resume import Resume


@pytest.fixture
async def host() -> AsyncIterator[FakeHost]:
    async with FakeHost() as host:
        yield host


async def opened(followed: Followed, host: FakeHost) -> Peer:
    """The host's side of a connection that the loop has seen open."""
    peer = await host.peer()
    assert await followed.until(Opened) == Opened(resumed=False)
    return peer


# Reconnecting.


async def test_it_connects_again_after_pauses_that_grow(host: FakeHost) -> None:
    async with Followed(host.url) as followed:
        (await opened(followed, host)).cut()
        assert (await followed.until(Closed)).code == 1006
        host.statuses = [HTTPStatus.SERVICE_UNAVAILABLE] * 6
        events = [await followed.again() for _ in range(7)]
        assert [event.attempt for event in events] == [1, 2, 3, 4, 5, 6, 7]
        assert [event.delay for event in events] == [0.5, 1, 2, 4, 8, 15, 15]
        assert events[0].error is None
        assert isinstance(events[1].error, InvalidStatus)
        assert "503" in events[1].reason
        await opened(followed, host)
        assert followed.socket.state == "open"


async def test_a_connection_that_lasted_begins_anew_and_one_that_did_not_has_failed(
    host: FakeHost,
) -> None:
    async with Followed(host.url) as followed:
        for lasted, attempt in ((4.9, 1), (0.0, 2), (4.9, 3), (5.0, 1)):
            peer = await opened(followed, host)
            followed.clock.time += lasted
            await peer.close(1011)
            assert (await followed.again()).attempt == attempt


@pytest.mark.parametrize("code", [1000, 1008, 3000, 4001, 4401, 4429])
async def test_a_code_that_ends_it_ends_it(host: FakeHost, code: int) -> None:
    async with Followed(host.url) as followed:
        peer = await opened(followed, host)
        await peer.close(code, "why")
        assert await followed.next() == Closed(code, "why")
        assert await followed.next() == Ended(code, "why")
        for _ in range(2):
            with pytest.raises(StopAsyncIteration):
                await followed.next()
        assert followed.socket.state == "closed"
        with pytest.raises(SendError, match="closed") as refused:
            await followed.socket.send("late")
        assert refused.value.reason == "ended"


@pytest.mark.parametrize(("code", "delay"), [(1001, 2.5), (1012, 2.5), (1013, 5.5), (1011, 0.5)])
async def test_the_code_says_when(host: FakeHost, code: int, delay: float) -> None:
    async with Followed(host.url) as followed:
        peer = await opened(followed, host)
        await peer.close(code)
        assert (await followed.until(Reconnecting)).delay == delay


async def test_the_application_may_decide_in_place_of_the_code(host: FakeHost) -> None:
    seen: list[Ending] = []

    def decide(ending: Ending) -> bool | None:
        seen.append(ending)
        if ending.code == 1011:
            raise ValueError("oops")
        return {4001: True, 1013: False}.get(ending.code)

    async with Followed(host.url, should_reconnect=decide) as followed:
        await (await opened(followed, host)).close(4001, "again")
        assert (await followed.again()).delay == 0.5
        assert seen == [Ending(4001, "again", True, 1)]
        await (await opened(followed, host)).close(1011)
        assert isinstance((await followed.until(Error)).error, ValueError)
        await followed.again()
        await (await opened(followed, host)).close(1013)
        assert (await followed.until(Ended)).code == 1013


async def test_a_handshake_without_an_answer_has_failed() -> None:
    waiting: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

    async def keep(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        waiting.put_nowait(writer)

    server = await asyncio.start_server(keep, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Followed(f"ws://127.0.0.1:{port}/") as followed:
        writer = await must(waiting.get())
        await followed.clock.end(20.0)
        event = await followed.next()
        assert isinstance(event, Reconnecting)
        assert (event.code, event.reason) == (1006, "it took longer than 20.0 s")
        writer.close()


PINGS: dict[str, Any] = {"ping_interval": 7, "ping_timeout": 3}


async def test_a_connection_whose_pings_are_not_answered_is_replaced(host: FakeHost) -> None:
    async with Followed(host.url, **PINGS) as followed:
        peer = await opened(followed, host)
        await followed.clock.end(7)
        # The answer has come, for the next ping is planned.
        await followed.clock.until(7)
        peer.websocket.transport.pause_reading()
        await followed.clock.end(7)
        await followed.clock.end(3)
        await followed.clock.until(10.0)
        peer.websocket.transport.resume_reading()
        assert await peer.ended() == 4408
        assert await followed.next() == Closed(1006, "no answer to a ping within 3 s")
        assert isinstance(await followed.next(), Reconnecting)


async def test_a_host_that_is_gone_is_not_waited_for(host: FakeHost) -> None:
    async with Followed(host.url, **PINGS) as followed:
        peer = await opened(followed, host)
        peer.websocket.transport.pause_reading()
        for seconds in (7, 3, 10.0):
            await followed.clock.end(seconds)
        assert (await followed.next()) == Closed(1006, "no answer to a ping within 3 s")


async def test_a_slow_loop_is_not_a_dead_connection(host: FakeHost) -> None:
    async with Followed(host.url, **PINGS) as followed:
        peer = await opened(followed, host)
        count = 1_000
        sending = asyncio.create_task(peer.send(*[f"{number}" for number in range(count)]))
        assert await followed.next() == Message("0")
        await followed.clock.end(7)
        await followed.clock.end(3)
        # It goes on to the next ping.
        await followed.clock.until(7)
        for number in range(1, count):
            assert await followed.next() == Message(f"{number}")
        await must(sending)


async def test_a_message_that_is_too_large_ends_it(host: FakeHost) -> None:
    async with Followed(host.url, message_bytes=100) as followed:
        peer = await opened(followed, host)
        await peer.send("x" * 101)
        assert (await followed.until(Ended)).code == 1009


# Sending.


async def test_a_message_that_cannot_go_out_is_an_error_not_a_loss(host: FakeHost) -> None:
    async with Followed(host.url) as followed:
        socket = followed.socket
        with pytest.raises(SendError) as refused:
            await socket.send("early")
        assert refused.value.reason == "not-open"
        peer = await opened(followed, host)
        await socket.send("now")
        await socket.send(b"\x00\xff")
        await socket.send_json({"a": "ä"})
        assert await peer.heard(3) == ["now", b"\x00\xff", '{"a":"ä"}']
        for wrong in (7, {"a": 1}, None):
            with pytest.raises(InvalidMessage):
                await socket.send(wrong)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="Out of range"):
            await socket.send_json(float("nan"))


async def test_a_queue_is_sent_after_the_loop_has_joined_once_and_in_order(host: FakeHost) -> None:
    async with Followed(host.url, queue_messages=3) as followed:
        socket = followed.socket
        await socket.send("one")
        await socket.send("two")
        peer = await opened(followed, host)
        # Another task does not come before the one that joins.
        await must(asyncio.create_task(socket.send("three")))
        await socket.send("join")
        with pytest.raises(SendError) as refused:
            await must(asyncio.create_task(socket.send("four")))
        assert refused.value.reason == "queue-full"
        asked = asyncio.create_task(followed.next())
        assert await peer.heard(4) == ["join", "one", "two", "three"]
        await socket.send("direct")
        assert await peer.heard(1) == ["direct"]
        peer.cut()
        assert (await must(asked)) == Closed(1006, "")
        await followed.again()
        peer = await opened(followed, host)
        await socket.send("join again")
        asked = asyncio.create_task(followed.next())
        await must(asyncio.create_task(socket.send("last")))
        assert await peer.heard(2) == ["join again", "last"], "nothing is sent twice"
        asked.cancel()


async def test_messages_that_still_wait_at_the_end_are_handed_back(host: FakeHost) -> None:
    async with Followed(host.url, queue_messages=5) as followed:
        await followed.socket.send("one")
        await followed.socket.send(b"two")
        await followed.socket.close()
        assert (await followed.until(Ended)).unsent == ("one", b"two")


async def test_a_loop_whose_events_another_task_takes_joins_first_too(host: FakeHost) -> None:
    async with Followed(host.url, queue_messages=3) as followed:
        await followed.socket.send("one")
        # On Python 3.11 `wait_for` makes a task that takes the event.
        assert isinstance(await asyncio.wait_for(anext(followed.socket), 20), Opened)
        await followed.socket.send("join")
        asked = asyncio.create_task(followed.next())
        assert await (await host.peer()).heard(2) == ["join", "one"]
        asked.cancel()


async def test_sends_of_several_tasks_go_out_whole_and_in_their_order(host: FakeHost) -> None:
    async with Followed(host.url) as followed:
        peer = await opened(followed, host)
        large = ["a" * 300_000, "b" * 300_000, "c" * 300_000]
        sends = [asyncio.create_task(followed.socket.send(data)) for data in large]
        peer.websocket.transport.resume_reading()
        assert await peer.heard(3) == large
        await must(asyncio.gather(*sends))


# Closing.


async def test_leaving_the_block_closes_with_1000(host: FakeHost) -> None:
    async with Followed(host.url) as followed:
        peer = await opened(followed, host)
    assert await peer.ended() == 1000
    assert followed.socket.state == "closed"
    assert await followed.next() == Closed(1000, "")
    assert await followed.next() == Ended(1000, "")


@pytest.mark.parametrize("state", ["connecting", "open", "waiting"])
async def test_it_can_be_closed_in_every_state(host: FakeHost, state: str) -> None:
    async with Followed(host.url) as followed:
        if state != "connecting":
            peer = await opened(followed, host)
        if state == "waiting":
            peer.cut()
            await followed.until(Reconnecting)
        assert followed.socket.state == state
        await must(followed.socket.close(4000, "bye"))
        assert await followed.until(Ended) == Ended(4000, "bye")
        await must(followed.socket.close())
        if state == "open":
            assert await peer.ended() == 4000


async def test_a_code_or_reason_that_may_not_be_sent_is_refused(host: FakeHost) -> None:
    async with Followed(host.url) as followed:
        for code in (0, 999, 1001, 1006, 2999, 5000):
            with pytest.raises(ConfigError, match="may not be sent"):
                await followed.socket.close(code)
        with pytest.raises(ConfigError, match="123 bytes"):
            await followed.socket.close(1000, "ä" * 62)
        assert followed.socket.state == "connecting"


async def test_a_loop_that_is_slow_makes_the_host_wait_and_can_be_left(host: FakeHost) -> None:
    async with Followed(host.url) as followed:
        peer = await opened(followed, host)
        stuck = asyncio.create_task(peer.send(*["x" * 60_000] * 1_000))
        await must(followed.next())
        assert not stuck.done()
        await must(followed.socket.close())
        assert await peer.ended() == 1000
        await asyncio.gather(stuck, return_exceptions=True)


async def test_cancelling_close_ends_the_connection_at_once(host: FakeHost) -> None:
    async with Followed(host.url, close_timeout=1e6) as followed:
        peer = await opened(followed, host)
        peer.websocket.transport.pause_reading()
        closing = asyncio.create_task(followed.socket.close(4000))
        assert await followed.next() == Closed(4000, "")
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await must(closing)
        assert await followed.next() == Ended(4000, "")


async def test_cancelling_the_loop_loses_no_event(host: FakeHost) -> None:
    async with Followed(host.url) as followed:
        peer = await opened(followed, host)
        waiting = asyncio.create_task(followed.next())
        await peer.send("one")
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        got = [] if waiting.cancelled() else [waiting.result()]
        await peer.send("two")
        while len(got) < 2:
            got.append(await followed.next())
        assert got == [Message("one"), Message("two")]


async def test_every_loop_ends(host: FakeHost) -> None:
    async with Followed(host.url) as followed:
        await opened(followed, host)
        loops = [asyncio.create_task(followed.until(Ended)) for _ in range(3)]
        await followed.socket.close()
        done = await must(asyncio.gather(*loops, return_exceptions=True))
        assert sum(isinstance(it, Ended) for it in done) == 1


async def test_a_socket_is_entered_once(host: FakeHost) -> None:
    socket = Socket(host.url, proxy=None)
    for use in (lambda: anext(socket), socket.close):
        with pytest.raises(RuntimeError, match="async with"):
            await use()  # type: ignore[no-untyped-call]
    async with socket:
        with pytest.raises(RuntimeError, match="once"):
            await socket.__aenter__()


# Tokens.


def source(*answers: Any) -> tuple[list[bool], Callable[..., Any]]:
    """A source of tokens that notes how it was asked, and gives the last answer again and again."""
    asked: list[bool] = []
    left = list(answers)

    async def token(*, fresh: bool) -> Any:
        asked.append(fresh)
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return asked, token


async def test_at_4401_it_comes_back_with_a_fresh_token(host: FakeHost) -> None:
    asked, token = source("one", "two")
    async with Followed(host.url, token=token, protocols=["chat"]) as followed:
        peer = await opened(followed, host)
        assert peer.offered == ["chat", "tidegate.token.one"]
        assert followed.socket.protocol == "chat"
        await peer.close(4401, "the token has expired")
        event = await followed.again()
        assert (event.code, event.delay) == (4401, 0.5)
        assert (await opened(followed, host)).offered == ["chat", "tidegate.token.two"]
        assert asked == [False, True]


async def test_a_fresh_token_is_asked_for_after_401_and_not_after_other_ends(
    host: FakeHost,
) -> None:
    asked, token = source("a")
    host.statuses = [HTTPStatus.UNAUTHORIZED, HTTPStatus.SERVICE_UNAVAILABLE]
    async with Followed(host.url, token=token) as followed:
        await followed.again()
        await followed.again()
        await (await opened(followed, host)).close(1001)
        await followed.again()
        await opened(followed, host)
    assert asked == [False, True, False, False]


async def test_a_source_that_fails_is_asked_for_a_fresh_token_until_it_gives_one(
    host: FakeHost,
) -> None:
    asked, token = source("one", ValueError("no network"), "two")
    async with Followed(host.url, token=token) as followed:
        await (await opened(followed, host)).close(4401)
        await followed.again()
        assert isinstance((await followed.until(Error)).error, ValueError)
        await followed.again()
        await opened(followed, host)
    assert asked == [False, True, True]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (ValueError("not signed in"), "not signed in"),
        ("two words", "a token is"),
        (7, "a token is"),
    ],
)
async def test_a_source_that_fails_is_an_error_and_a_failed_attempt(
    host: FakeHost, answer: Any, message: str
) -> None:
    async with Followed(host.url, token=source(answer, "good")[1]) as followed:
        error = await followed.next()
        assert isinstance(error, Error)
        assert message in str(error.error)
        event = await followed.again()
        assert (event.attempt, event.code, event.reason) == (1, 1006, "there is no token")
        await opened(followed, host)


async def test_a_source_may_be_a_plain_function_and_give_none(host: FakeHost) -> None:
    async with Followed(host.url, token=lambda fresh: None) as followed:
        assert (await opened(followed, host)).offered == []


async def test_a_source_that_takes_too_long_has_failed(host: FakeHost) -> None:
    async def token(*, fresh: bool) -> str:
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    async with Followed(host.url, token=token) as followed:
        await followed.clock.end(20.0)
        error = await followed.next()
        assert isinstance(error, Error) and isinstance(error.error, TimeoutError)


# Groups.


async def test_messages_are_unwrapped_and_the_next_connection_names_the_last_positions(
    host: FakeHost,
) -> None:
    async with Followed(f"{host.url}?room=a") as followed:
        peer = await opened(followed, host)
        here = {"tidegate": "message", "group": "m.a"}
        await peer.send(
            {"tidegate": "from", "group": "m.a", "position": "e-0", "complete": True},
            {**here, "position": "e-1", "text": '{"n":1}'},
            "plain",
            {"tidegate": "from", "group": "m.a", "position": "f-3", "complete": False},
            {**here, "position": "f-4", "base64": "/wA="},
            b"bytes",
        )
        first = await followed.next()
        assert first == Message('{"n":1}', "m.a", "e-1")
        assert isinstance(first, Message) and first.json() == {"n": 1}
        assert [await followed.next() for _ in range(4)] == [
            Message("plain"),
            Gap("m.a", "f-3"),
            Message(b"\xff\x00", "m.a", "f-4"),
            Message(b"bytes"),
        ]
        assert followed.socket.position("m.a") == "f-4"
        peer.cut()
        await followed.again()
        peer = await opened(followed, host)
        assert peer.url.startswith("/room?room=a&")
        assert peer.after == ["m.a:f-4"]
        followed.socket.forget("m.a")
        peer.cut()
        await followed.again()
        assert (await opened(followed, host)).after == []


async def test_a_collection_follows_its_group(host: FakeHost) -> None:
    async with Followed(host.url) as followed:
        people = followed.socket.presence("m.g")
        assert followed.socket.presence("m.g") is people
        peer = await opened(followed, host)
        frame = {"group": "m.g", "version": 1, "count": 1, "members": {"ada": {"n": 1}}}
        other = {"presence": {"group": "m.h", "version": 1, "count": 0}}
        await peer.send({"presence": frame}, other)
        assert await followed.next() == PresenceChanged("m.g", people, ("ada",), (), ())
        assert (dict(people.members), people.current) == ({"ada": {"n": 1}}, True)
        assert isinstance(await followed.next(), Message)
        peer.cut()
        await followed.until(Closed)
        assert not people.current
        await followed.again()
        peer = await opened(followed, host)
        assert not people.current
        anybody = followed.socket.presence()
        await peer.send(other)
        event = await followed.next()
        assert isinstance(event, PresenceChanged)
        assert (event.group, event.presence is anybody) == ("m.h", True)
    assert not anybody.current


# Resuming.


async def resumable(followed: Followed, host: FakeHost) -> Peer:
    """A connection that can be resumed, with the token `t1`."""
    peer = await opened(followed, host)
    await peer.connection(token="t1")
    # It has come when what follows it has.
    await peer.send("marker")
    assert await followed.next() == Message("marker")
    return peer


async def test_a_connection_that_was_lost_goes_on_where_it_stopped(host: FakeHost) -> None:
    async with Followed(host.url, resume=True, queue_messages=5) as followed:
        socket = followed.socket
        people = socket.presence("m.g")
        peer = await resumable(followed, host)
        assert peer.offered == ["tidegate", "tidegate.resume"]
        await peer.send(
            {"presence": {"group": "m.g", "version": 5, "count": 1, "members": {"ada": {}}}}
        )
        assert isinstance(await followed.next(), PresenceChanged)
        asked = asyncio.create_task(followed.next())
        await socket.send("read")
        await socket.send("unread")
        assert await peer.heard(2) == ["read", "unread"]
        peer.cut()
        assert isinstance(await must(asked), Closed)
        await socket.send("queued")
        await followed.again()
        peer = await host.peer()
        assert peer.offered == ["tidegate", "tidegate.resume.t1.2"]
        assert socket.state == "connecting"
        await peer.connection(resumed=True, received=1, token="t2")
        assert await followed.next() == Opened(resumed=True)
        assert people.current
        await socket.send("back")
        asked = asyncio.create_task(followed.next())
        assert await peer.heard(3) == ["unread", "back", "queued"]
        await peer.send("next")
        assert await must(asked) == Message("next")
        peer.cut()
        await followed.again()
        assert (await host.peer()).offered == ["tidegate", "tidegate.resume.t2.3"]


class Slow:
    """A WebSocket of the library whose buffer is full until the test empties it."""

    state = State.OPEN

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.is_empty = asyncio.Event()

    async def send(self, data: Any) -> None:
        self.sent.append(data)
        await self.is_empty.wait()


async def test_messages_of_before_come_before_all_others() -> None:
    slow: Any = Slow()
    connection = Connection(slow, Options(clock=HeldClock()), Resume(True, 100), Outgoing(0, 0))
    await connection.start(["one", "two"])
    back = asyncio.create_task(connection.send("back"))
    await asyncio.sleep(0)
    slow.is_empty.set()
    assert await must(back)
    assert slow.sent == ["one", "two", "back"]
    await connection.stop()


async def test_a_message_whose_turn_did_not_come_was_not_sent() -> None:
    slow: Any = Slow()
    connection = Connection(slow, Options(clock=HeldClock()), Resume(True, 100), Outgoing(0, 0))
    await connection.start([])
    first, second, third = (asyncio.create_task(connection.send(it)) for it in ("1", "2", "3"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    second.cancel()
    slow.state = State.CLOSED
    slow.is_empty.set()
    assert await must(first), "it may have arrived"
    assert not await must(third)
    assert slow.sent == ["1"]
    await connection.stop()


async def test_a_connection_that_ends_before_its_writer_began_keeps_nobody_waiting() -> None:
    slow: Any = Slow()
    connection = Connection(slow, Options(clock=HeldClock()), Resume(True, 100), Outgoing(0, 0))
    await connection.start(["one"])
    await connection.stop()
    slow.state = State.CLOSED
    assert not await must(connection.send("two"))
    assert slow.sent == []


async def test_a_connection_that_is_over_begins_anew(host: FakeHost) -> None:
    async with Followed(host.url, resume=True) as followed:
        peer = await resumable(followed, host)
        await followed.socket.send("lost")
        peer.cut()
        await followed.again()
        peer = await host.peer()
        assert peer.offered[-1] == "tidegate.resume.t1.1"
        await peer.connection(token="t2")
        assert await followed.next() == Opened(resumed=False)
        await followed.socket.send("new")
        assert await peer.heard(1) == ["new"]


async def test_an_older_host_begins_anew_and_its_first_message_comes_after_opened(
    host: FakeHost,
) -> None:
    async with Followed(host.url, resume=True) as followed:
        (await resumable(followed, host)).cut()
        await followed.again()
        peer = await host.peer()
        await peer.send("hello")
        assert [await followed.next() for _ in range(2)] == [
            Opened(resumed=False),
            Message("hello"),
        ]
        peer.cut()
        await followed.again()
        assert (await host.peer()).offered[-1] == "tidegate.resume"


async def test_a_host_that_says_nothing_has_not_resumed(host: FakeHost) -> None:
    async with Followed(host.url, resume=True) as followed:
        (await resumable(followed, host)).cut()
        await followed.again()
        silent = await host.peer()
        await followed.clock.end(20.0)
        event = await followed.again()
        assert (event.attempt, event.code) == (2, 1006)
        assert await silent.ended() == 1006
        assert (await host.peer()).offered[-1] == "tidegate.resume"


async def test_an_attempt_that_failed_keeps_the_token_and_a_drain_forgets_it(
    host: FakeHost,
) -> None:
    async with Followed(host.url, resume=True) as followed:
        (await resumable(followed, host)).cut()
        host.statuses = [HTTPStatus.SERVICE_UNAVAILABLE]
        await followed.again()
        await followed.again()
        peer = await host.peer()
        assert peer.offered[-1] == "tidegate.resume.t1.1"
        await peer.connection(resumed=True, token="t2")
        assert await followed.next() == Opened(resumed=True)
        await peer.close(1001)
        await followed.again()
        assert (await host.peer()).offered[-1] == "tidegate.resume"


async def test_an_attempt_that_the_host_closes_before_its_first_frame_obeys_the_code(
    host: FakeHost,
) -> None:
    async with Followed(host.url, resume=True) as followed:
        (await resumable(followed, host)).cut()
        await followed.again()
        await (await host.peer()).close(1013)
        event = await followed.again()
        assert (event.attempt, event.code, event.delay) == (2, 1013, 6.0)
        assert (await host.peer()).offered[-1] == "tidegate.resume"


async def test_an_expired_user_comes_back_to_the_same_connection(host: FakeHost) -> None:
    async with Followed(host.url, resume=True, token=source("a", "b")[1]) as followed:
        peer = await resumable(followed, host)
        assert peer.offered == ["tidegate", "tidegate.token.a", "tidegate.resume"]
        await peer.close(4401)
        await followed.again()
        peer = await host.peer()
        assert peer.offered == ["tidegate", "tidegate.token.b", "tidegate.resume.t1.1"]


async def test_messages_that_were_not_kept_are_an_error_after_opened(host: FakeHost) -> None:
    async with Followed(host.url, resume=True, queue_bytes=4) as followed:
        peer = await resumable(followed, host)
        for data in ("1", "22", "333"):
            await followed.socket.send(data)
        peer.cut()
        await followed.again()
        peer = await host.peer()
        await peer.connection(resumed=True, token="t2")
        assert await followed.next() == Opened(resumed=True)
        event = await followed.next()
        assert isinstance(event, Error) and isinstance(event.error, SendError)
        assert (event.error.reason, str(event.error)[:10]) == ("lost", "2 messages")
        assert await peer.heard(1) == ["333"]


async def test_closing_while_the_host_has_not_said_whether_it_resumes_ends_it(
    host: FakeHost,
) -> None:
    async with Followed(host.url, resume=True) as followed:
        (await resumable(followed, host)).cut()
        await followed.again()
        await host.peer()
        await must(followed.socket.close(4000, "bye"))
        assert await followed.next() == Ended(4000, "bye")


class Instant:
    """A clock whose sleeps are over at once."""

    def now(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


class ResumingHost:
    """Sends numbers to its client, reads numbers, and cuts the connection at moments that are drawn."""

    def __init__(self, host: FakeHost, seed: int, count: int) -> None:
        self._host = host
        self._random = random.Random(seed)
        self._count = count
        self._sent = 0
        self.read: list[str] = []
        self.cuts = 0

    async def run(self) -> None:
        """Serves one connection over many WebSockets."""
        while True:
            peer = await self._host.peer()
            entry = peer.offered[-1].split(".")
            first = 0 if len(entry) == 2 else int(entry[3])
            assert len(entry) == 2 or entry[2] == f"t{self.cuts}", "the client has the latest token"
            self.cuts += 1
            with contextlib.suppress(ConnectionClosed):
                await peer.connection(len(entry) > 2, len(self.read), f"t{self.cuts}")
                await self._talk(peer, first)

    async def _talk(self, peer: Peer, first: int) -> None:
        for number in range(first, self._sent):
            await peer.send(str(number))
        reading = asyncio.create_task(self._read(peer, self._random.randrange(30)))
        for _ in range(self._random.randrange(1, 30)):
            if self._sent < self._count:
                await peer.send(str(self._sent))
                self._sent += 1
            await asyncio.sleep(0)
        await reading
        # The client has all of it as soon as it answers. It has sent more, which nobody has read.
        await (await peer.websocket.ping())
        if self._sent == len(self.read) == self._count:
            await peer.send("done")
            await peer.websocket.wait_closed()
        peer.cut()

    async def _read(self, peer: Peer, most: int) -> None:
        while most > 0 and len(self.read) < self._count:
            self.read.append(str(await peer.websocket.recv()))
            most -= 1


@pytest.mark.parametrize("seed", range(20))
async def test_after_many_cuts_each_message_has_arrived_once_and_in_order(
    host: FakeHost, seed: int
) -> None:
    count = 300
    expected = [str(number) for number in range(count)]
    resuming = ResumingHost(host, seed, count)
    serving = asyncio.create_task(resuming.run())
    options: dict[str, Any] = {"queue_messages": count, "queue_bytes": 10**6, "open_timeout": None}
    socket = Socket(host.url, resume=True, clock=Instant(), proxy=None, **options)

    async def talk() -> None:
        for number in expected:
            await socket.send(number)
            await asyncio.sleep(0)

    heard: list[Any] = []
    talking: asyncio.Task[None] | None = None
    async with asyncio.timeout(60), socket:
        async for event in socket:
            match event:
                case Opened(resumed):
                    assert resumed == (talking is not None)
                    talking = talking or asyncio.create_task(talk())
                case Message("done"):
                    break
                case Message(data):
                    heard.append(data)
                case Error(error):
                    raise error
                case _:
                    pass
    assert heard == resuming.read == expected
    assert resuming.cuts > 5
    serving.cancel()
