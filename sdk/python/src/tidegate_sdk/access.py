"""What a consumer asks of the user: `user` and `claims`, beside `http` and `websocket`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar, overload

from tidegate_sdk import routes
from tidegate_sdk.checks import need_i64, need_text
from tidegate_sdk.entries import ACCESS, Access, Claim, ClaimValue
from tidegate_sdk.errors import ConsumerError

T = TypeVar("T")

_MOST = 32
"""The most claims that a consumer may ask for, and values of one."""


class Guarded(dict[str, Any]):
    """Consumers below a prefix, and what all of them ask of the user."""

    def __init__(self, consumers: Mapping[str, Any], access: Access) -> None:
        super().__init__(consumers)
        self.access = access


@overload
def user(consumer: T, /) -> T: ...
@overload
def user(*, optional: bool = False) -> Callable[[T], T]: ...
def user(consumer: Any = None, /, *, optional: bool = False) -> Any:
    """Runs a consumer of HTTP or of WebSockets for users only. It stands beside `http` or `websocket`.

    The host finds out who it is before it runs the consumer: by a token, as `[auth.NAME]` in its settings says. It
    answers 401 where nobody is signed in, and refuses a handshake with the same status. Nothing of the module runs.

    - `@user` asks for a user; `@user(optional=True)` asks who it is if anybody is signed in.
    - Without either, the host does not look for tokens, and there is no `User`.
    - The user of a WebSocket is that of its handshake, as long as it is open. The host closes it with code 4401 when
      the token has expired.
    - `user({"/app": [me, Room]})` asks for a user before each consumer below a prefix. A consumer there can ask for
      more with `claims`, not for less.

    A host without `[auth.NAME]` refuses the module, and so does a release that does not know `user`.

    >>> from tidegate_sdk import Socket, User, export, http, websocket
    >>> from tidegate_sdk.testing import Denied, TestHost
    >>> @http("GET /me")
    ... def me(user: User) -> str:
    ...     return f"You are {user.id}."
    >>> @websocket("/room")
    ... class Room:
    ...     def groups(self) -> list[str]:
    ...         return ["room"]
    ...     def receive(self, socket: Socket[None], text: str) -> None:
    ...         who = socket.user.id if socket.user else "somebody"
    ...         socket.group_send("room", f"{who}: {text}")
    >>> host = TestHost(export(user({"/app": [me, Room]})))
    >>> host.get("/app/me").status, host.get("/app/me", signed_in="ada").text
    (401, 'You are ada.')
    >>> room = host.websocket("/app/room", signed_in="ada")
    >>> room.send("hello")
    >>> room.receive()
    'ada: hello'
    >>> try:
    ...     host.websocket("/app/room")
    ... except Denied as denied:
    ...     denied.status
    401
    """
    if not isinstance(optional, bool):
        raise ConsumerError(f"@user(optional=...) is True or False, not {optional!r}")
    access = Access("optional" if optional else "required")
    if consumer is not None:
        return _ask(consumer, access)
    return lambda consumer: _ask(consumer, access)


def claims(others: Mapping[str, Any] | None = None, /, **named: Any) -> Callable[[T], T]:
    """Runs a consumer of HTTP or of WebSockets only for users with such claims. It asks for a user, as `user` does.

    Each claim that is named must be the value, or one of the values in a list: a text, an integer or a bool. Types
    count: `1` is not `"1"`. A claim that is a list must have one of the values. The host answers 403 to others, and
    refuses a handshake with the same status. A dict has claims whose names are no identifiers.

    >>> from tidegate_sdk import export, http
    >>> from tidegate_sdk.testing import TestHost
    >>> @claims({"https://example.com/verified": True}, role=["admin", "owner"])
    ... @http("POST /close")
    ... def close() -> str:
    ...     return "closed"
    >>> host = TestHost(export(close))
    >>> def status(**role: str) -> int:
    ...     claims = {"https://example.com/verified": True, **role}
    ...     return host.request("POST", "/close", signed_in="ada", claims=claims).status
    >>> status(role="owner"), status(role="reader"), host.request("POST", "/close").status
    (200, 403, 401)
    """
    if others is not None and not isinstance(others, Mapping):
        raise ConsumerError('write the claims that are asked for, as in @claims(role="admin", level=[1, 2])')
    asked = [*(others or {}).items(), *named.items()]
    if not 1 <= len(asked) <= _MOST:
        raise ConsumerError(f'@claims names 1 to {_MOST} claims, as in @claims(role="admin", level=[1, 2])')
    access = Access(None, tuple(Claim(need_text("the name of a claim", name), _values(name, it)) for name, it in asked))
    return lambda consumer: _ask(consumer, access)


def _values(name: str, given: Any) -> tuple[ClaimValue, ...]:
    values = tuple(given) if isinstance(given, (list, tuple, set, frozenset)) else (given,)
    if not 1 <= len(values) <= _MOST:
        raise ConsumerError(f"@claims({name}=...) has {len(values)} values, and 1 to {_MOST} can be asked for")
    for value in values:
        if isinstance(value, int):
            need_i64(f"the claim {name}", int(value))
        elif not isinstance(value, str):
            raise ConsumerError(f"@claims({name}=...) is compared with a text, an integer or a bool, not {value!r}")
    return values


def _ask(consumer: Any, access: Access) -> Any:
    if isinstance(consumer, Mapping):
        known = consumer.access if isinstance(consumer, Guarded) else Access()
        return Guarded(consumer, joined(known, access, "a prefix"))
    if not callable(consumer) or not hasattr(consumer, "__dict__"):
        raise ConsumerError(
            "@user and @claims stand before a consumer of HTTP or of WebSockets, or take those below a prefix, as in "
            'user({"/app": [me, Room]})'
        )
    what = f"{consumer.__name__} ({routes.place_of(consumer)})"
    setattr(consumer, ACCESS, joined(vars(consumer).get(ACCESS, Access()), access, what))
    return consumer


def joined(known: Access, more: Access, what: str) -> Access:
    """What a consumer asks of the user by two decorators, or by one and by what stands before its prefix."""
    if known.user and more.user:
        raise ConsumerError(f"{what}: what it asks of the user is said already, here or before the prefix")
    twice = {claim.name for claim in known.claims} & {claim.name for claim in more.claims}
    if twice:
        raise ConsumerError(f"{what}: the claim `{min(twice)}` is there already, here or before the prefix")
    both = replace(known, user=known.user or more.user, claims=known.claims + more.claims)
    if both.user == "optional" and both.claims:
        raise ConsumerError(f"{what}: claims are those of a user: write @user or nothing beside them")
    return both
