"""The events between the task of a socket and the loop that reads them."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Feed(Generic[T]):
    """First in, first out. One task puts, any number of tasks take."""

    def __init__(self, most: int) -> None:
        self._most = most
        # None is the end.
        self._items: asyncio.Queue[T | None] = asyncio.Queue()
        self._room = asyncio.Event()

    async def put(self, item: T) -> None:
        """Puts an item as soon as there is room. Cancellation drops it."""
        while self._items.qsize() >= self._most:
            self._room.clear()
            await self._room.wait()
        self.push(item)

    def push(self, item: T) -> None:
        """Puts an item, whether there is room or not."""
        self._items.put_nowait(item)

    def end(self) -> None:
        """Says that no more items come."""
        self._items.put_nowait(None)

    async def take(self) -> T | None:
        """Waits for the next item; `None` at the end. Cancellation loses none."""
        item = await self._items.get()
        self._room.set()
        if item is None:
            # For the other tasks that wait, and for those that ask once more.
            self.end()
        return item
