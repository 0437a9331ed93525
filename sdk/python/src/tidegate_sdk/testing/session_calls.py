"""What one run asks for of sessions."""

from __future__ import annotations

import re
from dataclasses import replace

from tidegate_sdk import errors
from tidegate_sdk.frame import Close
from tidegate_sdk.scope import Request, first_header
from tidegate_sdk.testing import rules, sessions, users
from tidegate_sdk.testing.connection import Connection
from tidegate_sdk.testing.world import Item, Job, World
from tidegate_sdk.wire import ChannelMessage, Failed, Session, SignedIn, User, WebsocketConnect

_ENDS_MAX = 100
"""So often a run ends sessions."""
_ID = re.compile("[0-9a-f]{64}")


class SessionCalls:
    """The sessions as one run sees them, and the changes that it asks for."""

    def __init__(self, world: World, job: Job) -> None:
        self._world = world
        self._job = job
        self._own: tuple[User | None, str] | None = None
        """A session that begins, with its user and key."""
        self._ends_own = False
        self._ends: list[tuple[str, str | None, str | None]] = []
        """Users whose sessions end, with the one that is meant, or the one that stays."""

    @property
    def is_empty(self) -> bool:
        return self._own is None and not self._ends_own and not self._ends

    def current(self) -> Session | None:
        if self._ends_own:
            return None
        if self._own is not None:
            return self._until(self._own[1])
        found = self._world.sessions.find(self._id, self._now)
        return None if found is None else Session(found.key, found.expires)

    def begin(self, has_flushed: bool) -> Session:
        session = self.current()
        if session is not None:
            return session
        self._check_cookie(has_flushed)
        return self._begins(None, self._world.next_id())

    def sign_in(self, user: str, claims: bytes, has_flushed: bool) -> Session:
        self._check_grant()
        self._check_cookie(has_flushed)
        try:
            rules.content(claims)
            found = users.checked(user, claims)
        except (ValueError, errors.SendError) as error:
            raise errors.InvalidSession(str(error)) from None
        return self._begins(found, self._key(user))

    def _key(self, user: str) -> str:
        """The data of one user is not for another."""
        connection = self._connection
        before = connection.user if connection else None
        if self._own is not None:
            before = self._own[0]
        session = self.current()
        is_kept = session is not None and (before is None or before.id == user)
        return session.key if session is not None and is_kept else self._world.next_id()

    def sign_out(self) -> None:
        # What the run has begun does not begin.
        self._own, self._ends_own = None, self._id is not None

    def of(self, user: str) -> list[SignedIn]:
        self._check_grant()
        return self._world.sessions.of(user, self._id, self._now)

    def end(self, user: str, id: str) -> None:
        self._check_grant()
        if _ID.fullmatch(id) is None:
            raise errors.InvalidSession("an id of a session is what `list-of` gives")
        self._put((user, id, None))

    def end_all(self, user: str, but_own: bool) -> None:
        self._check_grant()
        self._put((user, None, self._id if but_own else None))

    def _put(self, ends: tuple[str, str | None, str | None]) -> None:
        if len(self._ends) >= _ENDS_MAX:
            raise errors.InvalidSession(f"a run ends the sessions of at most {_ENDS_MAX} users")
        self._ends.append(ends)

    def check_answer(self, outbox: list[Item]) -> None:
        """Fails a run that begins a session and does not answer."""
        if self._own is not None and not any(sessions.has_head(about) for _, about in outbox):
            raise Failed(
                "it began a session and did not answer, so the browser would get no cookie; return a response, or "
                "accept the handshake"
            )

    def apply(self, outbox: list[Item]) -> None:
        """Does what the run has asked for. The answer gets the cookie."""
        own_id = self._id
        for user, only, stays in self._ends:
            for it in self._world.sessions.of(user, None, self._now):
                if only in (None, it.id) and it.id != stays:
                    self._close(it.id)
        if self._own is None and not self._ends_own:
            return
        if own_id is not None:
            self._close(own_id)
        cookie = sessions.set_cookie(None if self._own is None else self._open(*self._own))
        for at, (kind, about) in enumerate(outbox):
            if sessions.has_head(about):
                outbox[at] = kind, replace(about, headers=[*about.headers, cookie])
                return

    def _open(self, user: User | None, key: str) -> str:
        id = self._world.next_id().zfill(64)
        expires = self._now + sessions.LIFETIME
        scope = self._connection.scope if self._connection else None
        address = scope.client[0] if scope else ""
        agent = (first_header(scope.headers, "user-agent") or "") if scope else ""
        signed_in = None if user is None else User(user.id, user.claims, expires)
        self._world.sessions.table[id] = sessions.Open(signed_in, key, self._now, expires, address, agent)
        return id

    def _close(self, id: str) -> None:
        """Ends a session and closes its sockets."""
        self._world.sessions.table.pop(id, None)
        for channel, connection in list(self._world.connections.items()):
            if connection.session is not None and connection.session.id == id:
                self._world.close(channel, Close(4401, sessions.CLOSE_REASON))

    def _begins(self, user: User | None, key: str) -> Session:
        self._own, self._ends_own = (user, key), False
        return self._until(key)

    def _until(self, key: str) -> Session:
        return Session(key, self._now + sessions.LIFETIME)

    @property
    def _connection(self) -> Connection | None:
        return self._world.connections.get(self._job.connection or "")

    @property
    def _id(self) -> str | None:
        """The id of the session of the connection."""
        lookup = self._connection.session if self._connection else None
        return lookup.id if lookup else None

    @property
    def _now(self) -> int:
        return int(self._world.clock())

    def _check_cookie(self, has_flushed: bool) -> None:
        """Whether the connection can get a cookie."""
        event = self._job.event
        if isinstance(event, ChannelMessage):
            raise errors.NoSession("a message of a channel has no session")
        if not isinstance(event, (Request, WebsocketConnect)):
            raise errors.NoSession(
                "a browser takes a cookie with a response and with the acceptance of a handshake; begin the session "
                "there"
            )
        if self._connection is None or self._connection.session is None:
            raise errors.NoSession(
                "no session is looked for here: the consumer declares no `user`, or the request has a token"
            )
        if has_flushed:
            raise errors.InvalidSession("the run has flushed, and its answer may have left; begin the session before")

    def _check_grant(self) -> None:
        if not self._world.signs_in:
            raise errors.ForbiddenSession(
                "this module may not sign users in and out; let it be granted: "
                f"modules.{self._world.module}.grants.sessions = true, and in a test TestHost(..., "
                "granted_sessions=True)"
            )
