"""The user of a connection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, overload

from tidegate_sdk import wire
from tidegate_sdk.codec import messagepack
from tidegate_sdk.codec.describe import name_of
from tidegate_sdk.codec.readers import reader
from tidegate_sdk.errors import Unreadable

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class User:
    """The user of a connection, as the host found out before the consumer ran.

    A consumer of HTTP takes it as a parameter, `User` or `User | None`; one of WebSockets, and any other, asks
    `Context.user`. There is a user only where `user` or `claims` stands before the consumer.

    >>> from dataclasses import dataclass
    >>> from tidegate_sdk import export, http, user
    >>> from tidegate_sdk.testing import TestHost
    >>> @dataclass
    ... class Claims:
    ...     name: str
    >>> @user
    ... @http("GET /me")
    ... def me(user: User) -> str:
    ...     return f"{user.claims(Claims).name} ({user.id})"
    >>> @user(optional=True)
    ... @http("GET /")
    ... def home(user: User | None) -> str:
    ...     return f"Welcome back, {user.id}!" if user else "Welcome!"
    >>> host = TestHost(export(me, home))
    >>> host.get("/me", signed_in="ada", claims={"name": "Ada"}).text
    'Ada (ada)'
    >>> host.get("/me").status, host.get("/").text
    (401, 'Welcome!')
    """

    id: str
    """The id: `sub` of a token. It is the same for each connection of the user."""
    expires: datetime | None
    """When it is no longer known that this is the user, with time zone UTC. None: always."""
    _claims: bytes

    @overload
    def claims(self) -> dict[str, Any]: ...
    @overload
    def claims(self, kind: type[T]) -> T: ...
    def claims(self, kind: Any = dict[str, Any]) -> Any:
        """The claims, read as a type: a dataclass, a pydantic model, a dict without one.

        Raises `Unreadable` when they do not read so. A consumer that does not catch it has failed.
        """
        try:
            return reader(kind)(messagepack.unpackb(self._claims))
        except Unreadable as error:
            raise Unreadable(f"the claims do not read as `{name_of(kind)}`: {error}") from None


def from_wire(found: wire.User | None) -> User | None:
    """The user that the host has found."""
    if found is None:
        return None
    try:
        expires = None if found.expires is None else _EPOCH + timedelta(seconds=found.expires)
    except OverflowError:
        expires = None  # No date is so late.
    return User(found.id, expires, found.claims)
