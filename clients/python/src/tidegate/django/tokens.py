"""Makes the tokens that say to Tidegate who a user is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import jwt

from .settings import auth_settings

# What the host takes.
USER_ID_BYTES = 256
TOKEN_BYTES = 8 * 1024
RESERVED = frozenset({"iss", "aud", "sub", "iat", "exp", "nbf", "jti"})


@dataclass(frozen=True)
class Token:
    """A token, and the seconds that it counts from now on."""

    text: str
    lifetime: int


def token_for(user: Any, **more: Any) -> Token:
    """Makes a token for a user of the site, whose id in Tidegate is the text of the primary key.

    `more` are claims besides those of the setting `claims`. It is for the caller to know that the user is
    signed in. Raises `ValueError` for an id or claims that the host does not take.
    """
    settings = auth_settings()
    now = int(time.time())
    name = str(user.pk)
    if user.pk is None or not 1 <= len(name.encode()) <= USER_ID_BYTES:
        raise ValueError(f"the user's id is {name!r}; it has 1 to {USER_ID_BYTES} bytes")
    claims = dict(settings.claims(user)) | more
    reserved = sorted(RESERVED.intersection(claims))
    if reserved:
        raise ValueError(f"claims has {reserved[0]!r}, which the settings decide; use another name")
    claims |= {"sub": name, "iat": now, "exp": now + settings.lifetime}
    if settings.issuer is not None:
        claims["iss"] = settings.issuer
    if settings.audience is not None:
        audience = settings.audience
        claims["aud"] = audience if isinstance(audience, str) else list(audience)
    headers = {"kid": settings.key_id} if settings.key_id is not None else None
    text = jwt.encode(claims, settings.key, settings.algorithm, headers=headers)
    if len(text) > TOKEN_BYTES:
        raise ValueError(
            f"the token has {len(text)} bytes, and {TOKEN_BYTES} are allowed; have claims say less"
        )
    return Token(text, settings.lifetime)
