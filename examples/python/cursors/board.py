"""Names, and what may be drawn."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence

Place = tuple[int, int]
"""A place on the board, in thousandths of its width and height."""

STROKE_POINTS = range(2, 65)


class Refused(ValueError):
    """A message that a client may not send, with the reason."""


class Board:
    """A board. The name is the path, so it has letters, digits and dashes only."""

    def __init__(self, text: str) -> None:
        if not re.fullmatch(r"[a-z0-9-]{1,32}", text):
            raise Refused("A board has 1 to 32 of a-z 0-9 -.")
        self.group = f"board.{text}"


def checked_key(text: str) -> str:
    """The key of a browser, the same in each of its windows."""
    if not re.fullmatch(r"[A-Za-z0-9-]{1,36}", text):
        raise Refused("A key has 1 to 36 of a-z A-Z 0-9 -.")
    return text


def checked_name(text: str) -> str:
    """The name of a person."""
    text = text.strip()
    if not text:
        raise Refused("Please say your name.")
    if len(text) > 24 or any(unicodedata.category(letter) == "Cc" for letter in text):
        raise Refused("A name has at most 24 letters.")
    return text


def checked_stroke(stroke: Sequence[Place]) -> Sequence[Place]:
    """A part of a line."""
    checked_places(stroke)
    if len(stroke) not in STROKE_POINTS:
        raise Refused("A stroke has 2 to 64 points.")
    return stroke


def checked_places(places: Sequence[Place]) -> None:
    """Refuses places that are not on the board."""
    if not all(0 <= part <= 1000 for place in places for part in place):
        raise Refused("A place is from 0 to 1000.")


def hue(key: str) -> int:
    """A colour that stays the same, from 0 to 359.

    >>> hue("a-1") == hue("a-1"), 0 <= hue("b-2") < 360
    (True, True)
    """
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4]) % 360
