"""A Django site and Tidegate that share groups: Daphne and uvicorn, real sockets on both sides."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import browser
import pytest
from conftest import eventually, must
from servers import ROOT, Redis, free_port, running, tidegate, tidegate_env
from websockets.asyncio.client import ClientConnection, connect

from tidegate import Client, SyncClient

SITE = ROOT / "examples/django-chat/site"
MODULE = ROOT / "target/examples/django-chat.wasm"
BIN = Path(sys.executable).parent


def missing() -> str | None:
    """Returns what the tests with Tidegate lack."""
    if tidegate() is None:
        return "there is no `tidegate`: run `cargo build`, or set TIDEGATE"
    if not MODULE.exists():
        return f"{MODULE} is missing: run `make examples`"
    return None


needs_tidegate = pytest.mark.skipif(
    missing() is not None and os.environ.get("CI") != "true", reason=str(missing())
)


class Site:
    """The site of the example at a step, on a Redis of its own."""

    def __init__(self, folder: Path, step: int, redis: Redis) -> None:
        self.folder, self.redis = folder, redis
        self.env = os.environ | {
            "STEP": str(step),
            "REDIS_URL": redis.url(),
            "DATABASE": str(folder / "db.sqlite3"),
            "DJANGO_SETTINGS_MODULE": "mysite.settings",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    @contextlib.contextmanager
    def daphne(self, **env: str) -> Iterator[int]:
        """Serves the site by Daphne."""
        yield from self._serve(
            [str(BIN / "daphne"), "-b", "127.0.0.1", "-p", "{}", "mysite.asgi:application"], env
        )

    @contextlib.contextmanager
    def uvicorn(self, port: int | None = None, **env: str) -> Iterator[int]:
        """Serves the site by uvicorn."""
        command = [str(BIN / "uvicorn"), "--host", "127.0.0.1", "--port", "{}", "--lifespan", "off"]
        yield from self._serve([*command, "mysite.asgi:application"], env, port)

    def _serve(
        self, command: list[str], env: dict[str, str], port: int | None = None
    ) -> Iterator[int]:
        port = port or free_port()
        command = [str(port) if part == "{}" else part for part in command]
        with running(command, port, cwd=SITE, env=self.env | env):
            yield port

    @contextlib.contextmanager
    def tidegate(self, **settings: str) -> Iterator[int]:
        """Serves the module as `chat` by Tidegate, over the same Redis."""
        program = tidegate()
        assert program is not None and MODULE.exists(), missing()
        port = free_port()
        command = [
            str(program),
            "serve",
            "--layer",
            self.redis.url(),
            "--listen",
            f"127.0.0.1:{port}",
        ]
        command += [
            "--admin",
            f"127.0.0.1:{free_port()}",
            "--data-dir",
            str(self.folder / f"tidegate-{port}"),
        ]
        command += ["--module", f"chat={MODULE}"]
        with running(command, port, cwd=self.folder, env=tidegate_env(**settings)):
            yield port

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs `manage.py`."""
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(
            command, cwd=SITE, env=self.env, capture_output=True, text=True, timeout=60
        )

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs `python -m tidegate`."""
        command = [sys.executable, "-m", "tidegate", "--layer", self.redis.url(), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Any]:
    """Makes the site at a step."""
    servers: list[Redis] = []

    def make(step: int) -> Site:
        servers.append(Redis())
        return Site(tmp_path, step, servers[-1])

    yield make
    for server in servers:
        server.close()


@contextlib.asynccontextmanager
async def sockets(*ports: int) -> AsyncIterator[list[ClientConnection]]:
    """Opens a socket of the lobby at each port. Each is a member when it is open."""
    async with contextlib.AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                connect(f"ws://127.0.0.1:{port}/ws/chat/lobby/", open_timeout=20)
            )
            for port in ports
        ]


async def all_hear(members: list[ClientConnection], text: str) -> None:
    """Has all members receive a line, as their next one."""
    for member in members:
        assert json.loads(await must(member.recv())) == {"message": text}


async def all_talk(members: list[ClientConnection]) -> None:
    """Has each member say a line, which all hear."""
    for number, member in enumerate(members):
        await member.send(json.dumps({"message": f"from {number}"}))
        await all_hear(members, f"from {number}")


async def post(port: int, path: str, text: str) -> int:
    """Posts to the site."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/chat/lobby/{path}", text.encode())
    return int((await asyncio.to_thread(urllib.request.urlopen, request)).status)


