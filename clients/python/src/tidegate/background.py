"""A thread with an event loop of its own, for callers of any event loop or of none."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from .client import Client

T = TypeVar("T")

# How long the end of the process waits for the node to sign off.
EXIT_SECONDS = 2.0

_all: weakref.WeakSet[Background] = weakref.WeakSet()


class Background:
    """A client in a thread of its own. After a fork the child has another client and another thread."""

    def __init__(self, make: Callable[[], Client]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._running: tuple[asyncio.AbstractEventLoop, Client] | None = None
        _all.add(self)

    def running(self) -> tuple[asyncio.AbstractEventLoop, Client]:
        """Returns the thread's event loop and the client in it."""
        running = self._running
        if running is not None:
            return running
        with self._lock:
            if self._running is None:
                loop = asyncio.new_event_loop()
                started: concurrent.futures.Future[Client] = concurrent.futures.Future()
                thread = threading.Thread(
                    target=self._run, args=(loop, started), name="tidegate", daemon=True
                )
                thread.start()
                self._running = (loop, started.result())
            return self._running

    def _run(
        self, loop: asyncio.AbstractEventLoop, started: concurrent.futures.Future[Client]
    ) -> None:
        asyncio.set_event_loop(loop)

        def make() -> None:
            try:
                started.set_result(self._make())
            except BaseException as error:
                started.set_exception(error)
                loop.stop()

        loop.call_soon(make)
        try:
            loop.run_forever()
        finally:
            loop.close()

    def submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Runs a coroutine in the thread."""
        return asyncio.run_coroutine_threadsafe(work, self.running()[0])

    async def ask(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine in the thread, for a caller in another event loop."""
        return await asyncio.wrap_future(self.submit(work))

    def wait(self, work: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Runs a coroutine in the thread, for a caller without event loop."""
        future = self.submit(work)
        try:
            return future.result(timeout)
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> concurrent.futures.Future[None] | None:
        """Begins to close the client and to end the thread. Another call of it begins anew."""
        with self._lock:
            running, self._running = self._running, None
        if running is None:
            return None
        loop, client = running

        async def end() -> None:
            try:
                await client.close()
            finally:
                loop.call_soon(loop.stop)

        return asyncio.run_coroutine_threadsafe(end(), loop)

    def forked(self) -> None:
        """Forgets the thread, which a forked child does not have, and its connections."""
        self._lock = threading.Lock()
        self._running = None


def _at_exit() -> None:
    for ending in [background.stop() for background in list(_all)]:
        if ending is not None:
            with contextlib.suppress(Exception):
                ending.result(EXIT_SECONDS)


def _after_fork() -> None:
    for background in list(_all):
        background.forked()


atexit.register(_at_exit)
os.register_at_fork(after_in_child=_after_fork)
