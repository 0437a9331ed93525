"""Keeps the messages of this process until a receiver takes them, in any thread and event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

Waiter = asyncio.Future[None]
Woken = dict[asyncio.AbstractEventLoop, list[tuple[str, Waiter]]]


@dataclass
class Mailbox:
    """The messages that wait for one channel, and its receivers."""

    messages: deque[tuple[float, bytes]] = field(default_factory=deque)
    waiters: deque[Waiter] = field(default_factory=deque)
    # Receivers that were woken and have not looked yet; each takes one message.
    woken: set[Waiter] = field(default_factory=set)
    # Messages that this process has sent to the channel and that have not come back yet.
    expected: int = 0

    def drop_expired(self, now: float) -> None:
        """Drops the messages whose time is over; the oldest are first."""
        while self.messages and self.messages[0][0] <= now:
            self.messages.popleft()

    def next_waiter(self) -> Waiter | None:
        """Takes the first waiter whose event loop still runs."""
        while self.waiters:
            waiter = self.waiters.popleft()
            if not (waiter.done() or waiter.get_loop().is_closed()):
                return waiter
        return None


class Mailboxes:
    """The mailboxes of a process. All methods may be called from any thread."""

    def __init__(
        self,
        expiry: float,
        capacity_of: Callable[[str], int],
        on_wait: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._expiry = expiry
        self._capacity_of = capacity_of
        # Called with each channel for which a receiver begins to wait.
        self._on_wait = on_wait
        self._boxes: dict[str, Mailbox] = {}
        self._lock = threading.Lock()
        self._error: Exception | None = None

    def put(self, deliveries: Iterable[tuple[str, bytes]]) -> list[str]:
        """Adds messages and wakes their receivers. Returns the channels that had no room."""
        full = []
        woken: Woken = {}
        with self._lock:
            now = time.monotonic()
            for channel, content in deliveries:
                box = self._boxes.get(channel)
                if box is None:
                    box = self._boxes[channel] = Mailbox()
                if self._is_full(channel, box, now):
                    full.append(channel)
                    continue
                box.messages.append((now + self._expiry, content))
                self._choose(channel, box, woken)
        self._wake(woken)
        return full

    def _is_full(self, channel: str, box: Mailbox, now: float, more: int = 0) -> bool:
        capacity = self._capacity_of(channel)
        if len(box.messages) + more < capacity:
            return False
        box.drop_expired(now)
        return len(box.messages) + more >= capacity

    def _choose(self, channel: str, box: Mailbox, woken: Woken) -> None:
        waiter = box.next_waiter()
        if waiter is not None:
            box.woken.add(waiter)
            woken.setdefault(waiter.get_loop(), []).append((channel, waiter))

    def _wake(self, woken: Woken) -> None:
        for loop, waiters in woken.items():
            try:
                loop.call_soon_threadsafe(_wake_all, waiters)
            except RuntimeError:
                # The loop was closed meanwhile: other receivers of these channels are woken.
                again: Woken = {}
                with self._lock:
                    for channel, waiter in waiters:
                        box = self._boxes.get(channel)
                        if box is None:
                            continue
                        box.woken.discard(waiter)
                        if box.messages:
                            self._choose(channel, box, again)
                self._wake(again)

    async def take(self, channel: str) -> bytes:
        """Waits for the first message of a channel. Cancellation loses none."""
        waiter: Waiter | None = None
        while True:
            with self._lock:
                box = self._boxes.get(channel)
                if waiter is not None and box is not None:
                    box.woken.discard(waiter)
                if box is not None and box.messages:
                    box.drop_expired(time.monotonic())
                    if box.messages:
                        content = box.messages.popleft()[1]
                        self._forget_if_idle(channel, box)
                        return content
                if self._error is not None:
                    raise self._error
                if box is None:
                    box = self._boxes[channel] = Mailbox()
                waiter = asyncio.get_running_loop().create_future()
                box.waiters.append(waiter)
            try:
                self._on_wait(channel)
                await waiter
            except BaseException:
                self._give_up(channel, waiter)
                raise

    def _give_up(self, channel: str, waiter: Waiter) -> None:
        woken: Woken = {}
        with self._lock:
            box = self._boxes.get(channel)
            if box is None:
                return
            if waiter in box.woken:
                # It does not take the message that it was woken for.
                box.woken.discard(waiter)
                if box.messages:
                    self._choose(channel, box, woken)
            elif waiter in box.waiters:
                box.waiters.remove(waiter)
            self._forget_if_idle(channel, box)
        self._wake(woken)

    def _forget_if_idle(self, channel: str, box: Mailbox) -> None:
        if not (box.messages or box.waiters or box.woken or box.expected):
            self._boxes.pop(channel, None)

    def expect(self, channel: str) -> bool:
        """Counts a message that is sent to the channel. False where there is no room for it."""
        with self._lock:
            box = self._boxes.get(channel)
            if box is None:
                box = self._boxes[channel] = Mailbox()
            if self._is_full(channel, box, time.monotonic(), box.expected):
                self._forget_if_idle(channel, box)
                return False
            box.expected += 1
            return True

    def arrived(self, channel: str) -> None:
        """Says that a message that was expected has come, or will not."""
        with self._lock:
            box = self._boxes.get(channel)
            if box is not None:
                box.expected = max(0, box.expected - 1)
                self._forget_if_idle(channel, box)

    def wanted(self, channel: str) -> int:
        """Returns how many receivers wait for whom there is no message yet."""
        with self._lock:
            box = self._boxes.get(channel)
            if box is None:
                return 0
            waiting = sum(not (w.done() or w.get_loop().is_closed()) for w in box.waiters)
            return max(0, waiting - max(0, len(box.messages) - len(box.woken)))

    def sweep(self) -> None:
        """Drops expired messages, and idle mailboxes."""
        with self._lock:
            now = time.monotonic()
            for channel, box in list(self._boxes.items()):
                box.drop_expired(now)
                box.waiters = deque(w for w in box.waiters if not w.get_loop().is_closed())
                box.woken = {w for w in box.woken if not w.get_loop().is_closed()}
                self._forget_if_idle(channel, box)

    def clear(self) -> None:
        """Drops all messages."""
        with self._lock:
            for channel, box in list(self._boxes.items()):
                box.messages.clear()
                box.expected = 0
                self._forget_if_idle(channel, box)

    def fail(self, error: Exception) -> None:
        """Has all receivers fail, those that wait and those to come."""
        woken: Woken = {}
        with self._lock:
            self._error = error
            for channel, box in self._boxes.items():
                while box.waiters:
                    self._choose(channel, box, woken)
        self._wake(woken)


def _wake_all(waiters: list[tuple[str, Waiter]]) -> None:
    for _, waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
