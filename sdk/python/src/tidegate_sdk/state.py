"""State that the host keeps with a WebSocket connection."""

from __future__ import annotations

import dataclasses
import struct
import types
from typing import Any, Union, get_args, get_origin

from tidegate_sdk.codec import messagepack
from tidegate_sdk.codec.describe import name_of
from tidegate_sdk.codec.readers import reader
from tidegate_sdk.errors import ConsumerError, StateUnreadable, Unreadable

# The host keeps the map `{"schema": number, "state": state}`, with the keys in this order, as all SDKs write it.
_BEFORE_SCHEMA = b"\x82\xa6schema\xce"
_BEFORE_STATE = b"\xa5state"


class StateType:
    """The type of a connection's state: how it begins, is written, read and migrated."""

    def __init__(self, kind: Any, what: str) -> None:
        self._kind = kind
        self._read = reader(kind)
        self._class = self._record(kind)
        self.schema: int = getattr(self._class, "SCHEMA", 1)
        if not isinstance(self.schema, int) or not 0 <= self.schema < 2**32:
            raise ConsumerError(f"{what}: SCHEMA is a number from 0 to 2**32 - 1, not {self.schema!r}")
        self._begins_empty = self._class is not kind
        if not self._begins_empty:
            try:
                self.first()
            except TypeError:
                raise ConsumerError(
                    f"{what}: a connection begins with `{name_of(kind)}()`, and it has fields without a default. Give "
                    f"them defaults, or write `State = {name_of(kind)} | None` to begin with None"
                ) from None

    @staticmethod
    def _record(kind: Any) -> Any:
        if get_origin(kind) in (Union, types.UnionType):
            rest = [it for it in get_args(kind) if it is not type(None)]
            return rest[0] if len(rest) == 1 else None
        return kind

    def first(self) -> Any:
        """The state of a connection that has none yet."""
        return None if self._begins_empty else self._kind()

    def dump(self, state: Any) -> bytes:
        """The bytes that are kept."""
        if isinstance(self._class, type) and dataclasses.is_dataclass(self._class):
            if state is not None and not isinstance(state, self._class):
                raise TypeError(f"the state is a `{name_of(self._class)}`, not a `{type(state).__name__}`")
        return _BEFORE_SCHEMA + struct.pack(">I", self.schema) + _BEFORE_STATE + messagepack.packb(state)

    def load(self, kept: bytes | None) -> Any:
        """The state, migrated if need be."""
        if kept is None:
            return self.first()
        schema_at = len(_BEFORE_SCHEMA)
        rest = kept[schema_at + 4 :]
        if not kept.startswith(_BEFORE_SCHEMA) or not rest.startswith(_BEFORE_STATE):
            raise StateUnreadable("state is unreadable: no SDK of Tidegate wrote it")
        (schema,) = struct.unpack(">I", kept[schema_at : schema_at + 4])
        try:
            plain = messagepack.unpackb(rest[len(_BEFORE_STATE) :])
            return self._read(plain) if schema == self.schema else self._migrate(schema, plain)
        except Unreadable as error:
            raise StateUnreadable(f"state is unreadable: {error}") from None

    def _migrate(self, schema: int, plain: Any) -> Any:
        migrate = getattr(self._class, "migrate", None)
        if migrate is None:
            raise StateUnreadable(
                f"state is unreadable: it has schema {schema}, and this version reads schema {self.schema}. Write "
                f"`migrate` for `{name_of(self._class)}`"
            )
        try:
            return migrate(schema, plain)
        except Exception as error:
            raise StateUnreadable(f"state is unreadable: {type(error).__name__}: {error}") from error
