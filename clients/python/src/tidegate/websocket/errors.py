"""The errors of sending."""

from __future__ import annotations

from typing import Literal

from ..errors import TidegateError

Reason = Literal["not-open", "queue-full", "ended", "lost"]


class SendError(TidegateError):
    """A message that was not sent; with `lost`, messages that did not arrive.

    `reason` is `not-open` without a queue, `queue-full` with one, and `ended` when the socket is closed. With `lost` it
    comes in an `Error`: a connection was resumed, and the socket did not keep all messages that the host has not read.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason
