"""Gives a browser that is signed in a token in a cookie, and closes the sockets of who logs out."""

from __future__ import annotations

import logging
import time
from typing import Any

import jwt
from django.conf import settings as site
from django.utils.cache import patch_vary_headers
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.deprecation import MiddlewareMixin

from .settings import auth_settings
from .signals import LOGGED_OUT
from .sockets import close_quietly
from .tokens import token_for

logger = logging.getLogger("tidegate")

# Browsers keep no cookie that is larger than 4,096 bytes with its name and attributes.
COOKIE_BYTES = 3_800
SALT = "tidegate.django.middleware"


class TidegateMiddleware(MiddlewareMixin):  # type: ignore[misc]
    """Stands behind the `AuthenticationMiddleware`.

    A response to a browser that is signed in has a token in the cookie of `TIDEGATE_AUTH`, when the one that
    the browser has was made for another session or is past half of its time. A browser that is not signed in
    loses the cookie. Where a request has neither a session nor that cookie, nothing is looked up.
    """

    def process_response(self, request: Any, response: Any) -> Any:
        """Sets or deletes the cookie, and closes sockets."""
        session = getattr(request, "session", None)
        if session is None:
            return response
        logged_out = vars(session).pop(LOGGED_OUT, ())
        if logged_out:
            close_quietly(logged_out)
        name = auth_settings().cookie
        if name is not None and name not in response.cookies:
            self._update(request, response, name)
        return response

    def _update(self, request: Any, response: Any, name: str) -> None:
        settings = auth_settings()
        sent = request.COOKIES.get(name)
        key = request.session.session_key
        if key is None and sent is None:
            return
        session = _digest(key) if key is not None else ""
        if sent is not None and key is not None and _is_fresh(sent, session, settings.lifetime):
            return
        where = {"path": "/", "domain": site.SESSION_COOKIE_DOMAIN}
        same_site = site.SESSION_COOKIE_SAMESITE
        user = getattr(request, "user", None) if key is not None else None
        if user is not None and user.is_authenticated:
            token = token_for(user, session=session)
            if len(name) + len(token.text) > COOKIE_BYTES:
                logger.error(
                    "the token of user %s does not fit into a cookie: it has %s bytes; have `claims`"
                    " of TIDEGATE_AUTH say less, or give pages the token by the view",
                    user.pk,
                    len(token.text),
                )
                return
            response.set_cookie(
                name,
                token.text,
                max_age=token.lifetime,
                secure=site.SESSION_COOKIE_SECURE,
                httponly=True,
                samesite=same_site,
                **where,
            )
        elif sent is not None:
            response.delete_cookie(name, samesite=same_site, **where)
        else:
            return
        patch_vary_headers(response, ("Cookie",))


def _digest(session_key: str) -> str:
    """Tells sessions apart, and tells nobody their keys."""
    return str(salted_hmac(SALT, session_key, algorithm="sha256").hexdigest())[:32]


def _is_fresh(token: str, session: str, lifetime: int) -> bool:
    """Whether a token is of this session and in the first half of its time.

    The host verifies the signature. A browser that sends a forged one gets no other, and is refused there.
    """
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
        expires = float(claims["exp"])
        found = str(claims["session"])
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError):
        return False
    return bool(constant_time_compare(found, session)) and expires - time.time() > lifetime / 2
