"""What `manage.py check` says about `TIDEGATE_AUTH`."""

from __future__ import annotations

from typing import Any

from django.conf import settings as site
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from .settings import auth_settings
from .sockets import layer_of

MIDDLEWARE = "tidegate.django.middleware.TidegateMiddleware"
AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"


def connect() -> None:
    """Registers the checks."""
    checks.register(check, checks.Tags.security)


def check(app_configs: Any = None, **_: Any) -> list[checks.CheckMessage]:
    """Finds what is wrong, and what is left open."""
    try:
        settings = auth_settings()
        if settings.groups:
            layer_of(settings.layer)
    except ImproperlyConfigured as error:
        return [checks.Error(str(error), id="tidegate.E001")]
    found: list[checks.CheckMessage] = []
    middleware = list(site.MIDDLEWARE)
    if MIDDLEWARE not in middleware:
        found.append(
            checks.Warning(
                "A logout closes no sockets, and no browser gets a token by cookie.",
                hint=f"Add {MIDDLEWARE!r} to MIDDLEWARE, behind the AuthenticationMiddleware.",
                id="tidegate.W001",
            )
        )
    elif AUTHENTICATION in middleware[middleware.index(MIDDLEWARE) :]:
        found.append(
            checks.Error(
                f"{MIDDLEWARE} stands before the AuthenticationMiddleware, and knows no user.",
                hint="Move it behind that one.",
                id="tidegate.E002",
            )
        )
    if not settings.groups:
        found.append(
            checks.Warning(
                "A logout or another password closes no sockets: TIDEGATE_AUTH has no `groups`.",
                hint="Name the groups that consumers put the sockets of a user into.",
                id="tidegate.W002",
            )
        )
    if site.SESSION_ENGINE == "django.contrib.sessions.backends.signed_cookies":
        found.append(
            checks.Warning(
                "A session of signed cookies cannot be ended: a copy of the cookie gets tokens"
                " after a logout, until the password changes or SESSION_COOKIE_AGE is over.",
                hint="Keep sessions in the database or a cache.",
                id="tidegate.W003",
            )
        )
    return found
