"""The sessions of the test host, kept by the rules of the host."""

from __future__ import annotations

from dataclasses import dataclass, field

from tidegate_sdk.testing.forms import Accept, Respond, Start
from tidegate_sdk.wire import Headers, SignedIn, User

COOKIE = "__Host-session"
"""The name of the cookie, as without the setting."""
LIFETIME = 30 * 24 * 3600
"""The seconds for which a session lasts, as without the setting."""

CLOSE_REASON = "the session has ended"


@dataclass(frozen=True)
class Open:
    """A session that is open."""

    user: User | None
    key: str
    """Names what the module keeps for it."""
    created: int
    expires: int
    address: str
    agent: str


@dataclass(frozen=True)
class Lookup:
    """What is found of the session of a connection."""

    id: str | None = None


@dataclass
class Sessions:
    """All sessions, by their ids."""

    table: dict[str, Open] = field(default_factory=dict)

    def find(self, id: str | None, now: int) -> Open | None:
        """A session that is open."""
        found = self.table.get(id or "")
        return found if found is not None and now < found.expires else None

    def of(self, user: str, own: str | None, now: int) -> list[SignedIn]:
        """The sessions of a user, the newest first."""
        found = [
            SignedIn(id, id == own, it.created, it.created, it.expires, it.address, it.agent)
            for id, it in self.table.items()
            if it.user is not None and it.user.id == user and now < it.expires
        ]
        return sorted(found, key=lambda it: (-it.created, it.id))


def take_cookie(fields: Headers) -> tuple[Headers, str | None]:
    """The header fields without the cookie of a session, and its value."""
    others: Headers = []
    found: list[str] = []
    for name, value in fields:
        if name != "cookie":
            others.append((name, value))
            continue
        pairs = [pair.strip() for pair in value.split(b";")]
        own = [pair for pair in pairs if pair.startswith(f"{COOKIE}=".encode())]
        found += [pair.partition(b"=")[2].decode(errors="replace") for pair in own]
        if rest := [pair for pair in pairs if pair not in own]:
            others.append((name, b"; ".join(rest)))
    # Of two none counts.
    return others, found[0] if len(found) == 1 else None


def set_cookie(id: str | None) -> tuple[str, bytes]:
    """The header field that gives a browser the cookie of a session, or takes it away."""
    value, seconds = ("", 0) if id is None else (id, LIFETIME)
    text = f"{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax; Secure"
    return "set-cookie", text.encode()


def has_head(reply: object) -> bool:
    """Whether a reply has header fields that a browser takes."""
    return isinstance(reply, (Respond, Start, Accept))
