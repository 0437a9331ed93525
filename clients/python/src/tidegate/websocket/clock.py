"""The clock of a socket. A test has its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from .. import tasks

T = TypeVar("T")


class Clock(Protocol):
    """Tells and waits for times, in seconds."""

    def now(self) -> float:
        """Returns a time that only grows."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Waits. Cancellation ends it."""
        ...


class LoopClock:
    """The clock of the process."""

    def now(self) -> float:
        """Returns the monotonic time."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Waits by the event loop."""
        await asyncio.sleep(seconds)


async def within(clock: Clock, seconds: float | None, work: Coroutine[Any, Any, T]) -> T:
    """Waits for work that may take so long, or without end for `None`.

    Raises `TimeoutError` and cancels the work if it takes longer. Cancellation cancels the work.
    """
    if seconds is None:
        return await work
    task = asyncio.create_task(work)
    timer = asyncio.create_task(clock.sleep(seconds))
    try:
        await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise TimeoutError(f"it took longer than {seconds} s")
    finally:
        await tasks.end([task, timer])
