"""Requests to servers outside, which a test plays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from tidegate_sdk import (
    Answer,
    Context,
    Fetched,
    FetchError,
    FetchFailure,
    ForbiddenFetch,
    InvalidFetch,
    Unreadable,
    channel,
    export,
    http,
)
from tidegate_sdk.codec.readers import reader
from tidegate_sdk.testing import TestHost

CHARGES = "https://pay.example.com/charges"
ASKED = f"POST {CHARGES}"


@dataclass
class Order:
    id: int
    cents: int = 0


@http("POST /orders/{id}/{cents}")
def order(cx: Context, id: int, cents: int) -> str:
    order = Order(id, cents)
    cx.fetch(
        "POST", CHARGES, json=order, then="shop.charged", value=order, retries=2, idempotency_key=f"order-{id}"
    )  # fmt: skip
    cx.store.add("orders")
    return "we will see\n"


@channel("shop.charged", retries=5)
def charged(cx: Context, fetched: Fetched[Order]) -> None:
    told = str(fetched.failure or (fetched.answer and f"{fetched.answer.status} {fetched.answer.text()}"))
    cx.info(f"{fetched.value.id}, attempt {fetched.attempts}: {told}")


Consumer = export(order, charged)


def shop() -> TestHost:
    return TestHost(Consumer, "shop", reaching=["*.example.com"])


def lines(host: TestHost) -> list[str]:
    return [line.text for line in host.logs]


def test_the_answer_comes_as_a_message_with_the_value_of_the_request() -> None:
    host = shop()
    assert host.request("POST", "/orders/7/250").status == 200
    assert host.fetches == [ASKED]
    asked = host.fetch(ASKED)
    assert asked.json() == {"id": 7, "cents": 250}
    assert asked.headers == [("idempotency-key", "order-7"), ("content-type", "application/json")]
    assert (asked.header("Idempotency-Key"), asked.header("x-none")) == ("order-7", None)
    asked.answer(201, "done")
    assert lines(host) == ["7, attempt 1: 201 done"]
    assert (host.fetches, host.faults) == ([], [])
    assert host.messages("shop.charged")[0].read(Fetched[Order]) == Fetched(
        Order(7, 250), 1, answer=Answer(201, (), b"done")
    )


def test_requests_wait_in_their_order_until_they_are_answered() -> None:
    host = shop()
    for id in (1, 2):
        host.request("POST", f"/orders/{id}/5")
    assert host.fetch(ASKED).header("idempotency-key") == "order-1"
    first = host.fetch(ASKED)
    first.answer(200)
    with pytest.raises(AssertionError, match=f"{ASKED} is concluded already: ask for the next one with `fetch`"):
        first.answer(200)
    assert host.fetch(ASKED).header("idempotency-key") == "order-2"
    with pytest.raises(AssertionError, match=r"no request 'GET /' waits; these do: \['POST https://pay"):
        host.fetch("GET /")


def test_a_request_with_retries_waits_again_while_the_server_is_busy() -> None:
    host = shop()
    host.request("POST", "/orders/7/5")
    host.fetch(ASKED).answer(503)
    host.fetch(ASKED).fail("timeout")
    assert lines(host) == []
    host.fetch(ASKED).answer(429, "too often")
    assert lines(host) == ["7, attempt 3: 429 too often"]
    host.request("POST", "/orders/8/5")
    host.fetch(ASKED).lose()
    host.fetch(ASKED).fail("tls")
    assert lines(host)[1:] == ["8, attempt 2: tls: as the test says"]
    assert host.fetches == []


def test_a_request_without_retries_has_one_result() -> None:
    @http("POST /{what}")
    def once(cx: Context, what: str) -> str:
        cx.fetch("GET", f"http://localhost:3000/{what}", then="done", value=Order(1))
        return ""

    @channel("done")
    def done(cx: Context, it: Fetched[Order]) -> None:
        cx.info(f"{it.answer.status if it.answer else it.failure}")

    host = TestHost(export(once, done), reaching=["localhost:3000"])
    for what in ("busy", "lost", "gone"):
        host.request("POST", f"/{what}")
    host.fetch("GET http://localhost:3000/busy").answer(503)
    host.fetch("GET http://localhost:3000/lost").lose()
    host.fetch("GET http://localhost:3000/gone").fail("connect")
    assert lines(host) == ["503", "unknown: the process that made the request ended", "connect: as the test says"]


def test_a_run_that_fails_makes_no_request_and_one_that_is_done_again_makes_one() -> None:
    @http("POST /fail")
    def fails(cx: Context) -> str:
        cx.fetch("GET", CHARGES, then="shop.charged")
        raise RuntimeError("no")

    @http("POST /flush")
    def flushes(cx: Context) -> str:
        cx.fetch("GET", CHARGES, then="shop.charged")
        cx.flush()
        raise RuntimeError("no")

    @http("POST /again")
    def again(cx: Context) -> str:
        cx.fetch("GET", f"{CHARGES}/{cx.store.counter('level')}", then="shop.charged")
        return ""

    host = TestHost(export(fails, flushes, again, charged), reaching=["pay.example.com"])
    assert host.request("POST", "/fail").status == 500
    assert host.fetches == []
    assert host.request("POST", "/flush").status == 500
    assert host.fetches == [f"GET {CHARGES}"]
    host.before_commit(lambda: host.data.set("level", 2))
    assert host.request("POST", "/again").status == 200
    assert host.fetches[1:] == [f"GET {CHARGES}/2"]


REFUSED: list[tuple[dict[str, Any], type[FetchError], str]] = [
    ({"url": "https://other.example/x?key=1"}, ForbiddenFetch, "no entry of the grants names the host of"),
    ({"url": "https://other.example/"}, ForbiddenFetch, 'add "https://other.example" to modules.shop.grants.http'),
    ({"url": "https://other.example/"}, ForbiddenFetch, 'in a test TestHost(..., reaching=["https://other.example"])'),
    ({"url": "https://pay.example.com:8443/"}, ForbiddenFetch, '"https://pay.example.com:8443"'),
    ({"url": "ftp://pay.example.com/"}, InvalidFetch, "the scheme of the URL is neither https nor http"),
    ({"url": "https://me:pw@pay.example.com/"}, InvalidFetch, "a user name or a password; take them out"),
    ({"url": "/charges"}, InvalidFetch, "the URL is not valid: it has no ://"),
    ({"url": "https:///charges"}, InvalidFetch, "the URL is not valid: it has no host"),
    ({"method": "CONNECT"}, InvalidFetch, '"CONNECT" is not a method of a request; use GET, POST'),
    ({"method": "post"}, InvalidFetch, '"post" is not a method of a request'),
    ({"retries": 11, "method": "GET"}, InvalidFetch, "a request is made again 10 times at most, not 11"),
    ({"retries": 1}, InvalidFetch, "a POST is not idempotent, so that a server may do it twice"),
    ({"retries": 1, "method": "PATCH"}, InvalidFetch, "give the header field idempotency-key with a value"),
    ({"timeout": 0}, InvalidFetch, "a timeout is at least 1 ms"),
    ({"headers": {"Host": "x"}}, InvalidFetch, "the header field host is written by the host; leave it out"),
    ({"headers": {"a b": "x"}}, InvalidFetch, 'the header field "a b" has a name or a value that HTTP does not'),
    ({"headers": [("a", "1\r\nb: 2")]}, InvalidFetch, 'the header field "a" has a name or a value'),
    ({"then": "other.work"}, ForbiddenFetch, 'declare a consumer of it, as @channel("other.work"), or let it be'),
    ({"then": "other.work"}, ForbiddenFetch, 'modules.shop.grants.channels = ["other.work"]'),
    ({"then": "http.request"}, ForbiddenFetch, "channel http.request is not declared by this module"),
    ({"then": "test!1"}, ForbiddenFetch, "test!1 is a reply channel: its connection may be over"),
    ({"then": ""}, InvalidFetch, "the result goes nowhere: name a channel, as in then="),
    ({"then": "a b"}, InvalidFetch, """name "a b": ' ' is not one of a-z A-Z 0-9 . _ -"""),
    ({"json": object()}, InvalidFetch, "the body cannot be written as JSON: a value of type `object`"),
    ({"value": object()}, InvalidFetch, "the value cannot be written: a value of type `object` cannot be written"),
    ({"value": {1: 2}}, InvalidFetch, "the value that comes back with the result: a map has a key that is not text"),
    ({"body": bytes(1_114_112)}, InvalidFetch, "a request has at most 1112064 bytes in all; this one has 11142"),
]


@pytest.mark.parametrize(("given", "kind", "text"), REFUSED)
def test_what_breaks_a_rule_is_refused_in_the_run_with_the_fix(
    given: dict[str, Any], kind: type[FetchError], text: str
) -> None:
    @http("POST /")
    def asks(cx: Context) -> str:
        options: dict[str, Any] = {"method": "POST", "url": CHARGES, "then": "shop.charged"}
        with pytest.raises(FetchError) as raised:
            cx.fetch(**options | given)
        assert type(raised.value) is kind
        return str(raised.value)

    host = TestHost(export(asks, charged), "shop", reaching=["pay.example.com"])
    assert text in host.request("POST", "/").text
    assert (host.fetches, host.faults) == ([], [])


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"method": None}, "TypeError: the method of a request has to be str, not NoneType"),
    ({"url": b"http://a"}, "TypeError: the URL of a request has to be str, not bytes: decode it"),
    ({"then": 7}, "TypeError: the channel of a result has to be str, not int"),
    ({"body": 7}, "TypeError: the body of a request has to be bytes, not int"),
    ({"body": "x", "json": {}}, "TypeError: a request has one body: give `body` or `json`"),
    ({"headers": {"x": 7}}, "TypeError: header x has to be bytes, not int"),
    ({"headers": "x: y"}, "TypeError: headers are a list of names and values"),
    ({"retries": -1}, "ValueError: retries has to be from 0 to 4294967295, and is -1"),
    ({"retries": True}, "TypeError: retries has to be int, not bool"),
    ({"idempotency_key": 7}, "TypeError: the idempotency key of a request has to be str, not int"),
    ({"timeout": "1s"}, "TypeError: timeout has to be seconds or a timedelta, not str"),
]


@pytest.mark.parametrize(("given", "text"), WRONG)
def test_a_wrong_type_is_an_exception_with_its_place(given: dict[str, Any], text: str) -> None:
    @http("POST /")
    def asks(cx: Context) -> str:
        options: dict[str, Any] = {"method": "POST", "url": CHARGES, "then": "shop.charged"}
        cx.fetch(**options | given)
        return ""

    host = TestHost(export(asks, charged), reaching=["pay.example.com"])
    assert host.request("POST", "/").status == 500
    assert host.faults[0].text.startswith(text)


def test_a_body_is_bytes_or_text_or_json_whose_type_a_header_field_may_say() -> None:
    @http("POST /")
    def asks(cx: Context) -> str:
        cx.fetch("PUT", f"{CHARGES}/1", then="shop.charged", body=b"\xff", timeout=0.25)
        cx.fetch("PUT", f"{CHARGES}/2", then="shop.charged", body="ä", timeout=timedelta(days=365))
        given = [("Content-Type", "application/vnd.api+json"), ("x", b"\xff")]
        cx.fetch("PUT", f"{CHARGES}/3", then="shop.charged", json=[1, "ä"], headers=given)
        cx.fetch("PUT", f"{CHARGES}/4", then="shop.charged")
        return ""

    host = TestHost(export(asks, charged), reaching=["https://pay.example.com"])
    assert host.request("POST", "/").status == 200
    asked = [host.fetch(name) for name in host.fetches]
    assert [it.body for it in asked] == [b"\xff", "ä".encode(), '[1,"ä"]'.encode(), b""]
    assert [it.header("content-type") for it in asked] == [None, None, "application/vnd.api+json", None]
    assert (asked[1].text, asked[2].header("x")) == ("ä", None)


def test_an_answer_reads_as_text_and_as_json() -> None:
    answer = Answer(200, (("x-a", b"1"), ("x-a", b"2"), ("x-b", b"\xff")), b'{"id": 7, "cents": "many"}')
    assert (answer.header("X-A"), answer.header("x-b"), answer.header("x-c")) == ("1", None, None)
    assert answer.json() == {"id": 7, "cents": "many"}
    with pytest.raises(Unreadable, match="cents: expected an integer, found the text 'many' at line 1 column 25"):
        answer.json(Order)
    assert Answer(200, (), b"a\xff").text() == "a\N{REPLACEMENT CHARACTER}"
    assert [Answer(status).is_success for status in (199, 200, 299, 300)] == [False, True, True, False]


def test_a_test_answers_with_header_fields_and_json() -> None:
    @channel("shop.charged")
    def reads(cx: Context, fetched: Fetched[Any]) -> None:
        assert fetched.answer is not None
        cx.info(f"{fetched.value} {fetched.answer.header('retry-after')} {fetched.answer.json(Order)}")

    @http("POST /")
    def asks(cx: Context) -> str:
        for value in (None, 2**40):
            cx.fetch("GET", CHARGES, then="shop.charged", value=value)
        return ""

    host = TestHost(export(asks, reads), reaching=["pay.example.com"])
    host.request("POST", "/")
    host.fetch(f"GET {CHARGES}").answer(200, '{"id": 1}', {"Retry-After": "5"})
    host.fetch(f"GET {CHARGES}").answer_json(200, Order(2, 3))
    assert lines(host) == ["None 5 Order(id=1, cents=0)", f"{2**40} None Order(id=2, cents=3)"]


def test_a_result_that_is_sent_on_reads_again() -> None:
    for result in (
        Fetched(Order(7), 2, answer=Answer(204, (("a", b"\xff"),), b"")),
        Fetched(Order(7), 1, failure=FetchFailure("tls", "expired")),
        Fetched(Order(7), 1, failure=FetchFailure("unknown", "the process that made the request ended")),
    ):
        host = shop()
        host.send("shop.charged", result)
        assert host.messages("shop.charged")[0].read(Fetched[Order]) == result
        assert host.faults == []
    with pytest.raises(ValueError, match="a request has an answer or a failure: give one of them"):
        Fetched(Order(7), 1)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({}, "missing field `result`"),
        ({"result": "answered", "attempts": 1}, "missing field `value`"),
        ({"result": "done", "value": {"id": 1}, "attempts": 1}, "result: 'done' is not the result of a request"),
        ({"result": "answered", "value": {"id": 1}, "attempts": 1}, "result: 'answered' is not the result of"),
        ({"result": "unknown", "value": {"id": "x"}, "attempts": 1}, "value.id: expected an integer, found the text"),
    ],
)
def test_a_message_that_is_no_result_is_a_fault(message: dict[str, Any], text: str) -> None:
    host = shop()
    host.send("shop.charged", message)
    assert "the message does not read as `" in host.faults[0].text
    assert text in host.faults[0].text


def test_a_channel_may_take_results_and_other_messages() -> None:
    @channel("mixed")
    def mixed(cx: Context, message: Fetched[Order] | Order) -> None:
        cx.info(type(message).__name__)

    host = TestHost(export(mixed))
    host.send("mixed", Order(1))
    host.send("mixed", Fetched(Order(1), 1, answer=Answer(200)))
    assert lines(host) == ["Order", "Fetched"]
    assert reader(Fetched)({"result": "unknown", "value": [1], "attempts": 1}).value == [1]


def test_servers_are_a_list() -> None:
    with pytest.raises(TypeError, match=r"`reaching` is a list of servers: \['pay.example.com'\]"):
        TestHost(Consumer, reaching="pay.example.com")
