"""Accounts: registration, signing in with a password, and a page of the browsers in which one is signed in."""

import re
import sys
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from password import hashed, is_long_enough, is_right

from tidegate_sdk import (
    Context,
    Form,
    Request,
    Response,
    SessionError,
    SignedIn,
    Socket,
    Throttle,
    User,
    export,
    http,
    user,
    websocket,
)

# Read when the component is built, from a directory that the build has on its path.
PAGE = next(it.read_text() for it in (Path(place, "src/page.html") for place in sys.path) if it.is_file())

BY_ADDRESS = Throttle("address", 30, timedelta(minutes=15))
"""Tries to sign in from one address."""
BY_NAME = Throttle("name", 10, timedelta(minutes=15))
"""Tries to sign in as one user, from any address."""


@dataclass
class Account:
    """The data of a user."""

    password: str
    """The hash of the password, with its salt and parameters."""


@dataclass
class Credentials:
    """The fields of the forms."""

    name: str
    password: str


@http("GET /account")
def account_page() -> Response:
    return (
        Response.html(PAGE)
        .header("cache-control", "no-cache")
        .header("content-security-policy", "default-src 'self' 'unsafe-inline'; img-src data:")
    )


def back(problem: str | None = None) -> Response:
    """Back to the page, which says in words what was wrong."""
    return Response(303).header("location", "/account" if problem is None else f"/account?problem={problem}")


def is_name(name: str) -> bool:
    """Names are compared byte for byte, so they have one form."""
    return re.fullmatch(r"[a-z0-9-]{1,32}", name) is not None


def is_throttled(cx: Context, request: Request, name: str) -> bool:
    """Whether there were too many tries, for this name or from this address."""
    return BY_ADDRESS.count(cx, request.client[0]) is not None or BY_NAME.count(cx, name) is not None


@user(optional=True)
@http("POST /account/register")
def register(cx: Context, request: Request, entry: Form[Credentials]) -> Response:
    if not is_name(entry.name):
        return back("name")
    if not is_long_enough(entry.password):
        return back("password")
    if is_throttled(cx, request, entry.name):
        return back("tries")
    # Part of the transaction: of two who register one name at once, one is told so.
    if cx.store.get(f"user:{entry.name}", Account) is not None:
        return back("taken")
    cx.store.set(f"user:{entry.name}", Account(hashed(entry.password)))
    cx.sessions.sign_in(entry.name)
    return back()


@user(optional=True)
@http("POST /account/login")
def sign_in(cx: Context, request: Request, entry: Form[Credentials]) -> Response:
    """Says the same of a wrong name and of a wrong password, after the same time."""
    if not is_name(entry.name):
        return back("wrong")
    if is_throttled(cx, request, entry.name):
        return back("tries")
    account = cx.store.get(f"user:{entry.name}", Account)
    if not is_right(entry.password, account.password if account else None):
        return back("wrong")
    BY_NAME.forget(cx, entry.name)
    cx.sessions.sign_in(entry.name)
    return back()


@user(optional=True)
@http("POST /account/logout")
def sign_out(cx: Context) -> Response:
    cx.sessions.sign_out()
    return back()


@dataclass
class Shown:
    """A session as the page shows it. Moments are milliseconds since 1970."""

    id: str
    own: bool
    created: int
    used: int
    address: str
    agent: str


def shown(session: SignedIn) -> Shown:
    def millis(moment: datetime) -> int:
        return round(moment.timestamp() * 1000)

    created, used = millis(session.created), millis(session.used)
    return Shown(session.id, session.is_own, created, used, session.address, session.agent)


@user(optional=True)
@http("GET /account/me")
def signed_in(cx: Context, user: User | None) -> Response:
    sessions = [asdict(shown(it)) for it in cx.sessions.of(user.id)] if user else []
    told = {"name": user.id if user else None, "sessions": sessions}
    return Response.json(told).header("cache-control", "no-store")


@dataclass
class Which:
    id: str


@user
@http("POST /account/end")
def end_session(cx: Context, user: User, which: Form[Which]) -> Response:
    try:
        # One of another user is left alone.
        cx.sessions.end(user.id, which.id)
    except SessionError:
        return back("session")
    return back()


@user
@http("POST /account/end-others")
def end_other_sessions(cx: Context, user: User) -> Response:
    cx.sessions.end_others(user.id)
    return back()


@user
@websocket("/account/tabs")
class Tabs:
    """The pages that one user has open, in all browsers. Each says that it is here when one comes or goes."""

    def connect(self, socket: Socket[None]) -> None:
        # A name has no dot, so no name is within another.
        if socket.user:
            socket.group_add(f"tabs.{socket.user.id}")
        self.tell(socket, {"type": "roll"})

    def receive(self, socket: Socket[None], tab: str) -> None:
        """Takes the name that a page has given itself."""
        if len(tab.encode()) > 64:
            socket.close(4000, "a name has at most 64 bytes")
        else:
            self.tell(socket, {"type": "here", "tab": tab})

    def disconnect(self, socket: Socket[None]) -> None:
        self.tell(socket, {"type": "roll"})

    def tell(self, socket: Socket[None], told: dict[str, str]) -> None:
        if socket.user:
            socket.group_send_json(f"tabs.{socket.user.id}", told)


Consumer = export(
    account_page, register, sign_in, sign_out, signed_in, end_session, end_other_sessions, Tabs
)  # fmt: skip
