"""Text from clients, checked once."""

import re
import unicodedata


class Refused(ValueError):
    """A text that a client may not send, with the reason."""


class Room:
    """The name of a room: 1 to 32 of `a-z 0-9 -`. It is part of a group's name, so it has its letters."""

    def __init__(self, text: str) -> None:
        if not re.fullmatch(r"[a-z0-9-]{1,32}", text):
            raise Refused("A room has 1 to 32 of a-z, 0-9 and -.")
        self.group = f"room.{text}"


def name(text: str) -> str:
    """The name of a person."""
    return visible(text, 32, "Please say your name.", "A name has at most 32 characters.")


def connection_id(text: str) -> str:
    """The id that a client gives its connection: 1 to 36 of `a-z 0-9 -`, as in a UUID."""
    if not re.fullmatch(r"[a-z0-9-]{1,36}", text):
        raise Refused("An id has 1 to 36 of a-z, 0-9 and -.")
    return text


def line(text: str) -> str:
    """One line of a conversation."""
    return visible(text, 2000, "That line was empty.", "A line has at most 2000 characters.")


def visible(text: str, limit: int, if_empty: str, if_long: str) -> str:
    """The text without control characters and white space around it."""
    text = "".join(letter for letter in text.strip() if unicodedata.category(letter) != "Cc")
    if not text:
        raise Refused(if_empty)
    if len(text) > limit:
        raise Refused(if_long)
    return text
