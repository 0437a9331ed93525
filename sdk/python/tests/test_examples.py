"""The examples pass the cases of their Rust versions, natively."""

from __future__ import annotations

import doctest
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from examples import ALL, Example

from tidegate_sdk import Socket, export, websocket
from tidegate_sdk.testing import TestHost
from tidegate_sdk.testing.cases import CaseError, Cases, TestHostDriver


@pytest.mark.parametrize("example", ALL, ids=lambda it: it.name)
def test_cases_hold_natively(example: Example) -> None:
    host = TestHost(example.load().Consumer, example.name)
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
