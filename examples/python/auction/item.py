"""An item, and the rules for its bids."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from tidegate_sdk import strict

PREFIX = "item:"

ANSWER_MILLIS = 30_000
"""A bid is followed by at least so many milliseconds for the next one."""


class Refusal(Exception):
    """A bid that is not taken, with the reason."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@strict
@dataclass
class Bid:
    """An amount that somebody is ready to pay, in cents."""

    name: str
    amount: int


@dataclass
class Item:
    """A thing that is sold. Amounts are in cents."""

    title: str
    start: int
    """The first bid is at least this."""
    step: int
    """A further bid is at least so much higher than the one before."""
    ends: int
    """When no bid is taken any more, in milliseconds since 1970."""
    best: Bid | None = None
    bids: int = 0
    closed: bool = False
    """Whether the watchers know of the end."""

    @property
    def least(self) -> int:
        """The least that the next bid must be."""
        return self.start if self.best is None else self.best.amount + self.step

    def take(self, bid: Bid, now: int) -> None:
        """Takes a bid, if it follows the rules. Raises `Refusal` if not."""
        name = bid.name.strip()
        if not 1 <= len(name) <= 40:
            raise Refusal(422, "a name has 1 to 40 characters")
        if self.closed or now >= self.ends:
            raise Refusal(409, "the auction of this item is over")
        if bid.amount < self.least:
            raise Refusal(409, f"the next bid is at least {self.least}")
        self.best = Bid(name, bid.amount)
        self.bids += 1
        self.ends = max(self.ends, now + ANSWER_MILLIS)

    def shown(self, id: str) -> dict[str, Any]:
        """The item as clients see it. `price` and `best` are None while there is no bid."""
        best = asdict(self.best) if self.best else {"name": None, "amount": None}
        return {
            "id": id,
            "title": self.title,
            "price": best["amount"],
            "best": best["name"],
            "bids": self.bids,
            "least": self.least,
            "ends": self.ends,
            "closed": self.closed,
        }


def millis(time: datetime) -> int:
    """Milliseconds since 1970."""
    return int(time.timestamp() * 1000)
