"""The examples pass the cases of their Rust versions, natively."""

from __future__ import annotations

import doctest
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from examples import ALL, Example

from tidegate_sdk import Socket, export, websocket
from tidegate_sdk.testing import TestHost
from tidegate_sdk.testing.cases import CaseError, Cases, TestHostDriver
from tidegate_sdk.testing.clients import TestResponse


@pytest.mark.parametrize("example", ALL, ids=lambda it: it.name)
def test_cases_hold_natively(example: Example) -> None:
    host = TestHost(example.load().Consumer, example.name, granted_sessions=True)
    for file in example.cases:
        Cases(file).run(TestHostDriver(host))
    assert [fault for fault in host.faults if "ValueError: boom" not in fault.text] == []
    assert host.drops == []


def test_a_client_of_a_case_waits_for_what_comes_later(tmp_path: Path) -> None:
    @websocket("/room")
    class Room:
        def connect(self, socket: Socket[None]) -> None:
            socket.send_later(socket.reply_channel or "", "at last", delay=29.5)

    steps: list[dict[str, str]] = [{"open": "a", "path": "/room"}, {"receive": "a", "text": "at last"}]
    file = tmp_path / "cases.json"
    file.write_text(json.dumps([{"name": "later", "steps": steps}]))
    Cases(file).run(TestHostDriver(TestHost(export(Room))))
    file.write_text(json.dumps([{"name": "never", "steps": [*steps, {"receive": "a", "text": "more"}]}]))
    with pytest.raises(CaseError, match='case "never", step 3: nothing comes'):
        Cases(file).run(TestHostDriver(TestHost(export(Room))))


def test_primes_are_counted() -> None:
    import primes

    assert doctest.testmod(primes).failed == 0
    parts = [primes.within(start, start + 1000) for start in range(0, 10_000, 1000)]
    assert sum(parts) == 1229


def auction() -> TestHost:
    """A host with an item that takes bids for a minute: 100, then 10 more each."""
    example = next(it for it in ALL if it.name == "auction")
    host = TestHost(example.load().Consumer, "auction", at=datetime(2026, 1, 1, tzinfo=UTC))
    wish = {"title": "Lamp", "start": 100, "step": 10, "minutes": 1}
    assert host.request("POST", "/auction/items", json=wish).status == 201
    return host


def bid(host: TestHost, name: str, amount: int) -> int:
    return host.request("POST", "/auction/items/00000001/bids", json={"name": name, "amount": amount}).status


def shown(host: TestHost) -> dict[str, Any]:
    (item,) = host.get("/auction/items").json()
    return {key: item[key] for key in ("price", "best", "bids", "least", "closed")}


def test_a_bid_is_compared_with_one_that_came_after_it_was_read() -> None:
    host = auction()
    assert bid(host, "Ada", 100) == 201

    def another() -> None:
        item = host.data.get("item:00000001")
        host.data.set("item:00000001", item | {"best": {"name": "Eve", "amount": 150}, "bids": 2})

    host.before_commit(another)
    assert bid(host, "Bob", 110) == 409
    assert shown(host) == {"price": 150, "best": "Eve", "bids": 2, "least": 160, "closed": False}
    host.conflict_once("item:00000001")
    assert bid(host, "Bob", 160) == 201
    # An attempt that was thrown away sends nothing.
    assert len(host.group_messages("watchers")) == 3
    assert [it["amount"] for it in host.get("/auction/items/00000001/bids").json()] == [100, 160]


def test_bids_end_by_the_stored_time_and_watchers_are_told_who_has_won() -> None:
    host = auction()
    host.advance(59)
    assert bid(host, "Ada", 100) == 201
    assert bid(host, " ", 200) == 422
    told = len(host.group_messages("watchers"))
    # The bid has moved the end, and the timer with it.
    host.advance(29)
    assert shown(host)["closed"] is False
    host.advance(1)
    assert bid(host, "Bob", 500) == 409
    assert shown(host) == {"price": 100, "best": "Ada", "bids": 1, "least": 110, "closed": True}
    assert len(host.group_messages("watchers")) == told + 1


def test_each_night_the_sales_since_the_last_one_are_summed_up() -> None:
    host = auction()
    assert bid(host, "Ada", 100) == 201
    host.advance(60)
    host.fire("sum_up")
    host.advance(24 * 3600)
    host.fire("sum_up")
    first, second = host.get("/auction/nights").json()
    assert (first["sold"], first["paid"], second["sold"], second["paid"]) == (1, 100, 0, 0)
    assert second["until"] - first["until"] == 24 * 3600 * 1000


