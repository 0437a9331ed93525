"""Messages that are sent later."""

from __future__ import annotations

from tidegate_sdk.wire import Host


class Timers:
    """Messages that are sent later."""

    def __init__(self, host: Host) -> None:
        self._host = host
