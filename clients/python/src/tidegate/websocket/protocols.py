"""Entries of the subprotocols that carry tokens. The host takes them out before its application sees the others."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..errors import ConfigError

_PREFIX = "tidegate.token."
# Offered where the application offers none: a server has to choose one of the offered entries.
_PLAIN = "tidegate"
# The characters of a JSON Web Token. An entry may have all of them.
_TOKEN = re.compile(r"[A-Za-z0-9_.-]+")


def offered(protocols: Sequence[str], token: object, resume: str | None = None) -> list[str]:
    """Returns the subprotocols to offer. Raises `ConfigError` for a token that is not valid."""
    entries: list[str] = []
    if token is not None:
        if not (isinstance(token, str) and _TOKEN.fullmatch(token)):
            raise ConfigError("a token is a text of A-Z a-z 0-9 . _ -")
        entries.append(_PREFIX + token)
    if resume is not None:
        entries.append(resume)
    if not entries:
        return list(protocols)
    return [*(protocols or [_PLAIN]), *entries]
