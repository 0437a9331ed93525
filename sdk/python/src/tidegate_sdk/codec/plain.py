"""Values of Python as what JSON and MessagePack have."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID


def plain(value: Any) -> Any:
    """One step from a value that JSON and MessagePack do not have to one that they may have.

    >>> from uuid import UUID
    >>> plain(UUID(int=7))
    '00000000-0000-0000-0000-000000000007'
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (UUID, Decimal)):
        return str(value)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, AbstractSet):
        return list(value)
    if isinstance(value, int):
        raise ValueError("an integer has more than 64 bits: send it as text")
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump()
    kind = type(value).__name__
    raise TypeError(
        f"a value of type `{kind}` cannot be written: use text, numbers, bool, None, lists, maps, dataclasses, "
        "enums, UUID, Decimal, dates and times"
    )
