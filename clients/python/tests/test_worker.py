"""An ASGI application as the worker of a module: what reaches it, and what becomes of its answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from conftest import eventually, must

from tidegate import Client, ConfigError, InvalidName, LayerUnavailable
from tidegate.asgi import Worker
from tidegate.asgi.lifespan import StartFailed
from tidegate.cluster import Partitions
from tidegate.intake import Reader
from tidegate.names import new_id
from tidegate.wire import event_payload

CHANNEL = "http.request.site"
LIFE = 60_000_000
EVENT = {
    "type": "http.request",
    "order": 0,
    "done": True,
    "version": 7,
    "scheme": "https",
    "method": "POST",
    "http_version": "1.1",
    "path": "/app/sea/ä",
    "raw_path": b"/app/sea/%C3%A4",
    "query_string": b"a=1&a=2",
    "root_path": "/app",
    "headers": [[b"host", b"example.com"], [b"cookie", b"a=1"], [b"cookie", b"b=2"]],
    "client": ["203.0.113.9", 4711],
    "server": ["127.0.0.1", 8000],
    "subprotocols": [],
    "body": b"high water",
}


class Exchange:
    """A connection of an interface server, and what comes for it."""

    def __init__(self, local: str) -> None:
        self.local = local
        self.answers: asyncio.Queue[tuple[int, list[Any], Any]] = asyncio.Queue()

    def answer(self, order: int, replies: list[Any], done: Any) -> None:
        """Takes an answer."""
        self.answers.put_nowait((order, replies, done))

    def message(self, content: bytes, through_group: bool) -> None:
        """Takes no message."""
        raise AssertionError(content)

    async def all(self) -> tuple[list[Any], Any]:
        """Returns all replies and the mark that ends them."""
        replies, done = [], None
        while done is None:
            order, more, done = await must(self.answers.get())
            assert order == 0
            replies += more
        return replies, done


class Interface:
    """An interface server that knows the module of its routes."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def ask(self, **fields: Any) -> Exchange:
        """Sends a request to the module."""
        node = await self.client.serve()
        exchange = Exchange(new_id())
        node.sinks[exchange.local] = exchange
        event = EVENT | {"reply_channel": f"{node.name}!{exchange.local}"} | fields
        await self.put(event_payload(event, new_id()))
        return exchange

    async def put(self, payload: bytes) -> None:
        """Puts an entry into the channel."""
        partition = self.client.partitions.of(CHANNEL)
        outcome, _ = await self.client.partitions.call(
            "send", partition, CHANNEL, 100, LIFE, payload
        )
        assert outcome == b"ok"


@pytest.fixture
async def interface(make_client: Callable[..., Client]) -> Interface:
    """An interface server."""
    return Interface(make_client(is_interface=True))


@contextlib.asynccontextmanager
async def serving(
    interface: Interface, application: Any, **settings: Any
) -> AsyncIterator[tuple[Worker, asyncio.Task[None]]]:
    """Runs an application for requests of the module until the end of the block."""
    options = interface.client.options
    settings = {"module": "site", "prefix": options.prefix} | settings
    worker = Worker(application, options.url, **settings)
    task = asyncio.create_task(worker.run())
    try:
        yield worker, task
    finally:
        worker.stop()
        await must(task)