async def test_step_0_the_chat_of_the_tutorial_over_channels_redis(make_site: Any) -> None:
    site = make_site(0)
    with site.daphne() as daphne, site.uvicorn() as uvicorn:
        async with sockets(daphne, uvicorn) as members:
            await all_talk(members)


async def test_step_1_the_same_consumer_over_tidegate(make_site: Any) -> None:
    site = make_site(1)
    with site.daphne() as daphne, site.uvicorn() as uvicorn:
        async with sockets(daphne, uvicorn, daphne, uvicorn) as members:
            await all_talk(members)


@needs_tidegate
async def test_step_2_sockets_of_django_and_of_tidegate_are_in_one_room(make_site: Any) -> None:
    site = make_site(2)
    assert site.manage("migrate", "--run-syncdb").returncode == 0
    with site.daphne() as daphne, site.uvicorn() as uvicorn, site.tidegate() as tidegate_port:
        async with sockets(daphne, uvicorn, tidegate_port, tidegate_port) as members:
            await all_talk(members)
            for port in (daphne, uvicorn):
                assert await post(port, "announce", "from a view") == 202
                await all_hear(members, "from a view")
                assert await post(port, "notice", "from a signal") == 201
                await all_hear(members, "from a signal")
            frame = {"type": "websocket.send", "text": json.dumps({"message": "from a script"})}
            sent = await asyncio.to_thread(
                site.manage, "tidegate_group_send", "chat_lobby", json.dumps(frame)
            )
            assert (sent.returncode, sent.stdout) == (0, "sent to chat_lobby\n"), sent.stderr
            await all_hear(members, "from a script")
            sent = await asyncio.to_thread(
                site.command, "group-send", "chat.lobby", json.dumps(frame)
            )
            # Daphne, uvicorn and Tidegate are a node each.
            assert sent.stdout == "sent to 3 nodes and channels of chat.lobby; 0 were full\n", (
                sent.stderr
            )
            await all_hear(members, "from a script")
            # The handler is found by the type; sockets of Tidegate do not know it.
            typed = json.dumps({"type": "chat.message", "message": "typed"})
            program = str(tidegate())
            send = [program, "group-send", "chat.lobby", typed, "--layer", site.redis.url()]
            await asyncio.to_thread(
                subprocess.run, send, check=True, capture_output=True, cwd=site.folder
            )
            await all_hear(members[:2], "typed")
            await all_talk(members)
            close = json.dumps({"type": "websocket.close", "code": 4000})
            await asyncio.to_thread(site.manage, "tidegate_group_send", "chat_lobby", close)
            for member in members:
                await must(member.wait_closed())
                assert member.close_code == 4000


@needs_tidegate
@pytest.mark.skipif(
    browser.missing() is not None and os.environ.get("CI") != "true", reason=str(browser.missing())
)
async def test_pages_of_both_kinds_of_sockets_talk_in_a_browser(make_site: Any) -> None:
    site = make_site(2)
    with contextlib.ExitStack() as stack:
        # The page of the second site opens its socket at Tidegate, which is another origin.
        second = free_port()
        origin = f"http://127.0.0.1:{second}"
        tidegate_port = stack.enter_context(site.tidegate(TIDEGATE_INTERFACE_ORIGINS=origin))
        first = stack.enter_context(site.daphne())
        at = f"ws://127.0.0.1:{tidegate_port}"
        stack.enter_context(site.uvicorn(port=second, SOCKETS_AT=at))
        driver = stack.enter_context(browser.driver())
        pages = [await browser.page(driver) for _ in range(2)]
        for page, port in zip(pages, (first, second), strict=True):
            await page.open(f"http://127.0.0.1:{port}/chat/lobby/")
            await eventually(lambda page=page: shows(page, "return document.title", "lobby: open"))
        log = "return document.querySelector('#chat-log').value"
        said = ""
        for number, speaker in enumerate(pages):
            said += f"from {number}\n"
            await speaker.run(SAY, f"from {number}")
            for page in pages:
                await eventually(lambda page=page, said=said: shows(page, log, said))


