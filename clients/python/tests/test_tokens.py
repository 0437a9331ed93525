"""The rules of tokens and of their cookie, without a site."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.test import override_settings

from tidegate.django import auth_settings, token_for
from tidegate.django.middleware import TidegateMiddleware, _digest

SECRET = "a secret of 32 bytes, or of more"
HS256 = {"algorithm": "HS256", "key": SECRET}


@pytest.fixture(autouse=True)
def configured() -> Iterator[None]:
    """Has a setting, which tests may replace."""
    with override_settings(TIDEGATE_AUTH=HS256):
        yield


def user(pk: Any = 7, *, is_authenticated: bool = True) -> Any:
    """Returns a user of a site."""
    return SimpleNamespace(pk=pk, is_authenticated=is_authenticated)


@dataclass
class Request:
    """A request: its cookies, the key of its session, and who sends it."""

    COOKIES: dict[str, str]
    key: str | None = None
    who: Any = field(default_factory=lambda: user(is_authenticated=False))
    is_looked_up: bool = False

    def __post_init__(self) -> None:
        self.session = SimpleNamespace(session_key=self.key)

    @property
    def user(self) -> Any:
        """The user, which costs a look into the database."""
        self.is_looked_up = True
        return self.who


def cookie(left: float, *, session: str | None = "key", secret: str = SECRET, **more: Any) -> str:
    """Makes a token that counts for so many seconds more."""
    claims: dict[str, Any] = {"sub": "7", "exp": int(time.time() + left)} | more
    if session is not None:
        claims["session"] = _digest(session)
    return jwt.encode(claims, secret, "HS256")


def answered(request: Request) -> HttpResponse:
    """Returns what the middleware makes of a response."""
    response = HttpResponse()
    middleware = TidegateMiddleware(lambda _: response)
    return middleware.process_response(request, response)


SET, DELETED, LEFT = "set", "deleted", "left"


@pytest.mark.parametrize(
    ("sent", "key", "who", "outcome", "is_looked_up"),
    [
        # Nothing is looked up.
        (None, None, user(), LEFT, False),
        ("fresh", "key", user(), LEFT, False),
        # A session, and no token that lasts.
        (None, "key", user(), SET, True),
        ("old", "key", user(), SET, True),
        ("expired", "key", user(), SET, True),
        ("other session", "key", user(), SET, True),
        ("no session", "key", user(), SET, True),
        ("no exp", "key", user(), SET, True),
        ("text", "key", user(), SET, True),
        ("garbage", "key", user(), SET, True),
        # Nobody is signed in.
        (None, "key", user(is_authenticated=False), LEFT, True),
        ("fresh", None, user(), DELETED, False),
        ("old", "key", user(is_authenticated=False), DELETED, True),
        ("garbage", "key", user(is_authenticated=False), DELETED, True),
        ("other session", "key", user(is_authenticated=False), DELETED, True),
    ],
)
def test_a_browser_has_a_token_as_long_as_it_is_signed_in(
    sent: str | None, key: str | None, who: Any, outcome: str, is_looked_up: bool
) -> None:
    tokens = {
        "fresh": cookie(200),
        "old": cookie(100),
        "expired": cookie(-100),
        "other session": cookie(200, session="another"),
        "no session": cookie(200, session=None),
        "no exp": jwt.encode({"session": _digest("key")}, SECRET, "HS256"),
        "text": jwt.encode({"session": _digest("key"), "exp": "soon"}, SECRET, "HS256"),
        "garbage": "a.b.c",
    }
    request = Request({} if sent is None else {"tidegate": tokens[sent]}, key, who)
    response = answered(request)
    morsel = response.cookies.get("tidegate")
    assert request.is_looked_up == is_looked_up
    if outcome == LEFT:
        assert morsel is None
    elif outcome == DELETED:
        assert morsel is not None and (morsel.value, morsel["max-age"]) == ("", 0)
    else:
        assert morsel is not None and morsel["max-age"] == 300
        assert (morsel["httponly"], morsel["samesite"], morsel["secure"]) == (True, "Lax", "")
        claims = jwt.decode(morsel.value, SECRET, ["HS256"])
        assert (claims["sub"], claims["session"]) == ("7", _digest("key"))
        # It is fresh, so it stays.
        assert answered(Request({"tidegate": morsel.value}, key, who)).cookies == {}
    assert response.has_header("vary") == (outcome != LEFT)


def test_the_cookie_is_as_safe_as_that_of_the_session() -> None:
    with override_settings(
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_DOMAIN="example.com",
        TIDEGATE_AUTH=HS256 | {"cookie": "id", "lifetime": 60},
    ):
        morsel = answered(Request({}, "key", user())).cookies["id"]
        assert (morsel["secure"], morsel["samesite"]) == (True, "Strict")
        assert (morsel["domain"], morsel["path"], morsel["max-age"]) == ("example.com", "/", 60)
    with override_settings(TIDEGATE_AUTH=HS256 | {"cookie": None}):
        assert answered(Request({"tidegate": "x"}, "key", user())).cookies == {}


def test_a_token_that_fits_into_no_cookie_is_left_out_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with override_settings(TIDEGATE_AUTH=HS256 | {"claims": lambda _: {"a": "x" * 4_000}}):
        assert answered(Request({}, "key", user())).cookies == {}
    assert "does not fit into a cookie" in caplog.text


def test_a_token_says_what_the_settings_have() -> None:
    made = token_for(user("ünïcode"), role="admin")
    claims = jwt.decode(made.text, SECRET, ["HS256"])
    now = time.time()
    assert abs(claims["iat"] - now) < 5 and claims["exp"] == claims["iat"] + 300
    assert {name: claims[name] for name in claims if name not in ("iat", "exp")} == {
        "sub": "ünïcode",
        "role": "admin",
    }
    more = {"issuer": "site", "audience": ["a", "b"], "key_id": "k", "lifetime": 9}
    with override_settings(TIDEGATE_AUTH=HS256 | more):
        made = token_for(user())
        claims = jwt.decode(made.text, SECRET, ["HS256"], audience="b", issuer="site")
        assert (claims["aud"], claims["exp"] - claims["iat"]) == (["a", "b"], 9)
        assert jwt.get_unverified_header(made.text)["kid"] == "k"


@pytest.mark.parametrize(
    ("who", "claims", "told"),
    [
        (user(None), {}, "1 to 256 bytes"),
        (user(""), {}, "1 to 256 bytes"),
        (user("ü" * 129), {}, "1 to 256 bytes"),
        (user(), {"sub": "8"}, "has 'sub', which the settings decide"),
        (user(), {"exp": 1}, "has 'exp', which the settings decide"),
        (user(), {"a": "x" * 8_192}, "8192 are allowed"),
    ],
)
def test_what_the_host_does_not_take_is_not_signed(who: Any, claims: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        token_for(who, **claims)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        (None, "it is a dict"),
        ({}, "algorithm is missing"),
        ({"algorithm": "HS256"}, "key is missing"),
        (HS256 | {"colour": "red"}, "there is no 'colour'; there are algorithm"),
        (HS256 | {"lifetme": 1}, "did you mean 'lifetime'"),
        (HS256 | {"algorithm": "none"}, "it is one of HS256"),
        (HS256 | {"algorithm": "HS512"}, "HS512 needs 64 at least"),
        (HS256 | {"key": "short"}, "HS256 needs 32 at least"),
        (HS256 | {"key": ""}, "key is missing"),
        (HS256 | {"key": 7}, "key is missing"),
        (HS256 | {"algorithm": "EdDSA"}, "cannot sign with EdDSA"),
        (HS256 | {"algorithm": "RS256"}, "cannot sign with RS256"),
        (HS256 | {"lifetime": "5m"}, "a whole number of seconds"),
        (HS256 | {"lifetime": True}, "a whole number of seconds"),
        (HS256 | {"claims": "nothing.here"}, "nothing"),
        (HS256 | {"claims": 7}, "claims is a function"),
        (HS256 | {"groups": "chat.user.{id}"}, "it is a list of names"),
        (HS256 | {"groups": ["chat.user"]}, "a name has {id}"),
        (HS256 | {"groups": [7]}, "a name has {id}"),
        (HS256 | {"groups": ["chat user {id}"]}, "it has ' '"),
    ],
)
def test_a_wrong_setting_is_refused_with_the_fix(setting: Any, told: str) -> None:
    with override_settings(TIDEGATE_AUTH=setting):
        with pytest.raises(ImproperlyConfigured, match=told) as refused:
            auth_settings()
        # A secret is in no message.
        assert SECRET not in str(refused.value)
    # The one before counts again.
    assert auth_settings().algorithm == "HS256"
