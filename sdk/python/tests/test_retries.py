"""Channels with retries: messages that come again, and what they keep."""

from __future__ import annotations

from tidegate_sdk import Context, Socket, channel, export, http, websocket
from tidegate_sdk.testing import TestHost


@channel("shop.charge", retries=2)
def charge(cx: Context, message: dict[str, str]) -> None:
    cx.info(f"{message['name']} {cx.message_id} {cx.attempt}")
    if message["name"] == "never" or cx.attempt < 3:
        raise TimeoutError("busy")


@channel("shop.charge.dead")
def dead(cx: Context, message: dict[str, str]) -> None:
    cx.info(f"dead {cx.message_id} {cx.attempt}")


@channel("shop.note")
def note(cx: Context) -> None:
    cx.info(f"note {cx.message_id} {cx.attempt}")
    raise ValueError("lost")


@http("GET /facts")
def facts(cx: Context) -> str:
    return f"{cx.message_id} {cx.attempt}"


@websocket("/facts")
class Facts:
    def receive(self, socket: Socket[None], text: str) -> None:
        socket.send(f"{socket.message_id} {socket.attempt}")


ALL = export(charge, dead, note, facts, Facts)


def told(host: TestHost) -> list[tuple[str, str, int]]:
    lines = [line.text.split(" ") for line in host.logs if line.level == "info"]
    return [(name, identity, int(attempt)) for name, identity, attempt in lines]


def test_a_message_comes_again_after_a_pause_that_doubles_and_keeps_its_id() -> None:
    host = TestHost(ALL)
    host.send("shop.charge", {"name": "late"})
    [(_, identity, _)] = told(host)
    assert len(identity) == 32
    host.advance(0.999)
    assert len(told(host)) == 1
    host.advance(0.001)
    host.advance(1.999)
    assert len(told(host)) == 2
    host.advance(3600)
    assert told(host) == [("late", identity, 1), ("late", identity, 2), ("late", identity, 3)]
    assert len(host.messages("shop.charge")) == 1
    assert host.messages("shop.charge.dead") == []
    assert len(host.faults) == 2


def test_what_cannot_be_done_goes_to_the_dead_letters_with_its_id() -> None:
    host = TestHost(ALL)
    host.send("shop.charge", {"name": "never"})
    host.send("shop.charge", {"name": "late"})
    host.advance(3600)
    never = [(name, identity, attempt) for name, identity, attempt in told(host) if name != "late"]
    identity = never[0][1]
    assert never == [("never", identity, 1), ("never", identity, 2), ("never", identity, 3), ("dead", identity, 1)]
    assert host.messages("shop.charge.dead")[0].read() == {"name": "never"}
    assert identity != next(it for name, it, _ in told(host) if name == "late")


def test_a_message_without_retries_is_lost_and_an_event_of_a_connection_is_no_message() -> None:
    host = TestHost(ALL)
    host.send("shop.note", {})
    host.advance(3600)
    [(_, identity, attempt)] = told(host)
    assert (len(identity), attempt) == (32, 1)
    assert host.get("/facts").text == "None 1"
    socket = host.websocket("/facts")
    socket.send("which?")
    socket.expect_text("None 1")


def test_a_run_that_is_done_again_for_its_data_is_the_same_attempt() -> None:
    @channel("counts", retries=5)
    def count(cx: Context) -> None:
        seen.append((cx.message_id, cx.attempt))
        cx.store.set("count", cx.store.counter("count") + 1)

    seen: list[tuple[str | None, int]] = []
    host = TestHost(export(count))
    host.data.set("count", 1)
    host.conflict_once("count")
    host.send("counts", {})
    assert seen == [seen[0], seen[0]]
    assert seen[0][1] == 1
    assert host.faults == []
