"""Requests to servers outside that a run waits for, which a test answers."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate_sdk import Context, FetchFailed, Json, channel, export, http
from tidegate_sdk.testing import TestHost

RATES = "https://rates.example.com/eur"


@http("GET /rate")
def rate(cx: Context) -> list[Any]:
    try:
        answer = cx.fetch_now("GET", RATES, headers={"X-Mine": "yes"})
    except FetchFailed as failed:
        return [failed.reason, failed.message]
    return [answer.status, answer.text(), answer.header("X-Age")]


@http("POST /ask")
def ask(cx: Context, options: Json[dict[str, Any]]) -> str:
    try:
        return cx.fetch_now(**options).text()
    except (FetchFailed, TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


@channel("shop.count")
def count(cx: Context) -> None:
    cx.store.set("count", cx.store.counter("count") + 1)
    cx.fetch_now("GET", RATES)


def shop() -> TestHost:
    return TestHost(export(rate, ask, count), "shop", reaching=["*.example.com"])


def test_a_run_gets_the_answer_that_the_test_has_prepared_whatever_its_status() -> None:
    host = shop()
    host.answers(f"GET {RATES}", 200, "1.08", {"X-Age": "7"})
    host.answers(f"GET {RATES}", 503, "busy")
    host.fails(f"GET {RATES}", "timeout")
    assert host.get("/rate").json() == [200, "1.08", "7"]
    assert host.get("/rate").json() == [503, "busy", None]
    assert host.get("/rate").json() == ["timeout", "as the test says"]


def test_a_request_that_the_test_has_not_prepared_fails_the_run_and_says_how_to() -> None:
    host = shop()
    assert host.get("/rate").status == 500
    assert f"say host.answers('GET {RATES}', 200, ...) before" in host.faults[0].text


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"url": "https://example.com/"}, "FetchFailed: refused: no entry of the grants names the host"),
        ({"url": "https://example.com/"}, 'add "https://example.com" to modules.shop.grants.http'),
        ({"url": "nowhere"}, "FetchFailed: invalid: the URL is not valid"),
        (
            {"url": RATES, "headers": {"host": "a"}},
            "FetchFailed: invalid: the header field host is written by the host",
        ),
        ({"url": RATES, "body": "a", "json": 1}, "TypeError: a request has one body: give `body` or `json`"),
        ({"url": RATES, "timeout": -1}, "ValueError: timeout has to be from 0"),
        ({"url": 7}, "TypeError: the URL of a request has to be str, not int"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_fix(options: dict[str, Any], text: str) -> None:
    response = shop().request("POST", "/ask", json={"method": "GET"} | options)
    assert text in response.text


def test_a_run_that_has_made_a_request_is_not_done_again_when_its_data_has_changed() -> None:
    host = shop()
    host.data.set("count", 1)
    host.answers(f"GET {RATES}", 200)
    host.conflict_once("count")
    host.send("shop.count", {})
    assert len(host.faults) == 1
    assert host.data.get("count") == 1
