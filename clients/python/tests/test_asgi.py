"""An ASGI server as an interface server: requests and sockets run on Tidegate's workers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py
from cases import Runner
from conftest import eventually, must
from servers import ROOT, Redis, free_port, running, tidegate, tidegate_env
from test_django import BIN
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tidegate.asgi.replies import replies_from

EXAMPLES = ("chat", "echo", "hello", "jobs", "longpoll", "units")
FOLDER = ROOT / "target/examples"


def missing() -> str | None:
    """Returns what the tests lack."""
    if tidegate() is None:
        return "there is no `tidegate`: run `cargo build`, or set TIDEGATE"
    lacking = [name for name in EXAMPLES if not (FOLDER / f"{name}.wasm").exists()]
    return f"{FOLDER} lacks {lacking[0]}.wasm: run `make examples`" if lacking else None


pytestmark = pytest.mark.skipif(
    missing() is not None and os.environ.get("CI") != "true", reason=str(missing())
)
APPLICATION = """
import os
from tidegate.asgi import InterfaceServer

application = InterfaceServer(os.environ["REDIS_URL"], lease=3)
"""


# A site whose pages are its own, and whose sockets are Tidegate's.
BESIDE = """
from channels.routing import ProtocolTypeRouter
from served import application as tidegate

async def pages(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"from the site"})

application = ProtocolTypeRouter({"http": pages, "websocket": tidegate})
"""


class Site:
    """A worker of Tidegate with the examples, and ASGI servers beside it."""

    def __init__(self, folder: Path, redis: Redis) -> None:
        self.folder, self.redis = folder, redis
        (folder / "served.py").write_text(APPLICATION)
        self.env = os.environ | {"REDIS_URL": redis.url(), "PYTHONDONTWRITEBYTECODE": "1"}

    @contextlib.contextmanager
    def worker(self, *arguments: str) -> Iterator[int]:
        """Runs a worker until the end of the block. Returns its admin port."""
        program, admin = tidegate(), free_port()
        assert program is not None, missing()
        command = [
            str(program),
            "worker",
            "--layer",
            self.redis.url(),
            "--admin",
            f"127.0.0.1:{admin}",
        ]
        command += ["--data-dir", str(self.folder / f"worker-{admin}"), *arguments]
        for name in EXAMPLES:
            command += ["--module", f"{name}={FOLDER / name}.wasm"]
        with running(command, admin, cwd=self.folder, env=tidegate_env()):
            yield admin

    @contextlib.contextmanager
    def uvicorn(self) -> Iterator[int]:
        """Serves by uvicorn."""
        yield from self._serve(
            [str(BIN / "uvicorn"), "--host", "127.0.0.1", "--lifespan", "on", "--port"]
        )

    @contextlib.contextmanager
    def daphne(self, application: str = "served:application") -> Iterator[int]:
        """Serves by Daphne."""
        yield from self._serve([str(BIN / "daphne"), "-b", "127.0.0.1", "-p"], application)

    def _serve(self, command: list[str], application: str = "served:application") -> Iterator[int]:
        port = free_port()
        with running([*command, str(port), application], port, cwd=self.folder, env=self.env):
            yield port


@pytest.fixture
def own_site(tmp_path: Path) -> Iterator[Site]:
    """A site on a Redis of the test alone, without a worker."""
    redis = Redis()
    yield Site(tmp_path, redis)
    redis.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with a worker, for all tests that leave it as it is."""
    redis = Redis()
    site = Site(tmp_path_factory.mktemp("site"), redis)
    with site.worker():
        yield site
    redis.close()


# Cases that do not hold, and why.
DIFFERENT = {
    (
        "uvicorn",
        "only a handshake is answered, and nothing elsewhere",
    ): "a worker that looks up a route"
    " says 404 where only a WebSocket is served, and an interface server that knows routes 426",
    ("daphne", "only a handshake is answered, and nothing elsewhere"): "the same",
    (
        "daphne",
        "text stays text and binary stays binary",
    ): "Daphne 4.2 sends no frame that is empty",
}


