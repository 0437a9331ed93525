"""Users of the test host, let in by the rules of the host."""

from __future__ import annotations

from typing import Any

from tidegate_sdk.codec import messagepack
from tidegate_sdk.entries import Access, ClaimValue, Entry
from tidegate_sdk.errors import InvalidOnline
from tidegate_sdk.testing.forms import Respond
from tidegate_sdk.wire import User

_ID_MAX = 256
_CLAIMS_MAX = 4 * 1024


def user(identity: str | None, claims: Any) -> User | None:
    """A user of a test. `ValueError` when the host would take neither id nor claims of a token."""
    if identity is None:
        if claims is not None:
            raise ValueError('claims are those of a user: give `signed_in`, too, as in signed_in="ada"')
        return None
    return checked(identity, messagepack.message({} if claims is None else claims))


def is_id(text: str) -> bool:
    """Whether a user may have this id."""
    has_control = any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in text)
    return 1 <= len(text.encode()) <= _ID_MAX and not has_control


def check_id(identity: str) -> None:
    """The id of a user whose connections a run reaches."""
    if not is_id(identity):
        raise InvalidOnline(f"the id of a user has 1 to {_ID_MAX} bytes and no control characters")


def checked(identity: str, claims: bytes) -> User:
    """A user with claims, a MessagePack map. `ValueError` when the host would not take one of them."""
    if not is_id(identity):
        raise ValueError(f"{identity!r} is not 1 to {_ID_MAX} bytes without control characters")
    if len(claims) > _CLAIMS_MAX:
        raise ValueError(f"the claims have {len(claims)} bytes; at most {_CLAIMS_MAX} are taken")
    return User(identity, claims, None)


def admit(entry: Entry, user: User | None) -> User | int | None:
    """The user as a consumer sees it, or the status in place of a run."""
    access = entry.access
    if access is None:
        return None
    if user is None:
        return 401 if access.is_required else None
    return user if _has(access, messagepack.unpackb(user.claims)) else 403


def refusal(status: int) -> Respond:
    """The answer to a request whose user is not let in."""
    if status == 401:
        fields, text = [("www-authenticate", b"Bearer")], b"sign in first\n"
    else:
        fields, text = [], b"this user may not do that\n"
    return Respond(status, [("content-type", b"text/plain; charset=utf-8"), *fields], text)


def _has(access: Access, claims: dict[str, Any]) -> bool:
    return all(
        any(_is(value, one) for value in claim.values for one in _each(claims.get(claim.name)))
        for claim in access.claims
    )


def _each(claim: Any) -> list[Any]:
    return claim if isinstance(claim, list) else [claim]


def _is(value: ClaimValue, claim: Any) -> bool:
    # A bool is an int, and `1` is not `true`.
    return type(value) is type(claim) and bool(value == claim)
