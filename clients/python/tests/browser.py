"""Pages in Chromium, by chromedriver."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import urllib.request
from collections.abc import Iterator
from typing import Any

from servers import free_port, running

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def missing() -> str | None:
    """Returns what tests in a browser lack."""
    if shutil.which("chromedriver") and any(map(shutil.which, PROGRAMS)):
        return None
    return "there is no Chromium with chromedriver: apt-get install chromium chromium-driver"


class Page:
    """A page in a browser of its own."""

    def __init__(self, session: str) -> None:
        self._session = session

    async def open(self, url: str) -> None:
        """Opens a page."""
        await _post(f"{self._session}/url", {"url": url})

    async def run(self, script: str, *arguments: Any) -> Any:
        """Runs a script in the page."""
        return await _post(
            f"{self._session}/execute/sync", {"script": script, "args": list(arguments)}
        )


async def _post(url: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"content-type": "application/json"}
    )

    def answer() -> Any:
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)["value"]

    return await asyncio.to_thread(answer)


@contextlib.contextmanager
def driver() -> Iterator[str]:
    """Runs chromedriver. Its end ends the browsers."""
    program = shutil.which("chromedriver")
    assert program is not None, missing()
    port = free_port()
    with running([program, f"--port={port}"], port):
        yield f"http://127.0.0.1:{port}"


async def page(driver: str) -> Page:
    """Starts a browser."""
    program = next(filter(None, map(shutil.which, PROGRAMS)))
    options = {
        "binary": program,
        "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
    }
    wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
    return Page(f"{driver}/session/{(await _post(f'{driver}/session', wanted))['sessionId']}")
