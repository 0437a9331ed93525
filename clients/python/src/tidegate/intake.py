"""Receives from named channels: those that no process owns, such as one of a worker."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time

from . import tasks
from .cluster import Partitions
from .connection import Line
from .errors import TidegateError
from .mailbox import Mailboxes
from .node import BLOCK_SECONDS, PAUSE_SECONDS, micros
from .outage import Outage
from .wire import content_of

logger = logging.getLogger("tidegate")

OWNER = "python"
# How long a channel is read on after its last receiver had its message.
LINGER_SECONDS = 5.0
# A ceiling of slots that one owner may hold: there is none here.
NO_CEILING = 1_000_000


class Intake:
    """Takes messages of named channels for receivers that wait for them, and no more than those."""

    def __init__(self, partitions: Partitions, mailboxes: Mailboxes, lease: float) -> None:
        self._partitions = partitions
        self._mailboxes = mailboxes
        self._lease = lease
        self._readers: dict[str, tuple[asyncio.Task[None], asyncio.Event]] = {}

    def want(self, channel: str) -> None:
        """Has a channel read until its receivers have messages. Called after each began to wait."""
        if channel in self._readers:
            self._readers[channel][1].set()
            return
        wanted = asyncio.Event()
        wanted.set()
        task = asyncio.create_task(self._read(channel, wanted))
        self._readers[channel] = (task, wanted)

    async def stop(self) -> None:
        """Stops reading."""
        await tasks.end(task for task, _ in self._readers.values())

    async def _read(self, channel: str, wanted: asyncio.Event) -> None:
        reader = Reader(self._partitions, channel, self._lease)
        outage = Outage(f"reading channel {channel}")
        try:
            while True:
                wanted.clear()
                most = self._mailboxes.wanted(channel)
                if most == 0:
                    await reader.give_back()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(LINGER_SECONDS):
                            await wanted.wait()
                    if not wanted.is_set():
                        return
                    continue
                try:
                    entries, has_more = await reader.take(most)
                    contents = [content_of(entry) for entry in entries]
                    readable = [content for content in contents if content is not None]
                    if len(readable) < len(contents):
                        logger.warning(
                            "a message of channel %s cannot be read, and is dropped", channel
                        )
                    self._mailboxes.put((channel, content) for content in readable)
                    if not readable and not has_more:
                        await reader.wait()
                    outage.worked()
                except Exception as error:
                    outage.failed(error)
                    await asyncio.sleep(PAUSE_SECONDS)
        finally:
            self._readers.pop(channel, None)
            await reader.close()


class Reader:
    """Reads one channel. All processes that read the same one are the same reader."""

    def __init__(self, partitions: Partitions, channel: str, lease: float) -> None:
        self._partitions = partitions
        self._channel = channel
        self._lease = lease
        self._partition = partitions.of(channel)
        self._name = hashlib.sha256(f"{channel} {OWNER}\n".encode()).hexdigest()[:32]
        self._wake = f"{partitions.base(self._partition)}wake:{self._name}"
        self._said_at = 0.0
        self._line: Line | None = None
        # Whether a hint was waited for since entries were taken: no other process has it then.
        self._may_hold_hint = False

    async def take(self, most: int) -> tuple[list[bytes], bool]:
        """Takes entries, and says whether there are more. One that is cancelled may lose what it took."""
        if time.monotonic() - self._said_at > self._lease / 3:
            await self._say()
        known, more, taken = await self._receive(min(most, 64))
        if not known:
            await self._say()
            return [], True
        return list(taken[1::3]), more or bool(taken)

    async def _receive(self, most: int) -> tuple[bool, bool, list[bytes]]:
        answer = await self._partitions.call(
            "receive", self._partition, self._name, most, NO_CEILING
        )
        known, _, more, _, _, taken = answer
        self._may_hold_hint = False
        return bool(known), bool(more), taken

    async def give_back(self) -> None:
        """Wakes another process where entries are left and this one may have its hint.

        Where Redis is away the others look by themselves, a second later.
        """
        if self._may_hold_hint:
            with contextlib.suppress(TidegateError):
                await self._receive(0)

    async def _say(self) -> None:
        lease = micros(self._lease)
        await self._partitions.call(
            "read_by", self._partition, self._name, lease, self._channel, OWNER
        )
        self._said_at = time.monotonic()

    async def wait(self) -> None:
        """Waits for a hint, and for no longer than a second: hints may be lost."""
        if self._line is None:
            self._line = await self._partitions.line(self._partition)
        command = ("BLPOP", self._wake, f"{BLOCK_SECONDS:g}")
        self._may_hold_hint = True
        try:
            await self._line.run([command], wait=BLOCK_SECONDS + self._partitions.timeout)
        except BaseException:
            await self._end_line()
            raise

    async def close(self) -> None:
        """Ends the connection that waits, and leaves entries that came meanwhile to other processes."""
        await self._end_line()
        await self.give_back()

    async def _end_line(self) -> None:
        if self._line is not None:
            with contextlib.suppress(Exception):
                await self._line.close()
            self._line = None
