"""The data of a module, seen and changed by a test."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tidegate_sdk.checks import milliseconds
from tidegate_sdk.store import decode, encode, integer
from tidegate_sdk.testing import store_rules
from tidegate_sdk.testing.world import World
from tidegate_sdk.wire import Value


class TestData:
    """The data of a module in the store."""

    __test__ = False

    def __init__(self, world: World, module: str) -> None:
        self._world = world
        self._module = module

    def get(self, key: str, kind: Any = Any) -> Any:
        """Reads a key as a type. None if nothing is there."""
        value = self._value(key)
        return None if value is None else decode(key, value, kind)

    def counter(self, key: str) -> int:
        """Reads an integer. 0 if nothing is there."""
        return integer(key, self._value(key))

    @property
    def keys(self) -> list[str]:
        """The keys that are there, in their order."""
        return [key for key, _ in self._world.data.range(self._module, "", None, self._world.now)]

    def set(self, key: str, value: Any, time_to_live: float | timedelta | None = None) -> None:
        """Sets a key, as another run would. With `time_to_live` it is gone after so many seconds."""
        stored = encode(key, value)
        store_rules.key(key)
        store_rules.value(stored)
        span = None if time_to_live is None else self._world.now + milliseconds("time_to_live", time_to_live)
        self._world.data.put(self._module, key, stored, span)

    def delete(self, key: str) -> None:
        """Deletes a key."""
        self._world.data.remove(self._module, key)

    def touch(self, key: str) -> None:
        """Writes a key anew with the value that it has, or an empty one."""
        stored = self._world.data.live(self._module, key, self._world.now)
        value, expires = (stored.value, stored.expires) if stored else (Value(b""), None)
        self._world.data.put(self._module, key, value, expires)

    def _value(self, key: str) -> Value | None:
        stored = self._world.data.live(self._module, key, self._world.now)
        return stored.value if stored else None
