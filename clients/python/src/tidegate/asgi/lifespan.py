"""The beginning and the end of an ASGI application."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from .. import tasks

logger = logging.getLogger("tidegate")

# How long an application may take to end.
STOP_SECONDS = 30.0


class StartFailed(Exception):
    """The application says that it cannot start."""


class Lifespan:
    """Tells an application of its beginning and its end, if it listens. Many do not, and raise."""

    def __init__(self, application: Any) -> None:
        # What the application shares with its requests.
        self.state: dict[str, Any] = {}
        self._application = application
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._started = asyncio.Event()
        self._ended = asyncio.Event()
        self._failure: str | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins. Raises `StartFailed` where the application says so."""
        self._task = asyncio.create_task(self._live())
        self._events.put_nowait({"type": "lifespan.startup"})
        try:
            await self._started.wait()
            if self._failure is not None:
                raise StartFailed(f"the application does not start: {self._failure}")
        except BaseException:
            await tasks.end([self._task])
            raise

    async def _live(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}}
        try:
            await self._application(scope | {"state": self.state}, self._events.get, self._hear)
        except Exception as error:
            # The specification has a server go on then.
            logger.debug("the application does not listen to its lifespan: %r", error)
        finally:
            self._started.set()
            self._ended.set()

    async def _hear(self, message: Any) -> None:
        kind = message["type"]
        if kind.endswith(".failed"):
            text = str(message.get("message") or "it gives no reason")
            if kind == "lifespan.startup.failed":
                self._failure = text
            else:
                logger.error("the application fails to end: %s", text)
        (self._started if "startup" in kind else self._ended).set()

    async def stop(self) -> None:
        """Ends, and waits until the application has ended, for `STOP_SECONDS` at most."""
        if self._task is None or self._task.done():
            return
        self._events.put_nowait({"type": "lifespan.shutdown"})
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._ended.wait()
        except TimeoutError:
            logger.error("the application does not end within %g s", STOP_SECONDS)
        await tasks.end([self._task])
