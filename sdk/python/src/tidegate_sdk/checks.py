"""Types that are checked before the host sees a value.

The bindings of a component end the run without a Python exception when a type is wrong, so nothing gets there
unchecked.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

U32_MAX = 2**32 - 1
_I64 = 2**63


def need_text(what: str, value: Any) -> str:
    """Text that can be written as UTF-8."""
    if not isinstance(value, str):
        raise TypeError(f"{what} has to be str, not {type(value).__name__}{_hint(value)}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{what} has half of a surrogate pair at {error.start}, which is no Unicode text"
            ) from None
    return value


def need_bytes(what: str, value: Any) -> bytes:
    """Bytes of any kind."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    hint = ": encode it, as in text.encode()" if isinstance(value, str) else ""
    raise TypeError(f"{what} has to be bytes, not {type(value).__name__}{hint}")


def need_int(what: str, value: Any, least: int = 0, most: int = U32_MAX) -> int:
    """An integer that fits."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{what} has to be int, not {type(value).__name__}")
    if not least <= value <= most:
        raise ValueError(f"{what} has to be from {least} to {most}, and is {value}")
    return value


def need_i64(what: str, value: Any) -> int:
    """An integer of 64 bits with sign."""
    return need_int(what, value, -_I64, _I64 - 1)


def milliseconds(what: str, span: float | timedelta) -> int:
    """A span of time, given in seconds or as a `timedelta`."""
    if isinstance(span, timedelta):
        seconds: float = span.total_seconds()
    elif isinstance(span, (int, float)) and not isinstance(span, bool):
        seconds = span
    else:
        raise TypeError(f"{what} has to be seconds or a timedelta, not {type(span).__name__}")
    if not 0 <= seconds <= 10**12:
        raise ValueError(f"{what} has to be from 0 to 10**12 seconds, and is {seconds}")
    return round(seconds * 1000)


def checked_headers(headers: Any) -> list[tuple[str, bytes]]:
    """Header fields whose types are right."""
    if isinstance(headers, str | bytes):
        raise TypeError("headers are a list of names and values, as in [('etag', b'\"1\"')]")
    checked = []
    for name, value in headers.items() if hasattr(headers, "items") else headers:
        raw = value.encode() if isinstance(value, str) else need_bytes(f"header {name}", value)
        checked.append((need_text("the name of a header field", name), raw))
    return checked


def _hint(value: Any) -> str:
    return ": decode it, as in data.decode()" if isinstance(value, (bytes, bytearray)) else ""
