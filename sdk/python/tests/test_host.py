"""The test host follows the rules of the host."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tidegate_sdk import (
    Chunk,
    Close,
    Context,
    Group,
    HttpError,
    Reply,
    Response,
    SendError,
    Socket,
    channel,
    export,
    http,
    websocket,
)
from tidegate_sdk.testing import Denied, TestHost


@dataclass
class Counted:
    n: int = 0


def test_what_stands_after_a_flush_is_dropped_by_a_fault() -> None:
    @http("POST /")
    def fails(cx: Context) -> str:
        cx.group_send("g", "sent")
        cx.flush()
        cx.group_send("g", "dropped")
        raise RuntimeError("no")

    host = TestHost(export(fails))
    assert host.request("POST", "/").status == 500
    assert [sent.read() for sent in host.group_messages("g")] == [{"type": "websocket.send", "text": "sent"}]
    assert "RuntimeError: no (at " in host.faults[0].text
    assert host.logs[0].text == "Traceback (most recent call last):"


def test_an_http_error_is_no_fault() -> None:
    @http("POST /")
    def refuses(cx: Context) -> str:
        cx.group_send("g", "sent")
        raise HttpError(403, "no\n", {"x-why": "it is late"})

    host = TestHost(export(refuses))
    response = host.request("POST", "/")
    assert (response.status, response.text, response.header("x-why")) == (403, "no\n", "it is late")
    assert len(host.group_messages("g")) == 1
    assert host.faults == []


def test_names_and_owners() -> None:
    @http("POST /{to}")
    def sends(cx: Context, to: str) -> str:
        cx.send(to, {"a": 1})
        return ""

    @http("PUT /groups/{group}")
    def joins(cx: Context, group: str) -> str:
        cx.group_add(Group(group))
        return ""

    host = TestHost(export(sends, joins), "tide", granted=["alerts.all", "mail.out"])
    for name, text in {
        "other.channel": "Forbidden: channel other.channel is not declared by module tide",
        "http.request": "Forbidden: channel http.request belongs to the interface server",
        "a%20b": "InvalidName: name \"a b\": ' ' is not one of a-z A-Z 0-9 . _ -",
    }.items():
        assert host.request("POST", f"/{name}").status == 500
        assert host.faults[-1].text.startswith(text)
    assert host.request("POST", "/mail.out").status == 200
    assert host.request("PUT", "/groups/alerts.all").status == 200
    assert host.request("PUT", "/groups/elsewhere").status == 500
    assert host.faults[-1].text.startswith("Forbidden: group elsewhere is not under tide.")
    with pytest.raises(SendError):
        host.send("a b", {"a": 1})


def test_limits_of_the_outbox_end_a_run_where_it_stands() -> None:
    @http("POST /{count}")
    def many(cx: Context, count: int) -> str:
        try:
            for _ in range(count):
                cx.group_send("g", "x")
        except Exception:
            return "caught"
        return "done"

    host = TestHost(export(many))
    assert host.request("POST", "/999").text == "done"
    assert host.request("POST", "/1001").status == 500
    assert host.faults[-1].text == "an outbox of 1001 entries, and the limit is 1000"


def test_a_request_that_nobody_answers() -> None:
    @http("GET /{kind}")
    def answers(cx: Context, kind: str) -> Any:
        return Response(600) if kind == "status" else None

    host = TestHost(export(answers))
    assert host.get("/status").status == 500
    assert host.faults[-1].text.startswith("InvalidReply: status 600 is not from 200 to 599 (at ")
    assert host.get("/nothing").status == 500
    assert "returned nothing" in host.faults[-1].text


@pytest.mark.parametrize(
    ("work", "text"),
    [
        (lambda cx: cx.hold(1, "late"), "TypeError: fallback has to be a Response, not str: write Response.text(...)"),
        (lambda cx: cx.hold("1"), "TypeError: timeout has to be seconds or a timedelta, not str"),
        (lambda cx: cx.hold(3601), "InvalidReply: a hold is at most 1 hour"),
        (lambda cx: cx.start_stream("a"), "TypeError: the head of a stream has to be a Response, not str"),
        (lambda cx: cx.write("a"), "WrongEvent: a streamed response is one start, then chunks, then one end"),
        (lambda cx: cx.send_later("c", {}, 86_401), "InvalidContent: a delay is at most 24 hours"),
        (lambda cx: cx.send("c", [1]), "InvalidContent: a message is a map with text keys, and `list` is none"),
        (lambda cx: cx.send("c", {1: 2}), "InvalidContent: a map has a key that is not text; use text keys"),
        (lambda cx: cx.send("c", {"a": "x" * 2_000_000}), "TooLarge: content of 2000"),
        (lambda cx: cx.send("c", {"a": 2**63}), "InvalidContent: the integer 9223372036854775808 is beyond 64 bits"),
        (lambda cx: Response.text("x").header("a b", "c"), 'InvalidReply: header "a b": the name is no token'),
        (lambda cx: Response.text("x").header("te", "c"), 'InvalidReply: header "te": belongs to the connection'),
        (lambda cx: Response.text("x").header("a", "c\n"), 'InvalidReply: header "a": the value has a control'),
        (lambda cx: Response.text("x").header("a", " c"), 'InvalidReply: header "a": the value starts or ends'),
        (
            lambda cx: cx.timers.set("c", {}, after=10**9),
            "TimerError: a timer is due in 31536000000 ms at most; this one is in 1000000000000 ms",
        ),
        (lambda cx: cx.timers.set("a!b", {}, after=1), "TimerError: a!b is a reply channel"),
        (lambda cx: cx.timers.set("c", {}), "TypeError: a timer is due `after` some seconds or `at` a moment"),
        (lambda cx: cx.timers.set("c", {}, at=datetime(2026, 1, 1)), "ValueError: `at` has no time zone"),
        (lambda cx: cx.timers.cancel(""), "TimerError: a key has at least 1 byte"),
        (lambda cx: float("x"), "ValueError: could not convert string to float: 'x'"),
    ],
)
def test_what_a_run_may_not_do_is_an_exception_with_its_reason(work: Any, text: str) -> None:
    @http("GET /")
    def consumer(cx: Context) -> Any:
        return work(cx)

    @channel("c")
    def reader() -> None: ...

    host = TestHost(export(consumer, reader))
    assert host.get("/").status == 500
    assert host.faults[0].text.startswith(text)
    assert " (at " in host.faults[0].text


def test_a_client_that_leaves() -> None:
    def left(cx: Context) -> None:
        cx.info(f"{cx.consumer} was left")

    @http("GET /", disconnect=left)
    def waits(cx: Context) -> Reply:
        cx.group_add("waiting")
        return cx.hold(10)

    host = TestHost(export(waits))
    response = host.get("/")
    assert host.group("waiting") != []
    response.leave()
    assert host.group("waiting") == []
    assert [line.text for line in host.logs] == ["waits was left"]


def test_a_stream_that_is_held_ends_with_its_last_part() -> None:
    @http("GET /")
    def starts(cx: Context) -> Reply:
        cx.start_stream(Response.text("a"))
        cx.group_add("watchers")
        return cx.hold(60)

    @channel("parts")
    def parts(cx: Context, message: dict[str, str]) -> None:
        cx.group_send("watchers", Chunk(message["text"].encode(), is_last=message["text"] == "z"))

    host = TestHost(export(starts, parts))
    response = host.get("/")
    host.send("parts", {"text": "b"})
    assert (response.text, response.is_pending) == ("ab", True)
    host.send("parts", {"text": "z"})
    assert (response.text, response.is_pending) == ("abz", False)
    assert host.get("/").is_pending


def test_what_is_sent_in_connect_follows_the_acceptance() -> None:
    @websocket("/{kind}")
    class Waits:
        kind: str

        def connect(self, socket: Socket[None]) -> None:
            socket.send("first")
            if self.kind == "no":
                raise HttpError(401)
            if self.kind == "fault":
                raise KeyError("no")

    host = TestHost(export(Waits))
    host.websocket("/yes").expect_text("first")
    for kind, status in {"no": 403, "fault": 500}.items():
        with pytest.raises(Denied) as denied:
            host.websocket(f"/{kind}")
        assert denied.value.status == status
    with pytest.raises(Denied) as denied:
        host.websocket("/no/such/path")
    assert denied.value.status == 403


def test_a_fault_keeps_the_state_as_it_was_and_closes() -> None:
    seen: list[int] = []

    @websocket("/")
    class Counts:
        State = Counted

        def receive(self, socket: Socket[Counted], text: str) -> None:
            socket.state.n += 1
            if text == "fail":
                raise ValueError("no")

        def disconnect(self, socket: Socket[Counted], close: Close) -> None:
            seen.append(socket.state.n)
            seen.append(close.code)

    host = TestHost(export(Counts))
    socket = host.websocket("/")
    socket.send("x")
    socket.send("fail")
    socket.expect_close(1011)
    assert seen == [1, 1011]
    with host.websocket("/"):
        pass
    assert seen == [1, 1011, 0, 1006]


def test_state_that_is_too_large_is_a_fault() -> None:
    @websocket("/")
    class Keeps:
        State = dict

        def receive(self, socket: Socket[dict[str, str]], text: str) -> None:
            socket.state["text"] = text * 20_000

    host = TestHost(export(Keeps))
    socket = host.websocket("/")
    socket.send("x")
    socket.expect_close(1011)
    assert host.faults[0].text.startswith("StateTooLarge: state of 20")


def test_time_the_environment_and_directories(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("from the file")

    @http("GET /")
    def reads(cx: Context) -> list[str]:
        inside, outside = cx.path("/data/a.txt"), cx.path("/data/../etc")
        return [str(cx.now().timestamp()), str(cx.variable("KEY")), inside.read_text(), str(outside.exists())]

    start = datetime(2026, 1, 1, tzinfo=UTC)
    host = TestHost(export(reads), environment={"KEY": "s3"}, directories={"/data": tmp_path}, at=start)
    host.advance(1.5)
    assert host.get("/").json() == [str(start.timestamp() + 1.5), "s3", "from the file", "False"]


def test_paths_that_find_nothing() -> None:
    @http("GET /a/{b}")
    def one(b: str) -> str:
        return b

    @http("POST /a/x")
    def two() -> str:
        return ""

    @websocket("/socket")
    class Three:
        pass

    host = TestHost(export(one, two, Three))
    assert host.get("/a/%FF").status == 400
    assert host.get("/a/").status == 404
    assert host.get("/socket").status == 426
    response = host.request("DELETE", "/a/y")
    assert (response.status, response.header("allow")) == (405, "GET, HEAD")
    # The literal segment is the better path, and its methods are those that there are.
    assert host.get("/a/x").status == 405
    head = host.request("HEAD", "/a/y")
    assert (head.status, head.body) == (200, b"")


def test_messages_of_other_forms_reach_connections() -> None:
    @websocket("/")
    class Listens:
        pass

    host = TestHost(export(Listens))
    socket = host.websocket("/")
    host.send(socket.reply_channel, {"type": "websocket.send", "bytes": b"\0"})
    host.send(socket.reply_channel, {"text": "of Channels 1"})
    host.send(socket.reply_channel, {"type": "http.response", "status": 200})
    host.send(socket.reply_channel, Close(4000, "enough"))
    assert socket.receive() == b"\0"
    socket.expect_text("of Channels 1")
    assert socket.expect_close(4000).reason == "enough"
    assert host.drops == [f"{socket.reply_channel}: a WebSocket takes no such message now"]


def test_lines_of_logging_are_lines_of_the_record() -> None:
    logger = logging.getLogger("tide")

    @http("GET /")
    def logs() -> str:
        logger.debug("not taken")
        logger.info("%s %s", "high", "water")
        try:
            raise ValueError("no")
        except ValueError:
            logger.exception("failed")
        return ""

    host = TestHost(export(logs))
    host.get("/")
    found = [(line.level, line.text) for line in host.logs]
    assert found[:3] == [
        ("info", "tide: high water"),
        ("error", "tide: failed"),
        ("error", "Traceback (most recent call last):"),
    ]
    assert found[-1] == ("error", "ValueError: no")
    assert logging.getLogger().level == logging.WARNING
