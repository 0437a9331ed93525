"""A bound on how often something is tried."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from math import ceil

from tidegate_sdk.checks import milliseconds, need_int, need_text
from tidegate_sdk.context import Context

_SUBJECT_BYTES_MAX = 256
"""The longest start of a subject that is in its key."""


@dataclass
class _Tries:
    """The tries of a subject."""

    count: int = 0
    until: int = 0
    """When the window ends, in milliseconds since 1970."""


class Throttle:
    """Bounds how often something is tried, such as signing in, by a subject, such as an address or the name of a user.

    The first try opens a window of so many seconds; beyond `limit` tries in it the others are too many, until it ends.
    The name tells it from other throttles of the module. The count is in the store of the module and part of the run's
    transaction: tries at the same time are all counted, in whatever process they run, and a run that fails counts
    nothing. So count before the password is looked at, and answer a wrong one with a response, not with a fault.

    >>> from tidegate_sdk import Request, Response, export, http
    >>> from tidegate_sdk.testing import TestHost
    >>> BY_ADDRESS = Throttle("login-address", 2, timedelta(minutes=1))
    >>> @http("POST /login")
    ... def login(cx: Context, request: Request) -> Response:
    ...     wait = BY_ADDRESS.count(cx, request.client[0])
    ...     if wait is not None:
    ...         return Response.text("too many tries", status=429).header("retry-after", str(wait))
    ...     return Response.text("wrong password", status=401)
    >>> host = TestHost(export(login))
    >>> [host.request("POST", "/login").status for _ in range(3)]
    [401, 401, 429]
    >>> host.advance(61)
    >>> host.request("POST", "/login").status
    401
    """

    def __init__(self, name: str, limit: int, window: float | timedelta) -> None:
        self._name = need_text("the name of a throttle", name)
        self._limit = need_int("the limit of a throttle", limit, 1)
        self._window = milliseconds("the window of a throttle", window)

    def count(self, cx: Context, subject: str) -> int | None:
        """Counts a try of a subject. None: it may be done.

        Else it is one too many, which is not counted, and the number of seconds to wait. Raises `StoreError` as `Store`
        does.
        """
        key, now = self._key(subject), int(cx.now().timestamp() * 1000)
        tries = cx.store.get(key, _Tries) or _Tries()
        if tries.until <= now:
            tries = _Tries(0, now + self._window)
        left = max(tries.until - now, 1)
        if tries.count >= self._limit:
            return ceil(left / 1000)
        cx.store.set(key, _Tries(tries.count + 1, tries.until), timedelta(milliseconds=left))
        return None

    def forget(self, cx: Context, subject: str) -> None:
        """Forgets the tries of a subject, as after a sign-in that went well."""
        cx.store.delete(self._key(subject))

    def _key(self, subject: str) -> str:
        # One that is too long counts together with others that begin like it.
        start = need_text("the subject of a throttle", subject).encode()[:_SUBJECT_BYTES_MAX].decode(errors="ignore")
        return f"throttle:{self._name}:{start}"
