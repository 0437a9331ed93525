"""The setting `TIDEGATE_AUTH`, checked."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import jwt
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from ..errors import InvalidName
from ..names import check_group

# Those of the host that a site signs with, and the least bytes of a secret.
ALGORITHMS = (
    *("HS256", "HS384", "HS512", "RS256", "RS384", "RS512"),
    *("PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"),
)
SECRET_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
LONGEST_LIFETIME_SECONDS = 86_400

Claims = Callable[[Any], Mapping[str, Any]]


def no_claims(user: Any) -> Mapping[str, Any]:
    """Adds nothing to a token."""
    return {}


@dataclass(frozen=True)
class AuthSettings:
    """How the site makes tokens, and whose sockets it closes."""

    # One of those of `[auth.NAME]`; EdDSA needs Ed25519.
    algorithm: str
    # The private key in PEM, or the secret that site and host share.
    key: str | bytes = field(repr=False)
    # `kid`: which key of a JWK Set it is.
    key_id: str | None = None
    issuer: str | None = None
    audience: str | Sequence[str] | None = None
    # Seconds that a token counts.
    lifetime: int = 300
    # What a token says of a user besides the id: a function of the user, or where it is.
    claims: Claims = no_claims
    # The cookie that `TidegateMiddleware` sets; None for none.
    cookie: str | None = "tidegate"
    # The groups whose sockets end with a login: names, where `{id}` stands for the id of the user.
    groups: Sequence[str] = ()
    # The layer of CHANNEL_LAYERS that reaches them.
    layer: str = "default"

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise ValueError(
                f"algorithm is {self.algorithm!r}; it is one of {', '.join(ALGORITHMS)}"
            )
        if not isinstance(self.key, str | bytes) or not self.key:
            raise ValueError("key is missing: the private key in PEM, or the shared secret")
        least = SECRET_BYTES.get(self.algorithm, 0)
        size = len(self.key.encode() if isinstance(self.key, str) else self.key)
        if size < least:
            raise ValueError(
                f"key has {size} bytes, and {self.algorithm} needs {least} at least; make one with"
                f" `openssl rand -base64 {least}`"
            )
        is_number = isinstance(self.lifetime, int) and not isinstance(self.lifetime, bool)
        if not is_number or not 1 <= self.lifetime <= LONGEST_LIFETIME_SECONDS:
            raise ValueError(
                f"lifetime is {self.lifetime!r}; it is a whole number of seconds,"
                f" 1 to {LONGEST_LIFETIME_SECONDS}"
            )
        if not callable(self.claims):
            raise ValueError("claims is a function of the user, or the path of one")
        if isinstance(self.groups, str):
            raise ValueError(f"groups is {self.groups!r}; it is a list of names")
        for name in self.groups:
            if not isinstance(name, str) or "{id}" not in name:
                raise ValueError(
                    f"groups has {name!r}; a name has {{id}}, such as 'chat.user.{{id}}'"
                )
            check_group(name.replace("{id}", "1"))
        try:
            jwt.encode({}, self.key, self.algorithm)
        except Exception as error:
            # The library has other types of errors for each kind of key; none of them quotes the key.
            kind = type(error).__name__
            raise ValueError(
                f"key cannot sign with {self.algorithm} ({kind}); give a private key in PEM of that"
                " kind, such as `openssl genpkey -algorithm ed25519` writes for EdDSA"
            ) from None


@functools.cache
def auth_settings() -> AuthSettings:
    """Returns the setting `TIDEGATE_AUTH`. Raises `ImproperlyConfigured` where it is wrong."""
    given = getattr(settings, "TIDEGATE_AUTH", None)
    try:
        if not isinstance(given, Mapping):
            raise ValueError("it is a dict, such as {'algorithm': 'EdDSA', 'key': ...}")
        known = [it.name for it in fields(AuthSettings)]
        for name in given:
            if name not in known:
                near = difflib.get_close_matches(str(name), known, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
                raise ValueError(f"there is no {name!r}; {hint}")
        for name in ("algorithm", "key"):
            if name not in given:
                raise ValueError(f"{name} is missing")
        values = dict(given)
        if isinstance(values.get("claims"), str):
            values["claims"] = import_string(values["claims"])
        return AuthSettings(**values)
    except (ValueError, ImportError, InvalidName) as error:
        raise ImproperlyConfigured(f"TIDEGATE_AUTH: {error}") from error


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "TIDEGATE_AUTH":
        auth_settings.cache_clear()


setting_changed.connect(_forget, dispatch_uid="tidegate.auth_settings")