SAY = """
    document.querySelector('#chat-message-input').value = arguments[0];
    document.querySelector('#chat-message-submit').click();
"""


async def shows(page: browser.Page, script: str, expected: str) -> bool:
    """Whether a script in a page returns something."""
    return bool(await page.run(script) == expected)


@needs_tidegate
async def test_a_room_outlives_each_process_that_leaves_it(make_site: Any) -> None:
    site = make_site(2)
    with site.daphne() as daphne:
        async with sockets(daphne, daphne) as stay:
            with site.uvicorn() as uvicorn, site.tidegate() as tidegate_port:
                async with sockets(uvicorn, tidegate_port) as members:
                    await all_talk([*stay, *members])
            await all_talk(stay)


@needs_tidegate
async def test_named_channels_are_shared_both_ways(make_site: Any) -> None:
    site = make_site(1)
    program = str(tidegate())
    async with Client(site.redis.url()) as client:
        waiting = asyncio.ensure_future(client.receive("thumbnails.make"))
        send = [
            program,
            "send",
            "thumbnails.make",
            '{"type":"make","image":7}',
            "--layer",
            site.redis.url(),
        ]
        await asyncio.to_thread(
            subprocess.run, send, check=True, capture_output=True, cwd=site.folder
        )
        assert await must(waiting) == {"type": "make", "image": 7}
        sent = await asyncio.to_thread(
            site.manage, "tidegate_send", "thumbnails.make", '{"image": 8}'
        )
        assert sent.stdout == "sent to thumbnails.make\n", sent.stderr
        assert await must(client.receive("thumbnails.make")) == {"image": 8}


@pytest.mark.parametrize(
    ("step", "arguments", "status", "told"),
    [
        (1, ["tidegate_send", "a b", "{}"], 3, "it has ' '"),
        (1, ["tidegate_send", "a", "[]"], 3, "an object of JSON"),
        (1, ["tidegate_send", "a", "{}", "--layer", "other"], 3, "no layer of Tidegate as 'other'"),
        (0, ["tidegate_send", "a", "{}"], 3, "set its BACKEND to 'tidegate.channels.ChannelLayer'"),
    ],
)
def test_a_command_says_what_is_wrong(
    make_site: Any, step: int, arguments: list[str], status: int, told: str
) -> None:
    done = make_site(step).manage(*arguments)
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    assert told in done.stderr


def test_commands_tell_full_and_unreachable_apart(make_site: Any) -> None:
    site = make_site(1)
    with SyncClient(site.redis.url()) as client:
        for _ in range(100):
            client.send("a", {})
    for run in (
        lambda: site.manage("tidegate_send", "a", "{}"),
        lambda: site.command("send", "a", "{}"),
    ):
        done = run()
        assert (done.returncode, done.stdout) == (11, ""), done.stderr
        assert "channel a is full" in done.stderr
    site.redis.stop()
    for run in (
        lambda: site.manage("tidegate_send", "a", "{}"),
        lambda: site.command("send", "a", "{}"),
    ):
        done = run()
        assert (done.returncode, done.stdout) == (10, ""), done.stderr
        assert "start Redis there" in done.stderr
    site.redis.start()


def test_a_script_receives_what_is_sent(make_site: Any) -> None:
    site = make_site(1)
    assert site.command("send", "out", '{"n": 1}').stdout == "sent to out\n"
    assert site.command("send", "out", '{"n": 2}', "--delay", "0.1").returncode == 0
    done = site.command("receive", "out", "--count", "2")
    assert [json.loads(line) for line in done.stdout.splitlines()] == [{"n": 1}, {"n": 2}]
