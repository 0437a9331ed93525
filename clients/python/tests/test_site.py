"""A Django site behind Tidegate: it serves the pages as the worker of a module, beside modules of WebAssembly."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import PATIENCE_SECONDS, eventually, must
from servers import Redis, free_port, running, tidegate, tidegate_env
from test_django import MODULE as CHAT
from test_django import SITE, needs_tidegate
from test_users import MODULE as MEMBERS
from test_users import Browser, MembersSite, hears, is_closed
from websockets.asyncio.client import connect

ASGI = MEMBERS.with_name("asgi.wasm")
MODULES = {"site": ASGI, "chat": CHAT, "members": MEMBERS}
pytestmark = [
    needs_tidegate,
    pytest.mark.skipif(
        not (ASGI.exists() and MEMBERS.exists()) and os.environ.get("CI") != "true",
        reason=f"{ASGI} is missing: run `make examples`",
    ),
]
SETTINGS = """
[modules.site]
event_expiry = "{}s"

[modules.site.limits]
deadline = "{}s"
"""
# Seconds that a request may wait and then take, also on a machine that is busy; and where a test waits for one
# that is lost.
EXPIRY, DEADLINE = 10, 15
SHORT_EXPIRY, SHORT_DEADLINE = 1, 3
# An application that shows what Django hides.
BESIDE = """
import asyncio, os

