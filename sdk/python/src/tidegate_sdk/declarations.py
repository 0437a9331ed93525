"""The declarations of a module about its consumers, besides their routes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from tidegate_sdk.codec import messagepack
from tidegate_sdk.entries import Entry
from tidegate_sdk.errors import ConsumerError

_HAS = {
    "schedule": "has a schedule",
    "user": "asks for a user",
    "presence": "has @presence",
    "history": "has @history",
    "resume": "has `resume`",
}
"""What it means for a consumer that a key is declared."""


class WorldError(ConsumerError):
    """The component exports `declarations` and has none, or the other way round.

    The command that builds it then takes the other world.
    """


def declare(entries: Sequence[Entry]) -> bytes:
    """Writes the declarations in the form of the contract: a map by consumer, of maps.

    >>> from tidegate_sdk import channel, claims, export, http, schedule
    >>> @schedule("@daily")
    ... @channel("shop.report")
    ... def report() -> None: ...
    >>> @claims(role="admin")
    ... @http("POST /close")
    ... def close() -> str: ...
    >>> declared = messagepack.unpackb(declare(export(report, close).entries))
    >>> declared["report"]
    {'schedule': {'expression': '@daily', 'zone': 'UTC', 'missed': 'once'}}
    >>> declared["close"]
    {'user': 'required', 'claims': {'role': ['admin']}}
    """
    return messagepack.packb({entry.name: it for entry in entries if (it := _of(entry))})


def _of(entry: Entry) -> dict[str, Any]:
    """The declarations about a consumer. Empty without any."""
    declared: dict[str, Any] = {}
    if entry.schedule is not None:
        schedule = dataclasses.asdict(entry.schedule)
        declared["schedule"] = {key: value for key, value in schedule.items() if value is not None}
    if entry.access is not None:
        declared["user"] = "required" if entry.access.is_required else "optional"
        if entry.access.claims:
            declared["claims"] = {claim.name: list(claim.values) for claim in entry.access.claims}
    if entry.presence is not None:
        declared["presence"] = dataclasses.asdict(entry.presence)
    if entry.histories:
        declared["history"] = {
            it.pattern: {"messages": it.messages, "age": it.age, "bytes": it.bytes} for it in entry.histories
        }
    if entry.resume is not None:
        declared["resume"] = entry.resume
    return declared


def check_world(entries: Sequence[Entry], is_exported: bool) -> None:
    """Refuses a component whose world does not fit its consumers.

    A host before 0.1.1 refuses `declarations`, so only a module that has some exports it.
    """
    declaring = next((entry for entry in entries if _of(entry)), None)
    if declaring is not None and not is_exported:
        raise WorldError(
            f"{declaring.name} ({declaring.place}) {_HAS[next(iter(_of(declaring)))]}, and this component does not "
            "export `declarations`: build it with `tidegate-sdk build`, which chooses the world"
        )
    if declaring is None and is_exported:
        raise WorldError(
            "this component exports `declarations`, and no consumer has a schedule, asks for a user or has @presence, "
            "@history or `resume`: build it with `tidegate-sdk build`, which chooses the world"
        )
