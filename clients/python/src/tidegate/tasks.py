"""Ends tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

# How long a task that was cancelled may take before it is cancelled once more.
AGAIN_SECONDS = 0.2


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancels tasks and waits until they have ended.

    `asyncio.wait_for` of Python 3.11, which the Redis library uses, loses a cancellation that comes
    when its work is just done. So a task may need another one.
    """
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=AGAIN_SECONDS)
