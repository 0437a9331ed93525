"""The declarations of a module about its consumers, besides their routes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tidegate_sdk.codec import messagepack
from tidegate_sdk.entries import Entry
from tidegate_sdk.errors import ConsumerError


class WorldError(ConsumerError):
    """The component exports `declarations` and has none, or the other way round.

    The command that builds it then takes the other world.
    """


def declare(entries: Sequence[Entry]) -> bytes:
    """Writes the declarations in the form of the contract: a map by consumer, of maps.

    >>> from tidegate_sdk import channel, export, schedule
    >>> @schedule("@daily")
    ... @channel("shop.report")
    ... def report() -> None: ...
    >>> messagepack.unpackb(declare(export(report).entries))
    {'report': {'schedule': {'expression': '@daily', 'zone': 'UTC', 'missed': 'once'}}}
    """
    scheduled = {entry.name: entry.schedule for entry in entries if entry.schedule is not None}
    return messagepack.packb({name: {"schedule": dataclasses.asdict(it)} for name, it in scheduled.items()})


def check_world(entries: Sequence[Entry], is_exported: bool) -> None:
    """Refuses a component whose world does not fit its consumers.

    A host before 0.1.1 refuses `declarations`, so only a module that has some exports it.
    """
    scheduled = next((entry for entry in entries if entry.schedule is not None), None)
    if scheduled is not None and not is_exported:
        raise WorldError(
            f"{scheduled.name} ({scheduled.place}) has a schedule, and this component does not export `declarations`: "
            "build it with `tidegate-sdk build`, which chooses the world"
        )
    if scheduled is None and is_exported:
        raise WorldError(
            "this component exports `declarations`, and no consumer has a schedule: build it with `tidegate-sdk "
            "build`, which chooses the world"
        )
