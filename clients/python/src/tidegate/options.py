"""The settings of a client, checked."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from . import topology
from .errors import ConfigError

Pattern = str | re.Pattern[str]


@dataclass(frozen=True)
class Options:
    """The settings of a client. All processes of an application have the same `prefix` and `partitions`."""

    url: str = "redis://127.0.0.1:6379/0"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    sentinel_tls: bool | None = None
    prefix: str = "tidegate"
    partitions: int | None = None
    capacity: int = 100
    channel_capacity: Mapping[Pattern, int] = field(default_factory=dict)
    expiry: float = 60.0
    group_expiry: float = 86_400.0
    delayed_messages: int = 10_000
    inbox_bytes: int = 64 * 1024 * 1024
    message_bytes: int = 1024 * 1024 + 64 * 1024
    lease: float = 15.0
    timeout: float = 2.0

    def __post_init__(self) -> None:
        for name in ("capacity", "expiry", "group_expiry", "message_bytes", "timeout"):
            self._require(name, 0)
        self._require("lease", 1)
        if self.partitions is not None:
            self._require("partitions", 1)
        if not re.fullmatch(r"[^{}\s]+", self.prefix):
            raise ConfigError(f"prefix is {self.prefix!r}; it is a text without braces and spaces")
        for pattern, capacity in self.channel_capacity.items():
            if not (isinstance(capacity, int) and capacity > 0):
                raise ConfigError(
                    f"channel_capacity has {capacity!r} for {pattern!r}; use a number above 0"
                )

    def _require(self, name: str, least: int) -> None:
        value = getattr(self, name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or value < least or value == 0:
            rule = f"at least {least}" if least else "above 0"
            raise ConfigError(f"{name} is {value!r}; it is a number, {rule}")

    def topology(self) -> topology.Topology:
        """Returns where Redis is."""
        return topology.parse(
            self.url,
            username=self.username,
            password=self.password,
            sentinel_username=self.sentinel_username,
            sentinel_password=self.sentinel_password,
            sentinel_tls=self.sentinel_tls,
        )

    def capacities(self) -> Callable[[str], int]:
        """Returns what finds the capacity of a channel. The first pattern that matches decides."""
        patterns = [
            (
                re.compile(fnmatch.translate(pattern)) if isinstance(pattern, str) else pattern,
                capacity,
            )
            for pattern, capacity in self.channel_capacity.items()
        ]

        def capacity_of(channel: str) -> int:
            for pattern, capacity in patterns:
                if pattern.match(channel):
                    return capacity
            return self.capacity

        return capacity_of
