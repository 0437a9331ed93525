"""State that outlives a new version, and the values of the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from tidegate_sdk import (
    Context,
    InvalidCall,
    NewerSchema,
    Socket,
    UnreadableValue,
    export,
    http,
    websocket,
)
from tidegate_sdk.state import StateType
from tidegate_sdk.testing import TestHost


@dataclass
class Old:
    first: str = "Ada"
    last: str = "Lovelace"


@dataclass
class New:
    SCHEMA: ClassVar[int] = 2
    name: str = ""

    @classmethod
    def migrate(cls, schema: int, old: Any) -> New:
        return cls(f"{old['first']} {old['last']} ({schema})")


@dataclass
class Newest:
    SCHEMA: ClassVar[int] = 3
    name: str = ""


def chat(state: type) -> Any:
    @websocket("/")
    class Chat:
        State = state

        def receive(self, socket: Socket[Any], text: str) -> None:
            if text == "keep":
                socket.state = state(*[text] if state is Old else [])
            socket.send(str(socket.state))

    return export(Chat)


def test_state_is_migrated_and_one_that_cannot_be_read_closes() -> None:
    host = TestHost(chat(Old))
    socket = host.websocket("/")
    socket.send("keep")
    assert socket.receive() == "Old(first='keep', last='Lovelace')"
    host.replace(chat(New))
    socket.send("x")
    assert socket.receive() == "New(name='keep Lovelace (1)')"
    host.replace(chat(Newest))
    socket.send("x")
    socket.expect_close(1012)
    assert host.faults[-1].text == (
        "state is unreadable: it has schema 2, and this version reads schema 3. Write `migrate` for `Newest`"
    )


def test_state_is_written_as_all_sdks_write_it() -> None:
    # The bytes that `write` in guest-sdk/src/state.rs makes of a struct with these fields.
    expected = b"\x82\xa6schema\xce\x00\x00\x00\x01\xa5state\x82\xa5first\xa1a\xa4last\xa1b"
    kind = StateType(Old, "Old")
    assert kind.dump(Old("a", "b")) == expected
    assert kind.load(expected) == Old("a", "b")


@pytest.mark.parametrize("kept", [b"", b"{}", b"\x82\xa6schema\xce\x00\x00\x00\x01\xa5state\xc1"])
def test_state_of_something_else_is_unreadable(kept: bytes) -> None:
    from tidegate_sdk import StateUnreadable

    with pytest.raises(StateUnreadable, match="state is unreadable"):
        StateType(Old, "Old").load(kept)


def run(host: TestHost) -> str:
    response = host.request("POST", "/")
    return response.text if response.status == 200 else host.faults[-1].text


def stored(work: Any) -> TestHost:
    @http("POST /")
    def consumer(cx: Context) -> str:
        return str(work(cx))

    return TestHost(export(consumer))


def test_values_of_the_store_are_migrated() -> None:
    host = stored(lambda cx: cx.store.get("k", New))
    host.data.set("k", Old())
    assert run(host) == "New(name='Ada Lovelace (0)')"
    host.data.set("k", Newest("x"))
    assert run(host).startswith('NewerSchema: newer-schema: "k" has schema 3')
    host.data.set("k", [1, 2])
    assert run(host).startswith('UnreadableValue: "k": ')
    assert issubclass(NewerSchema, Exception) and issubclass(UnreadableValue, Exception)


@pytest.mark.parametrize(
    ("work", "text"),
    [
        (lambda cx: cx.store.get(""), "InvalidCall: a key has at least 1 byte"),
        (lambda cx: cx.store.set("k" * 513, 1), "InvalidCall: a key has at most 512 bytes; this one has 513"),
        (lambda cx: cx.store.set_bytes("k", b"x" * 262145), "InvalidCall: a value has at most 262144 bytes"),
        (lambda cx: cx.store.set("k", 1, time_to_live=0), "InvalidCall: a time to live is 1 to"),
        (lambda cx: cx.store.set("k", object()), 'InvalidCall: "k" cannot be written'),
        (lambda cx: cx.store.get_many("abc"), "TypeError: keys are a list of texts"),
        (lambda cx: cx.store.add("k", 2**63), "ValueError: delta has to be from"),
        (lambda cx: cx.store.of("other").get("k"), "ForbiddenKeys: the keys of other belong to another module"),
        (lambda cx: (cx.store.set("t", "x"), cx.store.add("t")), 'InvalidCall: "t" is not an integer'),
    ],
)
def test_calls_that_the_store_refuses(work: Any, text: str) -> None:
    assert run(stored(work)).startswith(text)


def test_a_fault_takes_back_what_was_written_and_a_flush_keeps_it() -> None:
    def work(cx: Context) -> None:
        cx.store.set("kept", "x")
        cx.flush()
        cx.store.set("dropped", "x")
        raise ValueError("no")

    host = stored(work)
    run(host)
    assert host.data.keys == ["kept"]


def test_a_run_sees_its_own_writes_and_expired_keys_are_gone() -> None:
    def work(cx: Context) -> Any:
        cx.store.set("a:2", "new", time_to_live=1)
        cx.store.delete("a:3")
        cx.store.add("a:1", 5)
        return list(cx.store.list("a:")), cx.store.counter("a:1"), cx.store.get("a:3")

    host = stored(work)
    host.data.set("a:1", 1)
    host.data.set("a:3", "old")
    assert run(host) == "([('a:1', 6), ('a:2', 'new')], 6, None)"
    assert host.data.keys == ["a:1", "a:2"]
    host.advance(1)
    assert host.data.keys == ["a:1"]


def test_a_run_writes_a_limited_number_of_keys_and_timers() -> None:
    def work(cx: Context) -> None:
        for number in range(4097):
            cx.store.add(f"n:{number}")

    assert run(stored(work)).startswith("InvalidCall: a run writes at most 4096 keys and timers")


def test_a_listing_goes_on_over_pages() -> None:
    host = stored(lambda cx: sum(count for _, count in cx.store.list("n:", int)))
    for number in range(250):
        host.data.set(f"n:{number:03}", number)
    assert run(host) == str(sum(range(250)))


def test_a_run_whose_reads_have_changed_is_done_again() -> None:
    runs: list[int] = []

    def work(cx: Context) -> int:
        runs.append(cx.store.counter("n"))
        cx.store.set("n", runs[-1] + 1)
        return runs[-1]

    host = stored(work)
    host.before_commit(lambda: host.data.set("n", 10))
    assert run(host) == "10"
    assert runs == [0, 10]
    assert host.data.counter("n") == 11
    for _ in range(10):
        host.conflict_once("n")
    assert run(host).startswith('the key "n" changed while the run used it, each time that it was tried')
    assert issubclass(InvalidCall, Exception)
