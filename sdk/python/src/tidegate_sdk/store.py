"""The data of the module."""

from __future__ import annotations

from tidegate_sdk.wire import Host


class Store:
    """The data of the module."""

    def __init__(self, host: Host) -> None:
        self._host = host