@pytest.mark.parametrize("server", ["uvicorn", "daphne"])
async def test_the_cases_of_the_examples_hold(site: Site, server: str) -> None:
    met = set()
    with getattr(site, server)() as port:
        for name in EXAMPLES:
            cases = json.loads((ROOT / f"examples/{name}/cases.json").read_text())
            for case in cases:
                met.add((server, case["name"]))
                if (server, case["name"]) in DIFFERENT:
                    with pytest.raises(AssertionError):
                        await Runner(port).run([case], patience=2)
                else:
                    await Runner(port).run([case])
    assert {key for key in DIFFERENT if key[0] == server} <= met


async def test_a_site_of_channels_serves_sockets_of_tidegate_beside_its_own(site: Site) -> None:
    (site.folder / "beside.py").write_text(BESIDE)
    with site.daphne("beside:application") as port:
        assert b"from the site" in await _body(port, "GET /hello/you")
        async with connect(f"ws://127.0.0.1:{port}/echo", open_timeout=20) as socket:
            await socket.send("ahoy")
            assert await must(socket.recv()) == "ahoy"


async def test_frames_of_a_socket_are_served_in_order(site: Site) -> None:
    with site.uvicorn() as port:
        async with connect(f"ws://127.0.0.1:{port}/echo", open_timeout=20) as socket:
            for number in range(200):
                await socket.send(str(number))
            assert [await must(socket.recv()) for _ in range(200)] == [str(n) for n in range(200)]


async def test_a_room_spans_servers_of_all_kinds_and_nothing_is_left(site: Site) -> None:
    with site.uvicorn() as uvicorn, site.daphne() as daphne:
        async with contextlib.AsyncExitStack() as stack:
            members = []
            for number, port in enumerate((uvicorn, daphne, uvicorn)):
                socket = await stack.enter_async_context(
                    connect(f"ws://127.0.0.1:{port}/chat/all", open_timeout=20)
                )
                await socket.send(json.dumps({"type": "join", "name": f"n{number}"}))
                members.append(socket)
                for member in members:
                    assert json.loads(await must(member.recv()))["type"] == "joined"
            await members[0].send(json.dumps({"type": "say", "text": "ahoy"}))
            for member in members:
                assert json.loads(await must(member.recv()))["text"] == "ahoy"
            await members.pop().close()
            for member in members:
                assert json.loads(await must(member.recv())) == {"type": "left", "name": "n2"}
    with redis_py.Redis(port=site.redis.port) as server:
        # uvicorn tells the application of its end. Daphne does not: there the lease ends.
        await eventually(lambda: not server.keys("*group:chat.room.all"))


async def test_without_a_route_the_client_hears_so(site: Site) -> None:
    with site.uvicorn() as port:
        steps = [
            {"request": {"path": "/nothing"}, "expect": {"status": 404}},
            {"request": {"path": "/hello/%FF"}, "expect": {"status": 400}},
            {
                "request": {"method": "DELETE", "path": "/hello/you"},
                "expect": {"status": 405, "headers": {"allow": "GET, HEAD"}},
            },
            {
                "request": {"method": "POST", "path": "/publish/x", "body": "x" * 1_048_577},
                "expect": {"status": 413},
            },
            {"open": "a", "path": "/nothing", "expect": {"denied": 403}},
        ]
        await Runner(port).run([{"name": "no route", "steps": steps}])


async def test_without_a_worker_requests_wait_and_are_refused_when_too_many_do(
    own_site: Site,
) -> None:
    with own_site.uvicorn() as port:
        asked = [asyncio.create_task(_status(port)) for _ in range(105)]
        done, waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        assert {task.result() for task in done} == {503}
        for task in waiting:
            task.cancel()
        with own_site.worker():
            await eventually(lambda: _is_served(port))


async def _status(port: int) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /hello/you HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    try:
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()


async def _is_served(port: int) -> bool:
    return await must(_status(port)) == 200


async def test_a_frame_that_is_too_large_closes_the_socket(site: Site) -> None:
    with site.uvicorn() as port:
        async with connect(f"ws://127.0.0.1:{port}/echo", open_timeout=20, max_size=None) as socket:
            await socket.send("x" * (1024 * 1024 + 1))
            await must(socket.wait_closed())
            assert socket.close_code == 1009