def respond(*messages: Any) -> Any:
    """Returns an application that sends some messages."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        for message in messages:
            await send(message)

    return application


def start(status: int = 200, *headers: tuple[bytes, bytes], **fields: Any) -> dict[str, Any]:
    """Returns the start of a response."""
    return {"type": "http.response.start", "status": status, "headers": list(headers), **fields}


def body(part: bytes, more: bool = False) -> dict[str, Any]:
    """Returns a part of a body."""
    return {"type": "http.response.body", "body": part, "more_body": more}


def whole(part: bytes, status: int = 200, *headers: list[bytes]) -> dict[str, Any]:
    """Returns a whole response, as the host gets it."""
    return {"type": "http.response", "status": status, "headers": list(headers), "body": part}


OK = {"outcome": "ok", "version": 7}
FAULT = {"outcome": "fault", "version": 7}
BEGUN = {"type": "http.response.start", "status": 200, "headers": []}
LARGE = bytes(1024 * 1024)


async def test_an_application_gets_the_request_as_asgi_has_it(interface: Interface) -> None:
    seen: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        seen.extend((scope, await receive()))
        await send(start(201, (b"X-Tide", b" high ")))
        await send(body(b"taken"))
        # It is over, so nobody waits for more.
        seen.append(await receive())

    async with serving(interface, application):
        replies, done = await (await interface.ask()).all()
    assert replies == [whole(b"taken", 201, [b"x-tide", b"high"])]
    assert done == OK
    scope, *events = seen
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "https",
        "path": "/app/sea/ä",
        "raw_path": b"/app/sea/%C3%A4",
        "query_string": b"a=1&a=2",
        "root_path": "/app",
        "headers": [(b"host", b"example.com"), (b"cookie", b"a=1"), (b"cookie", b"b=2")],
        "client": ("203.0.113.9", 4711),
        "server": ("127.0.0.1", 8000),
        "extensions": {},
        "state": {},
    }
    request = {"type": "http.request", "body": b"high water", "more_body": False}
    assert events == [request, {"type": "http.disconnect"}]


@pytest.mark.parametrize(
    ("messages", "replies", "done"),
    [
        ([start(), body(b"")], [whole(b"")], OK),
        ([start(204, (b"Content-Length", b"3")), body(b"")], [whole(b"", 204)], OK),
        ([start(200, (b"content-length", b"2")), body(b"ab")], [whole(b"ab")], OK),
        ([start(), body(b"a", True), body(b"b")], [BEGUN, body(b"a", True), body(b"b")], OK),
        ([start(), body(b"", True), body(b"")], [BEGUN, body(b"", True), body(b"")], OK),
        ([start(), body(LARGE)], [whole(LARGE)], OK),
        ([start(), body(LARGE + b"x")], [BEGUN, body(LARGE, True), body(b"x")], OK),
        # What is of the connection is the host's.
        ([start(200, (b"Transfer-Encoding", b"chunked"), (b"Connection", b"close")), body(b"a")], [whole(b"a")], OK),
        ([], [], FAULT),
        ([start()], [], FAULT),
        ([start(), body(b"a", True)], [BEGUN, body(b"a", True)], FAULT),
        ([body(b"a")], [], FAULT),
        ([start(), start()], [], FAULT),
        ([start(101)], [], FAULT),
        ([start(600)], [], FAULT),
        ([start(200, (b"a b", b"c"))], [], FAULT),
        ([start(200, (b"a", b"b\r\nc: d")), body(b"")], [], FAULT),
        ([start(200, (b"a", b"x" * 65_536)), body(b"")], [], FAULT),
        ([start(200, *[(b"a", b"b")] * 101), body(b"")], [], FAULT),
        ([start(200, (b"content-length", b"3")), body(b"ab")], [], FAULT),
        ([start(200, (b"content-length", b"x")), body(b"ab")], [], FAULT),
        ([start(200, (b"content-length", b"3")), body(b"a", True), body(b"b")], [BEGUN, body(b"a", True)], FAULT),
        ([start(200, trailers=True), body(b"a")], [], FAULT),
        ([{"type": "http.response.pathsend", "path": "/etc/passwd"}], [], FAULT),
        ([start(), body(b"a"), body(b"b")], [whole(b"a")], OK),
    ],
)  # fmt: skip
async def test_a_response_reaches_the_connection_or_is_a_fault(
    interface: Interface, messages: list[Any], replies: list[Any], done: Any
) -> None:
    async with serving(interface, respond(*messages)):
        found, mark = await (await interface.ask()).all()
    assert found == replies
    assert mark.pop("record", None) is not None or mark == OK
    assert mark == done


async def test_the_head_of_a_response_says_a_length_that_no_body_has(interface: Interface) -> None:
    application = respond(start(200, (b"content-length", b"3")), body(b""))
    async with serving(interface, application):
        assert await (await interface.ask(method="HEAD")).all() == ([whole(b"")], OK)


async def test_who_asks_for_no_mark_gets_none(interface: Interface) -> None:
    async with serving(interface, respond(start(), body(b"a"))):
        exchange = await interface.ask(done=False)
        assert await must(exchange.answers.get()) == (0, [whole(b"a")], None)
    async with serving(interface, respond()):
        exchange = await interface.ask(done=False)
        _, [reply], done = await must(exchange.answers.get())
        assert (reply["status"], done) == (500, None)


async def test_what_fails_or_takes_too_long_is_a_fault(
    interface: Interface, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        raise ValueError("the tide is out")

    async with serving(interface, fail):
        replies, done = await (await interface.ask()).all()
    assert (replies, done["outcome"]) == ([], "fault")
    assert "the tide is out" in caplog.text and done["record"] in caplog.text

    async def wait(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        await asyncio.Event().wait()

    async with serving(interface, wait, deadline=0.05):
        _, done = await (await interface.ask()).all()
    assert done["outcome"] == "fault"
    assert "it took longer than 0.05 s" in caplog.text


async def test_so_many_run_at_a_time_and_the_others_wait_in_the_channel(
    interface: Interface,
) -> None:
    begun: asyncio.Queue[str] = asyncio.Queue()
    release = asyncio.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        begun.put_nowait(scope["path"])
        await release.wait()
        await send(start())
        await send(body(b""))

    exchanges = [await interface.ask(path=f"/{number}") for number in range(5)]
    async with serving(interface, application, concurrency=2):
        assert {await must(begun.get()) for _ in range(2)} == {"/0", "/1"}
        partition = interface.client.partitions.of(CHANNEL)
        key = f"{interface.client.partitions.base(partition)}channel:{CHANNEL}"
        assert await interface.client.partitions.command(partition, "LLEN", key) == 3
        assert begun.empty()
        release.set()
        for exchange in exchanges:
            assert (await exchange.all())[1] == OK


async def test_a_worker_that_stops_ends_what_it_has_begun_and_takes_no_more(
    interface: Interface,
) -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        begun.set()
        await release.wait()
        await send(start())
        await send(body(b"done"))

    async with serving(interface, application) as (worker, task):
        first = await interface.ask()
        await must(begun.wait())
        worker.stop()
        release.set()
        assert await first.all() == ([whole(b"done")], OK)
        await must(task)
        second = await interface.ask()
    async with serving(interface, respond(start(), body(b"by another"))):
        assert await second.all() == ([whole(b"by another")], OK)


async def test_a_reader_that_leaves_wakes_another_for_what_it_has_not_taken(
    interface: Interface,
) -> None:
    reader = await interface.client.reader(CHANNEL)
    assert await must(reader.take(1)) == ([], False)
    await interface.ask()
    await must(reader.wait())
    assert await hints(interface.client, CHANNEL) == 0
    await reader.close()
    assert await hints(interface.client, CHANNEL) == 1


async def test_a_hint_that_nobody_waits_for_any_more_is_for_another_process(
    make_client: Callable[..., Client],
) -> None:
    client = make_client()

    async def listens() -> bool:
        partition = client.partitions.of("jobs")
        return b"cmd=blpop" in await client.partitions.command(partition, "CLIENT", "LIST")

    receiving = asyncio.create_task(client.receive("jobs"))
    await eventually(listens)
    receiving.cancel()
    await make_client().send("jobs", {"type": "tick"})

    async def is_given_back() -> bool:
        return not await listens() and await hints(client, "jobs") == 1

    await eventually(is_given_back)


async def test_a_hint_that_cannot_be_given_back_ends_no_receiver(
    make_client: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client()
    refused = asyncio.Event()
    receive = Reader._receive

    async def refuse(reader: Reader, most: int) -> Any:
        if most > 0:
            return await receive(reader, most)
        refused.set()
        raise LayerUnavailable("Redis is away")

    monkeypatch.setattr(Reader, "_receive", refuse)
    reader = client._intake._readers
    receiving = asyncio.create_task(client.receive("jobs"))
    await eventually(lambda: "jobs" in reader)
    task, _ = reader["jobs"]
    receiving.cancel()
    await must(refused.wait())
    again = asyncio.create_task(client.receive("jobs"))
    await make_client().send("jobs", {"type": "tick"})
    assert await must(again) == {"type": "tick"}
    assert reader["jobs"][0] is task, "the same task reads on"


async def hints(client: Client, channel: str) -> int:
    """Returns how many hints wait for the processes that read a channel."""
    partition = client.partitions.of(channel)
    base = client.partitions.base(partition)
    keys = await client.partitions.command(partition, "KEYS", f"{base}wake:*")
    return sum([await client.partitions.command(partition, "LLEN", key) for key in keys])


async def test_a_worker_that_is_cancelled_tells_that_its_requests_failed(
    interface: Interface,
) -> None:
    begun = asyncio.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        begun.set()
        await asyncio.Event().wait()

    options = interface.client.options
    worker = Worker(application, options.url, module="site", prefix=options.prefix)
    task = asyncio.create_task(worker.run())
    exchange = await interface.ask()
    await must(begun.wait())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await must(task)
    assert (await exchange.all())[1]["outcome"] == "fault"


async def test_what_cannot_be_read_is_dropped_and_the_next_request_is_served(
    interface: Interface, caplog: pytest.LogCaptureFixture
) -> None:
    lacking = {name: value for name, value in EVENT.items() if name != "headers"}
    payloads = [
        b"",
        b"\xc1",
        event_payload({}, new_id()),
        event_payload(EVENT | {"type": "http.disconnect", "reply_channel": "a!b"}, new_id()),
        event_payload(EVENT, new_id()),
        event_payload(lacking | {"reply_channel": "a!b"}, new_id()),
        event_payload(EVENT | {"reply_channel": "a!b", "client": "x"}, new_id()),
        event_payload(EVENT | {"reply_channel": "a"}, new_id()),
        event_payload(EVENT | {"reply_channel": "a!b!c"}, new_id()),
    ]
    for payload in payloads:
        await interface.put(payload)
    async with serving(interface, respond(start(), body(b"a"))):
        assert await (await interface.ask()).all() == ([whole(b"a")], OK)
    assert caplog.text.count("cannot be read, and is dropped") == len(payloads)


async def test_an_answer_to_a_process_that_is_gone_ends_the_application(
    interface: Interface,
) -> None:
    ended: asyncio.Queue[BaseException] = asyncio.Queue()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        try:
            await send(start())
            await send(body(b"a", True))
        except BaseException as error:
            ended.put_nowait(error)
            raise

    async with serving(interface, application):
        await interface.ask(reply_channel="nobody!here")
        assert isinstance(await must(ended.get()), OSError)


async def test_the_application_hears_of_its_beginning_and_its_end(interface: Interface) -> None:
    heard = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for kind in ("startup", "shutdown"):
                heard.append((await receive())["type"])
                scope["state"]["tide"] = "high"
                await send({"type": f"lifespan.{kind}.complete"})
            return
        await send(start())
        await send(body(scope["state"]["tide"].encode()))

    async with serving(interface, application):
        assert await (await interface.ask()).all() == ([whole(b"high")], OK)
    assert heard == ["lifespan.startup", "lifespan.shutdown"]


async def test_an_application_that_does_not_start_serves_nothing(interface: Interface) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    options = interface.client.options
    worker = Worker(application, options.url, module="site", prefix=options.prefix)
    with pytest.raises(StartFailed, match="no database"):
        await must(worker.run())


async def test_wrong_settings_are_refused_and_a_missing_server_is_told() -> None:
    for settings, error in (
        ({"module": "Site"}, InvalidName),
        ({"module": "site", "concurrency": 0}, ConfigError),
        ({"module": "site", "deadline": 0}, ConfigError),
        ({"module": "site", "url": "http://x"}, ConfigError),
        ({"module": "site", "colour": "red"}, ConfigError),
    ):
        with pytest.raises(error):
            Worker(respond(), **settings)
    worker = Worker(respond(), "redis://127.0.0.1:1", module="site")
    with pytest.raises(LayerUnavailable):
        await must(worker.run())


async def test_a_request_costs_an_idle_worker_four_commands(
    interface: Interface, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[str] = []
    call, wait = Partitions.call, Reader.wait

    async def counted(self: Partitions, name: str, partition: int, *arguments: Any) -> Any:
        if self is not interface.client.partitions:
            commands.append(name)
        return await call(self, name, partition, *arguments)

    async def waited(self: Reader) -> None:
        commands.append("blpop")
        await wait(self)

    monkeypatch.setattr(Partitions, "call", counted)
    monkeypatch.setattr(Reader, "wait", waited)
    async with serving(interface, respond(start(), body(b"a"))):
        await (await interface.ask()).all()
        await eventually(lambda: commands[-1:] == ["blpop"])
        commands.clear()
        await (await interface.ask()).all()
        await eventually(lambda: commands[-1:] == ["blpop"])
        assert sorted(commands) == ["blpop", "deliver", "receive", "receive"]
