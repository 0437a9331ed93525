"""The users of a Django site, for Tidegate: who is signed in at the site is signed in there.

The site signs tokens of a few minutes, which the host checks (`[auth.NAME]` of `tidegate.toml`). A page gets
one of the view in `tidegate.django.urls`; with `TidegateMiddleware` each request of a browser has one, in a
cookie. A user who logs out, or gets another password, loses the sockets that Tidegate holds.

The setting `TIDEGATE_AUTH` says how tokens are made:

    TIDEGATE_AUTH = {
        "algorithm": "EdDSA",
        "key": (BASE_DIR / "login-key.pem").read_text(),
        "audience": "chat",
        "groups": ["chat.user.{id}"],
    }
"""

from __future__ import annotations

from .settings import AuthSettings, auth_settings
from .sockets import close_sockets
from .tokens import Token, token_for

__all__ = ["AuthSettings", "Token", "auth_settings", "close_sockets", "token_for"]
