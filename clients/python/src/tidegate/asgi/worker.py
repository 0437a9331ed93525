"""Runs an ASGI application as the worker of a module: the host serves its requests by the application.

    python -m tidegate --layer redis://127.0.0.1:6379/0 asgi mysite.asgi:application --module site

The module has the routes, and `tidegate worker --exclude-channels http.request.site` leaves its requests to
this program. Any number of processes may run the application; each request goes to one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from .. import tasks
from ..client import Client, options
from ..errors import ConfigError
from ..intake import Reader
from ..names import check_module
from ..node import PAUSE_SECONDS
from ..outage import Outage
from ..wire import event_in_entry
from .connection import Receive, Scope, Send
from .lifespan import Lifespan
from .run import Run

__all__ = ["Application", "Worker"]

logger = logging.getLogger("tidegate")

Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Worker:
    """The worker. Settings are those of `tidegate.Client`, and

    - `module`: whose requests the application serves;
    - `concurrency`: requests that run at the same time; others wait in the channel;
    - `deadline`: seconds that a request may take. It is `limits.deadline` of the module as well.
    """

    def __init__(
        self,
        application: Application,
        url: str | None = None,
        *,
        module: str,
        concurrency: int = 32,
        deadline: float = 30.0,
        **settings: Any,
    ) -> None:
        options(url, settings).topology()
        if concurrency < 1:
            raise ConfigError(f"concurrency is {concurrency!r}; it is 1 at least")
        if not deadline > 0:
            raise ConfigError(f"deadline is {deadline!r}; it is a number of seconds above 0")
        self._application = application
        self._channel = f"http.request.{check_module(module)}"
        self._client = Client(url, **settings)
        self._concurrency, self._deadline = concurrency, deadline
        self._running: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._stopping = False

    def stop(self) -> None:
        """Takes no more requests. `run` returns when those that run are over."""
        self._stopping = True
        self._changed.set()

    async def run(self, on_start: Callable[[], None] = lambda: None) -> None:
        """Serves requests until `stop`, and then ends those that it has begun.

        `on_start` is called when the application has started. Cancelled, it ends requests at once. Raises
        `StartFailed` where the application does not start, and `TidegateError` where Redis is not there at
        first.
        """
        lifespan = Lifespan(self._application)
        try:
            reader = await self._client.reader(self._channel)
            await lifespan.start()
            on_start()
            try:
                try:
                    await self._serve(reader, lifespan.state)
                finally:
                    await reader.close()
                if self._running:
                    await asyncio.wait(self._running)
            finally:
                await tasks.end(self._running)
                await lifespan.stop()
        finally:
            await self._client.close()

    async def _serve(self, reader: Reader, state: dict[str, Any]) -> None:
        outage = Outage(f"reading channel {self._channel}")
        while not self._stopping:
            self._changed.clear()
            free = self._concurrency - len(self._running)
            if free == 0:
                await self._changed.wait()
                continue
            try:
                has_more = await self._take(reader, free, state)
                outage.worked()
                if not has_more:
                    await self._wait(reader)
            except Exception as error:
                outage.failed(error)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PAUSE_SECONDS):
                        await self._changed.wait()

    async def _take(self, reader: Reader, most: int, state: dict[str, Any]) -> bool:
        """Begins requests, and returns whether there are more."""
        taking = asyncio.ensure_future(reader.take(most))
        try:
            await asyncio.shield(taking)
        except asyncio.CancelledError:
            # No other worker has a request that this one took: it is begun, so that its end is told.
            await asyncio.wait([taking])
            if taking.exception() is None:
                for entry in taking.result()[0]:
                    self._begin(entry, state)
            raise
        entries, has_more = taking.result()
        for entry in entries:
            self._begin(entry, state)
        return has_more

    async def _wait(self, reader: Reader) -> None:
        """Waits for a hint that there is something to read, or for the end."""
        hint = asyncio.ensure_future(reader.wait())
        changed = asyncio.ensure_future(self._stopped())
        try:
            await asyncio.wait({hint, changed}, return_when=asyncio.FIRST_COMPLETED)
            if hint.done():
                hint.result()
        finally:
            await tasks.end(task for task in (hint, changed) if not task.done())

    async def _stopped(self) -> None:
        while not self._stopping:
            self._changed.clear()
            await self._changed.wait()

    def _begin(self, entry: bytes, state: dict[str, Any]) -> None:
        event = event_in_entry(entry)
        try:
            if event is None or event.get("type") != "http.request":
                raise ValueError("it is not a request")
            run = Run(self._client, event, state)
        except (ValueError, TypeError, KeyError) as error:
            logger.warning(
                "a message of channel %s cannot be read, and is dropped: %s", self._channel, error
            )
            return
        task = asyncio.create_task(run.serve(self._application, self._deadline))
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._changed.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a request is not answered", exc_info=error)
