"""Refuses consumers that could not be told apart."""

from __future__ import annotations

import re

from tidegate_sdk.entries import ChannelTrigger, Entry, Guards, HttpTrigger
from tidegate_sdk.errors import ConsumerError

_NAME = re.compile(r"\{(\*?)[^}]*\}")


def check(entries: list[Entry]) -> None:
    """Compares each consumer with those before it."""
    for position, entry in enumerate(entries):
        for earlier in entries[:position]:
            _compare(entry, earlier)
            _compare_histories(entry, earlier)


def _compare(this: Entry, earlier: Entry) -> None:
    both = _both(this, earlier)
    if this.name == earlier.name:
        raise ConsumerError(f"{both} have the same name: rename one of them")
    one, other = this.trigger, earlier.trigger
    if isinstance(one, ChannelTrigger) or isinstance(other, ChannelTrigger):
        if isinstance(one, ChannelTrigger) and isinstance(other, ChannelTrigger) and one.name == other.name:
            raise ConsumerError(f"{both} declare the same channel: a channel has one consumer")
        return
    if type(one) is not type(other) or _NAME.sub(r"{\1}", one.path) != _NAME.sub(r"{\1}", other.path):
        return
    if one.path != other.path:
        raise ConsumerError(f"the paths of {both} differ only in the names of their parameters: use the same names")
    if isinstance(one, HttpTrigger) and isinstance(other, HttpTrigger) and not set(one.methods) & set(other.methods):
        return
    if _conflict(one.guards, other.guards):
        raise ConsumerError(
            f"{both} take the same requests: give one of them another path, another method, or guards of its own"
        )


def _compare_histories(this: Entry, earlier: Entry) -> None:
    for pattern in {it.pattern for it in this.histories} & {it.pattern for it in earlier.histories}:
        raise ConsumerError(
            f'{_both(this, earlier)} have @history("{pattern}"), and nobody could say which counts: write it once'
        )


def _both(this: Entry, earlier: Entry) -> str:
    return f"`{earlier.name}` ({earlier.place}) and `{this.name}` ({this.place})"


def _conflict(one: Guards, other: Guards) -> bool:
    """Whether a request could be for both and nothing says for which rather."""
    if one.exactness != other.exactness or one.host != other.host:
        return False
    theirs = dict(other.headers)
    return all(theirs.get(name, value) == value for name, value in one.headers)
