"""Messages that come again: the channels with retries of the test host."""

from __future__ import annotations

from dataclasses import dataclass

_FIRST_PAUSE = 1_000
"""Milliseconds before the second delivery. The pause doubles each time."""
_PAUSE_MAX = 60_000


@dataclass(frozen=True)
class Delivery:
    """Which message, and which delivery of it."""

    id: str
    """32 hexadecimal digits."""
    attempt: int = 1

    def next(self) -> Delivery:
        """The one after it."""
        return Delivery(self.id, self.attempt + 1)

    @property
    def pause(self) -> int:
        """Milliseconds before the next one."""
        return min(_FIRST_PAUSE << min(self.attempt - 1, 16), _PAUSE_MAX)
