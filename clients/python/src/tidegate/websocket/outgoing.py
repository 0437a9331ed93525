"""Messages that wait for a connection, bounded in number and bytes."""

from __future__ import annotations

from collections import deque

from ..errors import InvalidMessage
from .errors import SendError
from .events import Data


def size(data: object) -> int:
    """Returns the bytes of a message on the wire. Raises `InvalidMessage` for anything but text and bytes."""
    if isinstance(data, str):
        try:
            return len(data.encode())
        except UnicodeEncodeError as error:
            raise InvalidMessage(f"the text is not valid Unicode: {error}") from None
    if isinstance(data, bytes):
        return len(data)
    raise InvalidMessage(
        f"a message is text or bytes, and this is a {type(data).__name__}; use send_json"
    )


class Outgoing:
    """The queue: first in, first out."""

    def __init__(self, messages: int, limit: int) -> None:
        self._messages = messages
        self._limit = limit
        self._items: deque[tuple[Data, int]] = deque()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def is_on(self) -> bool:
        """Whether there is a queue at all."""
        return self._messages > 0

    def push(self, data: Data) -> None:
        """Puts a message at the end. Raises `SendError` if there is no room, or no queue."""
        count = size(data)
        if not self.is_on:
            raise SendError("not-open", "no connection is open, and there is no queue")
        if len(self._items) >= self._messages or self.bytes + count > self._limit:
            raise SendError(
                "queue-full",
                f"{len(self._items)} messages wait already; raise queue_messages or queue_bytes",
            )
        self._items.append((data, count))
        self.bytes += count

    def shift(self) -> Data:
        """Takes the first message. There is one."""
        data, count = self._items.popleft()
        self.bytes -= count
        return data

    def take(self) -> tuple[Data, ...]:
        """Takes all messages."""
        all_of_them = tuple(data for data, _ in self._items)
        self._items.clear()
        self.bytes = 0
        return all_of_them