def account(monkeypatch: pytest.MonkeyPatch) -> TestHost:
    """A host with accounts whose passwords are hashed in no time."""
    example = next(it for it in ALL if it.name == "account")
    app = example.load()
    import password

    monkeypatch.setattr(password, "ROUNDS", 2)
    monkeypatch.setattr(app, "hashed", lambda text: password.hashed(text, rounds=2))
    monkeypatch.setattr(password, "OF_NOBODY", password.OF_NOBODY.replace("$210000$", "$2$"))
    return TestHost(app.Consumer, "account", granted_sessions=True)


def submit(host: TestHost, path: str, body: str, cookies: dict[str, str] | None = None) -> TestResponse:
    form = {"content-type": "application/x-www-form-urlencoded"}
    return host.request("POST", f"/account/{path}", body=body, headers=form, cookies=cookies)


def me(host: TestHost, cookies: dict[str, str]) -> Any:
    return host.get("/account/me", cookies=cookies).json()


def test_passwords_are_hashed_as_the_standard_says() -> None:
    import password

    assert doctest.testmod(password).failed == 0
    for text, salt, rounds in ((b"high tide", b"salt", 1), ("ä".encode() * 60, bytes(16), 1000)):
        assert password.pbkdf2(text, salt, rounds) == hashlib.pbkdf2_hmac("sha512", text, salt, rounds)
    known = password.hashed("high tide")
    assert known.startswith("pbkdf2-sha512$210000$")
    assert len(known) == len(password.OF_NOBODY)
    for wrong in ("", "low tide", "high tide ", "high tide" * 100):
        assert not password.is_right(wrong, password.hashed("high tide", rounds=2))
    assert not password.is_right("high tide", password.hashed("high tide", rounds=2) + "00")


def test_a_user_sees_the_browsers_and_signs_the_others_out(monkeypatch: pytest.MonkeyPatch) -> None:
    host = account(monkeypatch)
    first = submit(host, "register", "name=ada&password=high+tide").cookies
    second = submit(host, "login", "name=ada&password=high+tide").cookies
    bob = submit(host, "register", "name=bob&password=low+tide+").cookies
    assert me(host, first)["name"] == "ada"
    sessions = me(host, first)["sessions"]
    assert [it["own"] for it in sessions].count(True) == 1
    assert len(sessions) == 2
    tab = host.websocket("/account/tabs", cookies=second)
    tab.expect_json({"type": "roll"})
    # By the id of a session of hers bob ends nothing.
    assert submit(host, "end", f"id={sessions[0]['id']}", bob).header("location") == "/account"
    assert submit(host, "end", "id=none", bob).header("location") == "/account?problem=session"
    assert me(host, second)["name"] == "ada"
    assert submit(host, "end-others", "", first).status == 303
    assert me(host, second)["name"] is None
    tab.expect_close(4401)
    assert len(me(host, first)["sessions"]) == 1
    assert submit(host, "logout", "", first).status == 303
    assert me(host, first) == {"name": None, "sessions": []}
    assert host.faults == []


def test_pages_of_one_user_know_each_other_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    host = account(monkeypatch)
    ada, bob = (submit(host, "register", f"name={name}&password=high+tide").cookies for name in ("ada", "bob"))
    first, other = host.websocket("/account/tabs", cookies=ada), host.websocket("/account/tabs", cookies=bob)
    second = host.websocket("/account/tabs", cookies=ada)
    for socket, rolls in ((first, 2), (second, 1), (other, 1)):
        for _ in range(rolls):
            socket.expect_json({"type": "roll"})
    second.send("two")
    first.expect_json({"type": "here", "tab": "two"})
    other.expect_nothing()
    first.send("x" * 65)
    first.expect_close(4000)


def test_guesses_are_bounded_by_name_and_right_ones_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    host = account(monkeypatch)
    submit(host, "register", "name=ada&password=high+tide")

    def guess(password: str) -> str | None:
        return submit(host, "login", f"name=ada&password={password}").header("location")

    assert [guess("wrong+tide") for _ in range(5)] == ["/account?problem=wrong"] * 5
    assert guess("high+tide") == "/account"
    assert [guess("wrong+tide") for _ in range(10)] == ["/account?problem=wrong"] * 10
    assert guess("high+tide") == "/account?problem=tries"
    host.advance(15 * 60)
    assert guess("high+tide") == "/account"