async def application(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    name = scope["path"].rpartition("/")[2]
    body = (await receive())["body"]
    if name == "die":
        os.kill(os.getpid(), 9)
    if name == "fail":
        raise ValueError
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-pid", b"%d" % os.getpid())]})
    if name == "break":
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ValueError
    if name == "stream":
        for part in (b"one ", b"two "):
            await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": body or scope["raw_path"] + b"?" + scope["query_string"]})
"""


class Whole(MembersSite):
    """The site at step 4, and an application without Django."""

    def __init__(self, folder: Path, redis: Redis) -> None:
        super().__init__(folder, redis)
        (folder / "beside.py").write_text(BESIDE)

    @contextlib.contextmanager
    def host(
        self, modules: dict[str, Path], expiry: int = EXPIRY, deadline: int = DEADLINE
    ) -> Iterator[int]:
        """Serves modules. Workers of Tidegate run all but those of the site."""
        config = self.folder / "tidegate.toml"
        settings = SETTINGS.format(expiry, deadline)
        with self.serve(modules, settings, "--no-worker") as port, contextlib.ExitStack() as stack:
            if len(modules) > 1:
                admin = free_port()
                command = [str(tidegate()), "worker", "--config", str(config)]
                command += ["--layer", self.redis.url(), "--admin", f"127.0.0.1:{admin}"]
                command += ["--data-dir", str(self.folder / "worker")]
                command += ["--exclude-channels", "http.request.site"]
                run = running(command, admin, cwd=self.folder, env=tidegate_env())
                stack.enter_context(run)
            yield port

    @contextlib.contextmanager
    def worker(
        self,
        application: str = "mysite.asgi:application",
        cwd: Path = SITE,
        deadline: int = DEADLINE,
    ) -> Iterator[subprocess.Popen[str]]:
        """Runs an application as the worker of the module `site`."""
        command = [sys.executable, "-m", "tidegate", "--layer", self.redis.url(), "asgi"]
        command += [application, "--module", "site", "--deadline", str(deadline)]
        process = subprocess.Popen(
            command, cwd=cwd, env=self.env, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == f"{application} serves site\n"
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                assert process.wait(PATIENCE_SECONDS) == 0
            process.stdout.close()


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[Whole]:
    """The site with users, on a Redis of its own."""
    redis = Redis()
    yield Whole(tmp_path, redis)
    redis.close()


async def test_pages_are_djangos_and_sockets_are_modules_at_one_origin(whole: Whole) -> None:
    with whole.host(MODULES) as port, whole.worker(), whole.worker():
        ada = Browser(port)
        assert (await ada.ask("/nothing/here"))[0] == 404
        status, page, fields = await ada.ask("/chat/lobby/")
        assert (status, fields["content-type"]) == (200, "text/html; charset=utf-8")
        assert "/ws/chat/" in page
        # A form with a token against forgery, cookies, and a redirect.
        await ada.log_in("ada")
        assert (await ada.ask("/tidegate/token/"))[0] == 200
        members = await ada.join(port)
        await members.send('{"message": "ahoy"}')
        await hears(members, "ada: ahoy")
        url = f"ws://127.0.0.1:{port}/ws/chat/lobby/"
        async with connect(url, open_timeout=20) as chat:
            assert (await ada.ask("/chat/lobby/announce", x="1"))[0] == 202
            assert json.loads(await must(chat.recv())) == {"message": "x=1"}
        await ada.log_out()
        await is_closed(members)


async def test_what_an_application_says_is_what_the_client_gets(whole: Whole) -> None:
    application, folder = "beside:application", whole.folder
    with whole.host({"site": ASGI}) as port, whole.worker(application, folder):
        client = Browser(port)
        status, text, _ = await client.ask("/a%20b?c=%20d")
        assert (status, text) == (200, "/a%20b?c=%20d")
        assert (await client.ask("/", x="1"))[1] == "x=1"
        status, text, fields = await client.ask("/stream")
        assert (status, text) == (200, "one two /stream?")
        assert fields["transfer-encoding"] == "chunked"
        # What fails is an error of the host, and a stream that breaks off has no end.
        assert (await client.ask("/fail"))[0] == 500
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /break HTTP/1.1\r\nhost: x\r\n\r\n")
        answer = await must(reader.read())
        writer.close()
        assert b"half" in answer and not answer.endswith(b"0\r\n\r\n")


async def test_a_process_that_is_killed_loses_its_requests_alone(whole: Whole) -> None:
    application, folder = "beside:application", whole.folder
    with whole.host({"site": ASGI}, SHORT_EXPIRY, SHORT_DEADLINE) as port:
        with whole.worker(application, folder, SHORT_DEADLINE) as killed:
            client = Browser(port)
            assert (await client.ask("/die"))[0] == 503
            assert killed.wait(PATIENCE_SECONDS) == -signal.SIGKILL
        # Nobody is there, and Tidegate does not run the module in its place.
        assert (await client.ask("/"))[0] == 503
        with whole.worker(application, folder, SHORT_DEADLINE):
            assert (await client.ask("/"))[:2] == (200, "/?")


async def test_processes_come_and_go_without_an_error(whole: Whole) -> None:
    application, folder = "beside:application", whole.folder
    with whole.host({"site": ASGI}) as port, whole.worker(application, folder):
        client, seen, statuses = Browser(port), set[str](), set[int]()
        is_over = False

        async def ask() -> None:
            while not is_over:
                status, _, fields = await client.ask("/")
                statuses.add(status)
                seen.add(str(fields["x-pid"]))

        asking = [asyncio.create_task(ask()) for _ in range(4)]
        for _ in range(2):
            with whole.worker(application, folder) as worker:
                await eventually(lambda worker=worker: str(worker.pid) in seen)
        is_over = True
        await asyncio.gather(*asking)
        assert statuses == {200}


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["asgi", "nothing.here:application", "--module", "site"], 3, "no application"),
        (["asgi", "mysite.asgi:nothing", "--module", "site"], 3, "no application"),
        (["asgi", "mysite.asgi:__doc__", "--module", "site"], 3, "cannot be called"),
        (["asgi", "mysite.asgi:application", "--module", "Site"], 3, "no name of a module"),
        (["asgi", "mysite.asgi:application", "--module", "a", "--concurrency", "0"], 3, "1 at least"),
    ],
)  # fmt: skip
def test_the_command_says_what_is_wrong(
    whole: Whole, arguments: list[str], status: int, told: str
) -> None:
    command = [sys.executable, "-m", "tidegate", "--layer", whole.redis.url(), *arguments]
    done = subprocess.run(
        command, cwd=SITE, env=whole.env, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    assert told in done.stderr
