"""Says by a close code whether to connect again, and when."""

from __future__ import annotations

from typing import Literal

# `end`: not again. `spread`: soon, each client at another time. `backoff`: after pauses that grow. `later`: the same,
# but not before some seconds, since the server has too much to do.
Advice = Literal["end", "spread", "backoff", "later"]

# The token of the user has expired.
EXPIRED = 4401
# There was no close code, or no connection.
BROKEN = 1006

_ADVICE: dict[int, Advice] = {
    1000: "end",
    1001: "spread",
    1002: "end",
    1003: "end",
    1007: "end",
    1008: "end",
    1009: "end",
    1010: "end",
    1012: "spread",
    1013: "later",
}


def advice(code: int) -> Advice:
    """Returns the default for a close code.

    3000 to 4999 are the application's own and end it: the application knows their meaning, and says so with
    `should_reconnect`.
    """
    if 3000 <= code <= 4999:
        return "end"
    return _ADVICE.get(code, "backoff")