async def test_a_held_request_is_answered_by_a_group(site: Site) -> None:
    with site.uvicorn() as port:
        polling = asyncio.create_task(_body(port, "GET /poll/tide"))

        async def is_told() -> bool:
            published = await _body(port, "POST /publish/tide", b"high water")
            assert b"202" in published.splitlines()[0]
            return polling.done()

        await eventually(is_told)
        assert (await polling).endswith(b"high water")
        assert b"cache-control: no-store" in (await polling).lower()


async def _body(port: int, line: str, body: bytes = b"") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    try:
        return await must(reader.read())
    finally:
        writer.close()


async def test_a_script_reaches_sockets_by_group_and_closes_them(site: Site) -> None:
    with site.uvicorn() as port:
        async with connect(f"ws://127.0.0.1:{port}/jobs/watch", open_timeout=20) as socket:
            program = str(tidegate())
            for message in ('{"text": "one"}', '{"type": "websocket.send", "text": "two"}', '{"type": "unknown"}',
                            '{"close": 4001}'):  # fmt: skip
                send = [
                    program,
                    "group-send",
                    "jobs.watchers",
                    message,
                    "--layer",
                    site.redis.url(),
                ]
                await asyncio.to_thread(
                    subprocess.run, send, check=True, capture_output=True, cwd=site.folder
                )
            assert await must(socket.recv()) == "one"
            assert await must(socket.recv()) == "two"
            await must(socket.wait_closed())
            assert socket.close_code == 4001


async def test_when_redis_forgets_all_sockets_in_groups_are_closed(own_site: Site) -> None:
    with own_site.worker(), own_site.uvicorn() as port:
        async with connect(f"ws://127.0.0.1:{port}/jobs/watch", open_timeout=20) as socket:
            with redis_py.Redis(port=own_site.redis.port) as server:
                server.flushall()
            await must(socket.wait_closed())
            assert socket.close_code == 1012


async def test_while_redis_is_away_requests_are_refused(own_site: Site) -> None:
    with own_site.uvicorn() as port:
        own_site.redis.stop()
        assert await must(_status(port)) == 503
        with pytest.raises(InvalidStatus):
            await connect(f"ws://127.0.0.1:{port}/echo", open_timeout=20)
        own_site.redis.start()


@pytest.mark.parametrize(
    ("message", "replies"),
    [
        ({"type": "websocket.send", "text": "x", "bytes": None}, [{"type": "websocket.send", "text": "x"}]),
        ({"text": "x"}, [{"type": "websocket.accept"}, {"type": "websocket.send", "text": "x"}]),
        ({"accept": True, "close": 4000}, [{"type": "websocket.accept"}, {"type": "websocket.close", "code": 4000}]),
        ({"accept": False}, [{"type": "websocket.deny"}]),
        ({"type": "presence", "text": "{}"}, [{"type": "websocket.send", "text": '{"presence":{}}'}]),
        ({"close": True}, [{"type": "websocket.close", "code": 1000}]),
        ({"content": b"x", "more_content": True}, [{"type": "http.response.body", "body": b"x", "more_body": True}]),
        ({"status": 200, "headers": [["A", "b"]], "content": b"x"},
         [{"type": "http.response", "status": 200, "headers": [(b"a", b"b")], "body": b"x"}]),
    ],
)  # fmt: skip
def test_forms_of_channels_1_are_understood(
    message: dict[str, Any], replies: list[dict[str, Any]]
) -> None:
    assert replies_from(message) == replies


@pytest.mark.parametrize(
    "message",
    [{}, {"type": "chat.message"}, {"type": "websocket.send"}, {"type": "websocket.send", "text": b"x"},
     {"type": "http.response"}, {"type": "presence"}, {"type": 7}, {"other": 1},
     {"type": "websocket.close", "code": "x"}],
)  # fmt: skip
def test_a_message_without_meaning_is_refused(message: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="."):
        replies_from(message)
