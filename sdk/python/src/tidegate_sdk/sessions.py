"""Signing in and out of a browser, and the data of the module for its session."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar, get_origin

from tidegate_sdk import wire
from tidegate_sdk.checks import need_text
from tidegate_sdk.codec import messagepack
from tidegate_sdk.codec.describe import name_of
from tidegate_sdk.codec.readers import reader
from tidegate_sdk.errors import ConsumerError, InvalidContent, InvalidSession
from tidegate_sdk.store import Store
from tidegate_sdk.wire import Host

D = TypeVar("D")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEY_PREFIX = "session:"
"""Before the keys of sessions in the store of the module."""
_LEAST = timedelta(milliseconds=1)


@dataclass(frozen=True)
class SignedIn:
    """A session in which a user is signed in."""

    id: str
    """Names the session for `Sessions.end`. It may be in a page: it lets nobody in."""
    is_own: bool
    """Whether it is the session of the connection."""
    created: datetime
    """When the user signed in, with time zone UTC."""
    used: datetime
    """When the session was last used, within a minute."""
    expires: datetime
    """When the session ends in any case."""
    address: str
    """The address that the user signed in from."""
    agent: str
    """What the browser called itself, up to 256 bytes: it may say anything."""


class Sessions:
    """Signs users in and out of their browsers. `Context.sessions` is it.

    - What a run asks for is done when it has committed and before its answer leaves, and not if it fails. A run that
      has asked for something cannot `flush`.
    - Signing in gives the session another id, so an id that somebody knew before lets nobody in. The sockets of the
      former id are closed with 4401; so are those of a session that ends.
    - The consumer that signs somebody in needs a guard: `@user(optional=True)` as a rule. Without one the host looks
      for no session, and `sign_in` raises `NoSession`.
    - An operator lets the module sign users in and out: `sessions = true` in `[modules.NAME.grants]`. To end the
      session of the connection, `sign_out`, it needs no grant.

    Calls raise `InvalidSession` when they break a rule, `NoSession` where there can be none, `ForbiddenSession` without
    a grant and `SessionsUnavailable` when sessions cannot be read; all are `SessionError`.

    >>> from dataclasses import dataclass
    >>> from tidegate_sdk import Context, Json, Response, User, export, http, user
    >>> from tidegate_sdk.testing import TestHost
    >>> @dataclass
    ... class Login:
    ...     name: str
    ...     password: str
    >>> @user(optional=True)
    ... @http("POST /login")
    ... def login(cx: Context, login: Json[Login]) -> Response:
    ...     # In earnest, a hash of the password that the store has.
    ...     if login.password != "high tide":
    ...         return Response.text("wrong name or password", status=401)
    ...     cx.sessions.sign_in(login.name, {"role": "member"})
    ...     return Response(204)
    >>> @user
    ... @http("POST /logout")
    ... def logout(cx: Context) -> Response:
    ...     cx.sessions.sign_out()
    ...     return Response(204)
    >>> @user
    ... @http("GET /me")
    ... def me(user: User) -> str:
    ...     return user.id
    >>> host = TestHost(export(login, logout, me), granted_sessions=True)
    >>> browser = host.request("POST", "/login", json={"name": "ada", "password": "high tide"}).cookies
    >>> host.get("/me", cookies=browser).text
    'ada'
    >>> host.request("POST", "/logout", cookies=browser).status, host.get("/me", cookies=browser).status
    (204, 401)
    """

    def __init__(self, host: Host) -> None:
        self._host = host

    def sign_in(self, user: str, claims: Any = None) -> None:
        """Signs a user in on the browser of the request or handshake.

        `claims` is a dataclass or a dict, at most 4 KiB as MessagePack; it is what `User.claims` reads from the next
        request on.
        """
        try:
            packed = messagepack.message({} if claims is None else claims)
        except InvalidContent as error:
            raise InvalidSession(f"the claims: {error}") from None
        self._host.session_sign_in(_user(user), packed)

    def sign_out(self) -> None:
        """Ends the session of the connection. Without one, it does nothing."""
        self._host.session_sign_out()

    def of(self, user: str) -> list[SignedIn]:
        """The sessions in which a user is signed in, at most 100, the last used first.

        What the run has asked for is not seen.
        """
        return [_signed_in(it) for it in self._host.sessions_of(_user(user))]

    def end(self, user: str, id: str) -> None:
        """Ends one session of a user, by its `SignedIn.id`. Without one, it does nothing.

        Raises `InvalidSession` where the id is not one of a session.
        """
        self._host.session_end(_user(user), need_text("the id of a session", id))

    def end_all(self, user: str) -> None:
        """Ends all sessions of a user, also that of the connection: for a user who is banned, from wherever."""
        self._host.session_end_all(_user(user), but_own=False)

    def end_others(self, user: str) -> None:
        """Ends all sessions of a user but that of the connection: "sign out elsewhere", and after another password."""
        self._host.session_end_all(_user(user), but_own=True)


def _user(user: str) -> str:
    return need_text("the id of a user", user)


def _moment(seconds: int) -> datetime:
    return _EPOCH + timedelta(seconds=seconds)


def _signed_in(it: wire.SignedIn) -> SignedIn:
    times = _moment(it.created), _moment(it.used), _moment(it.expires)
    return SignedIn(it.id, it.is_own, *times, it.address, it.agent)


class Session(Generic[D]):
    """The data of the module for the session of a browser: a basket, the step of a form, the page that was seen last.

    A consumer of HTTP takes it as a parameter, `Session[Basket]`; one of WebSockets, and any other, asks
    `Context.session`. The type is made without arguments where there is no data yet, so its fields have defaults.

    - The data stands in the store of the module, below a key of the session, and is part of the run's transaction: two
      requests of a session at the same time do not lose each other's changes. A module has one type for it.
    - A session can begin before anybody signs in. It keeps its data when somebody does. Another user on the same
      browser gets a session without data.
    - Reading begins no session. `set` and `update` begin one where there is none, in a request or a handshake.
    - The data is gone when the session reaches its lifetime, at the latest. After a sign-out nobody reaches it.
    - The consumer needs a guard, as `@user(optional=True)`: the host looks for sessions only where one stands.

    Reading and writing raise `StoreError` as `Store` does, and writing `SessionError` where no session can begin.

    >>> from dataclasses import dataclass, field
    >>> from tidegate_sdk import export, http, user
    >>> from tidegate_sdk.testing import TestHost
    >>> @dataclass
    ... class Basket:
    ...     items: list[str] = field(default_factory=list)
    >>> @user(optional=True)
    ... @http("POST /basket/{item}")
    ... def put(item: str, session: Session[Basket]) -> str:
    ...     with session.update() as basket:
    ...         basket.items.append(item)
    ...     return f"{len(basket.items)} items"
    >>> @user(optional=True)
    ... @http("GET /basket")
    ... def show(session: Session[Basket]) -> str:
    ...     return ", ".join(session.get().items)
    >>> host = TestHost(export(put, show))
    >>> browser = host.request("POST", "/basket/buoy").cookies
    >>> host.request("POST", "/basket/rope", cookies=browser).text
    '2 items'
    >>> host.get("/basket", cookies=browser).text, host.get("/basket").text
    ('buoy, rope', '')
    """

    def __init__(self, host: Host, kind: type[D]) -> None:
        self._host = host
        self._kind = kind

    def get(self) -> D:
        """Reads the data. Without any it is a new object of the type; that begins no session."""
        session = self._host.session_current()
        kept = None if session is None else self._store.get(_key(session), self._kind)
        return self._kind() if kept is None else kept

    def set(self, data: D) -> None:
        """Writes the data.

        It begins a session where there is none: then the answer of the run, a response or the acceptance of a
        handshake, carries the cookie.
        """
        session = self._host.session_begin()
        left = _moment(session.expires) - datetime.fromtimestamp(self._host.now(), UTC)
        # A session that ends now leaves nothing behind.
        self._store.set(_key(session), data, max(left, _LEAST))

    @contextmanager
    def update(self) -> Generator[D, None, None]:
        """Reads the data for a `with`, and writes it at its end: as one step, whatever other requests do.

        After an exception nothing is written.
        """
        data = self.get()
        yield data
        self.set(data)

    def clear(self) -> None:
        """Forgets the data. The session stays."""
        session = self._host.session_current()
        if session is not None:
            self._store.delete(_key(session))

    @property
    def _store(self) -> Store:
        return Store(self._host)


def _key(session: wire.Session) -> str:
    return f"{_KEY_PREFIX}{session.key}"


def check(kind: Any, what: str) -> None:
    """Refuses a type that a session cannot have. It is done while the module is built."""
    reader(kind)
    try:
        (get_origin(kind) or kind)()
    except TypeError:
        raise ConsumerError(
            f"{what}: the data of a session begins with `{name_of(kind)}()`, and that cannot be made: take a dataclass "
            "whose fields have defaults, or a dict"
        ) from None
