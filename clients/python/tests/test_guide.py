"""The commands of docs/django.md, as they stand there, in a clean folder and a clean environment."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import browser
import pytest
from conftest import eventually, must
from servers import ROOT, Redis, free_port, running, tidegate, tidegate_env
from test_django import SAY, needs_tidegate, shows
from test_users import Browser, hears
from websockets.asyncio.client import connect

GUIDE = ROOT / "docs/django.md"
# What pip has fetched before, by the hashes of requirements.txt.
WHEELS = Path(sys.executable).parent.parent / "wheels"
MODULES = {"django-chat": "django_chat", "django-members": "django_members", "asgi": "asgi"}
# What the commands need of the repository.
PARTS = ("clients/python", "examples/django-chat/site", "host/src/layer/redis/scripts")
LEFT_OUT = shutil.ignore_patterns(
    "venv", "sdk", "*.pem", "*.sqlite3", "*.wasm", "tidegate-data", "__pycache__"
)
PASSWORD = "high tide"


def missing() -> str | None:
    """Returns what the test lacks."""
    lacking = [name for name in MODULES if not (ROOT / f"target/examples/{name}.wasm").exists()]
    if lacking:
        return f"target/examples/{lacking[0]}.wasm is missing: run `make examples`"
    if not WHEELS.is_dir():
        return f"{WHEELS} is missing: run `scripts/test-client-python` without arguments once"
    programs = [program for program in ("curl", "openssl") if shutil.which(program) is None]
    return f"there is no {programs[0]}" if programs else browser.missing()


pytestmark = [
    needs_tidegate,
    # It installs, compiles and starts what a reader would.
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        missing() is not None and os.environ.get("CI") != "true", reason=str(missing())
    ),
]


def blocks(step: str) -> Iterator[list[str]]:
    """Returns the commands of a part of the guide, block by block."""
    for part in re.split(r"^## ", GUIDE.read_text(), flags=re.MULTILINE):
        if not part.startswith(step):
            continue
        for block in re.findall(r"^```sh\n(.*?)^```$", part, flags=re.MULTILINE | re.DOTALL):
            yield re.sub(r"\\\n\s*", "", block).splitlines()


class Guide:
    """A copy of what the guide works with, and its servers on free ports."""

    def __init__(self, folder: Path, redis: Redis) -> None:
        for part in PARTS:
            shutil.copytree(ROOT / part, folder / part, ignore=LEFT_OUT)
        for licence in ROOT.glob("LICENSE-*"):
            shutil.copy(licence, folder)
        built = folder / "examples/target/wasm32-wasip2/release"
        built.mkdir(parents=True)
        for name, file in MODULES.items():
            shutil.copy(ROOT / f"target/examples/{name}.wasm", built / f"{file}.wasm")
        self.site = folder / "examples/django-chat/site"
        self.pages, self.others, self.tidegate = (free_port() for _ in range(3))
        self._ports = {
            "6379": redis.port,
            "8080": self.pages,
            "8081": self.others,
            "8000": self.tidegate,
        }
        self.env = self._environment(folder, redis)

    def _environment(self, folder: Path, redis: Redis) -> dict[str, str]:
        """Has the commands find what they name. The modules are built, so cargo has nothing to do."""
        programs = {
            "python3": [str(getattr(sys, "_base_executable", sys.executable))],
            "tidegate": [str(tidegate())],
            "cargo": ["true"],
        }
        at = folder / "bin"
        at.mkdir()
        for name, command in programs.items():
            (at / name).write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
            (at / name).chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
        return tidegate_env() | kept | {
            "PATH": f"{at}{os.pathsep}{os.environ['PATH']}",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(WHEELS),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "TIDEGATE_ADMIN": "127.0.0.1:0",
            # In the place of the default of the settings, which the commands leave out.
            "REDIS_URL": redis.url(),
        }  # fmt: skip

    def _there(self, command: str) -> str:
        """Returns a command with the ports of the test."""
        for port, there in self._ports.items():
            command = re.sub(rf"\b{port}\b", str(there), command)
        return command

    @contextlib.contextmanager
    def served(self, commands: list[str]) -> Iterator[None]:
        """Runs commands. Servers among them run until the end of the block."""
        with contextlib.ExitStack() as stack:
            for command in map(self._there, commands):
                listens = re.search(r"runserver (\d+)|--listen 127\.0\.0\.1:(\d+)", command)
                shell = ["sh", "-c", f"exec env {command}"]
                if listens is not None:
                    port = int(listens[1] or listens[2])
                    stack.enter_context(running(shell, port, cwd=self.site, env=self.env))
                elif " asgi " in command or "tidegate worker" in command:
                    # A worker listens nowhere: the port is that of the host in front.
                    stack.enter_context(running(shell, self.tidegate, cwd=self.site, env=self.env))
                else:
                    self.run(command)
            yield

    def run(self, command: str) -> None:
        """Runs a command to its end."""
        done = subprocess.run(
            ["sh", "-c", self._there(command)],
            cwd=self.site,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def guide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guide]:
    """The guide after what stands before its first step."""
    redis = Redis()
    guide = Guide(tmp_path_factory.mktemp("guide"), redis)
    for block in blocks("# From"):
        for command in block:
            guide.run(command)
    yield guide
    redis.close()


async def talk(*ports: int) -> None:
    """Has a socket of the lobby at each port say a line, which all hear."""
    async with contextlib.AsyncExitStack() as stack:
        members = [
            await stack.enter_async_context(
                connect(f"ws://127.0.0.1:{port}/ws/chat/lobby/", open_timeout=20)
            )
            for port in ports
        ]
        for number, member in enumerate(members):
            await member.send(json.dumps({"message": f"from {number}"}))
            for other in members:
                await hears(other, f"from {number}")


@pytest.mark.parametrize("step", ["Step 0", "Step 1"])
async def test_the_site_runs_over_either_layer(guide: Guide, step: str) -> None:
    [commands] = blocks(step)
    with guide.served(commands):
        await talk(guide.pages, guide.pages)


async def test_step_2_pages_at_django_and_at_tidegate_talk_in_a_browser(guide: Guide) -> None:
    tidegate_commands, site_commands, from_outside = blocks("Step 2")
    with contextlib.ExitStack() as stack:
        stack.enter_context(guide.served(tidegate_commands))
        stack.enter_context(guide.served(site_commands))
        await talk(guide.pages, guide.others, guide.tidegate)
        driver = stack.enter_context(browser.driver())
        pages = [await browser.page(driver) for _ in range(2)]
        for page, port in zip(pages, (guide.pages, guide.others), strict=True):
            await page.open(f"http://127.0.0.1:{port}/chat/lobby/")
            await eventually(lambda page=page: shows(page, "return document.title", "lobby: open"))
        await pages[0].run(SAY, "ahoy")
        said = "ahoy\n"
        log = "return document.querySelector('#chat-log').value"
        for page in pages:
            await eventually(lambda page=page: shows(page, log, "ahoy\n"))
        told = ("back in five minutes", "kept, and told by a signal", "from a command")
        assert len(from_outside) == len(told)
        for command, line in zip(from_outside, told, strict=True):
            guide.run(command)
            said += f"{line}\n"
            for page in pages:
                await eventually(lambda page=page, said=said: shows(page, log, said))


async def sign_in(port: int) -> Browser:
    """Signs in as the user that the guide makes."""
    ada = Browser(port)
    await ada.log_in("ada", PASSWORD)
    return ada


async def test_steps_3_and_4_sign_in_at_the_site_and_then_behind_tidegate(guide: Guide) -> None:
    keys, step_3 = blocks("Step 3")
    with guide.served(keys), guide.served(step_3):
        ada = await sign_in(guide.pages)
        members = await ada.join(guide.tidegate)
        await members.send('{"message": "ahoy"}')
        await hears(members, "ada: ahoy")
        await ada.log_out()
        await must(members.wait_closed())
        assert members.close_code == 4401
    [step_4] = blocks("Step 4")
    with guide.served(step_4):
        url = f"http://127.0.0.1:{guide.tidegate}/chat/lobby/"
        assert urllib.request.urlopen(url, timeout=60).status == 200
        await talk(guide.tidegate, guide.tidegate)
        ada = await sign_in(guide.tidegate)
        members = await ada.join(guide.tidegate)
        await members.send('{"message": "ahoy"}')
        await hears(members, "ada: ahoy")
        await members.close()
