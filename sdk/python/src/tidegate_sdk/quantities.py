"""Times and sizes as declarations have them: texts such as "10s", numbers, and `timedelta`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from tidegate_sdk.checks import milliseconds
from tidegate_sdk.errors import ConsumerError

Span = str | float | timedelta
"""A time: a text such as "500ms", "10s", "5m", "24h" or "7d", a number of seconds, or a `timedelta`."""

_TIMES = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SIZES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20}
_TEXT = re.compile(r"([0-9]{1,15}) ?([A-Za-z]+)")


def span(what: str, value: Any, least: str, most: str) -> int:
    """The milliseconds of a time between two others.

    >>> span("`age`", "5m", "1s", "1h"), span("`age`", 1.5, "1s", "1h"), span("`age`", timedelta(hours=1), "1s", "1h")
    (300000, 1500, 3600000)
    >>> span("`age`", "2h", "1s", "1h")
    Traceback (most recent call last):
    tidegate_sdk.errors.ConsumerError: `age` is a time from 1s to 1h, and not '2h'
    """
    try:
        found = _read(value, _TIMES) if isinstance(value, str) else milliseconds(what, value)
    except (TypeError, ValueError):
        found = None
    if found is None:
        fix = 'write "500ms", "10s" or "5m", seconds, or a timedelta'
        raise ConsumerError(f"{what} is a time, and not {value!r}: {fix}")
    if not (_read(least, _TIMES) or 0) <= found <= (_read(most, _TIMES) or 0):
        raise ConsumerError(f"{what} is a time from {least} to {most}, and not {value!r}")
    return found


def size(what: str, value: Any, least: str, most: str) -> int:
    """The bytes of a size between two others.

    >>> size("`bytes`", "1MiB", "1KiB", "16MiB"), size("`bytes`", 4096, "1KiB", "16MiB")
    (1048576, 4096)
    >>> size("`bytes`", "1GB", "1KiB", "16MiB")
    Traceback (most recent call last):
    tidegate_sdk.errors.ConsumerError: `bytes` is from 1KiB to 16MiB, and not '1GB': write "256KiB", "1MiB" or a number
    """
    found = _read(value, _SIZES) if isinstance(value, str) else value
    bounds = _read(least, _SIZES) or 0, _read(most, _SIZES) or 0
    if not isinstance(found, int) or isinstance(found, bool) or not bounds[0] <= found <= bounds[1]:
        fix = 'write "256KiB", "1MiB" or a number'
        raise ConsumerError(f"{what} is from {least} to {most}, and not {value!r}: {fix}")
    return found


def count(what: str, value: Any, least: int, most: int) -> int:
    """An integer between two others."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ConsumerError(f"{what} is an integer from {least} to {most}, and not {value!r}")
    return value


def _read(text: str, units: Mapping[str, int]) -> int | None:
    """The number of a text, in the smallest unit. None where the text is none."""
    found = _TEXT.fullmatch(text)
    return int(found[1]) * units[found[2]] if found and found[2] in units else None
