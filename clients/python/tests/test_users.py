"""The users of a Django site in Tidegate: who is signed in there, and what ends a login."""

from __future__ import annotations

import asyncio
import contextlib
import http.cookiejar
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import browser
import jwt
import pytest
from conftest import eventually, must
from servers import ROOT, Redis, free_port, running, tidegate, tidegate_env
from test_django import SAY, SITE, Site, needs_tidegate, shows
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

MODULE = ROOT / "target/examples/django-members.wasm"
needs_members = pytest.mark.skipif(
    not MODULE.exists() and os.environ.get("CI") != "true",
    reason=f"{MODULE} is missing: run `make examples`",
)
PASSWORD = "the tide is high"
USERS = f"""
from django.contrib.auth.models import User
for name in ("ada", "bob"):
    User.objects.create_user(name, password={PASSWORD!r})
"""


class MembersSite(Site):
    """The site with users, and Tidegate with the key of the site."""

    def __init__(self, folder: Path, redis: Redis) -> None:
        super().__init__(folder, 3, redis)
        key = folder / "login-key.pem"
        subprocess.run(
            ["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key)], check=True
        )
        self.public = folder / "login.pem"
        make = ["openssl", "pkey", "-in", str(key), "-pubout", "-out", str(self.public)]
        subprocess.run(make, check=True)
        self.env |= {"LOGIN_KEY": str(key)}
        made = self.manage("migrate", "--run-syncdb")
        assert made.returncode == 0, made.stderr
        self.shell(USERS)

    def shell(self, code: str) -> None:
        """Runs code in a process of the site."""
        done = self.manage("shell", "-c", code)
        assert done.returncode == 0, done.stderr

    def members(self, auth: str = "", **settings: str) -> AbstractContextManager[int]:
        """Serves the module as `members` by Tidegate, which takes the tokens of the site."""
        return self.serve({"members": MODULE}, auth, **settings)

    @contextlib.contextmanager
    def serve(
        self, modules: dict[str, Path], auth: str = "", *arguments: str, **settings: str
    ) -> Iterator[int]:
        """Serves modules by Tidegate, with more settings behind those of tokens."""
        program, port = tidegate(), free_port()
        assert program is not None
        (self.folder / "tidegate.toml").write_text(
            f"""
            [auth.django]
            algorithms = ["EdDSA"]
            public_keys = {{ file = "{self.public}" }}
            audience = ["chat"]
            cookie = "tidegate"
            {auth}
            """
        )
        command = [str(program), "serve", "--config", str(self.folder / "tidegate.toml")]
        command += arguments
        command += ["--layer", self.redis.url(), "--listen", f"127.0.0.1:{port}"]
        command += ["--admin", f"127.0.0.1:{free_port()}"]
        for name, file in modules.items():
            command += ["--module", f"{name}={file}"]
        command += ["--data-dir", str(self.folder / f"tidegate-{port}")]
        with running(command, port, cwd=self.folder, env=tidegate_env(**settings)):
            yield port


class Browser:
    """Asks the site as a browser does, and keeps its cookies."""

    def __init__(self, port: int) -> None:
        self._at = f"http://127.0.0.1:{port}"
        self.cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    async def ask(self, path: str, **fields: str) -> tuple[int, str, Any]:
        """Gets a page, or posts a form to it. Returns status, body and header fields."""
        data = urllib.parse.urlencode(fields).encode() if fields else None

        def ask() -> tuple[int, str, Any]:
            try:
                with self._opener.open(self._at + path, data, timeout=30) as response:
                    return response.status, response.read().decode(), response.headers
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode(), error.headers

        return await asyncio.to_thread(ask)

    async def post(self, path: str, form_at: str, **fields: str) -> tuple[int, str, Any]:
        """Posts a form with the token against forgery that a page has."""
        _, page, _ = await self.ask(form_at)
        found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        assert found is not None, page
        return await self.ask(path, csrfmiddlewaretoken=found[1], **fields)

    async def log_in(self, name: str, password: str = PASSWORD) -> None:
        """Signs in by the form."""
        form = {"username": name, "password": password, "next": ""}
        status, page, _ = await self.post("/accounts/login/", "/accounts/login/", **form)
        assert status == 200 and "chat-log" in page, page

    async def log_out(self) -> None:
        """Signs out by the button."""
        await self.post("/accounts/logout/", "/chat/members/lobby/", next="")

    def cookie(self, name: str = "tidegate") -> http.cookiejar.Cookie | None:
        """Returns a cookie that it keeps."""
        return next((it for it in self.cookies if it.name == name), None)

    async def join(self, port: int) -> ClientConnection:
        """Opens a socket of the members' room at Tidegate, with the cookies as a browser sends them."""
        header = "; ".join(f"{it.name}={it.value}" for it in self.cookies)
        return await connect(
            f"ws://127.0.0.1:{port}/ws/members/lobby/",
            additional_headers={"cookie": header} if header else {},
            open_timeout=20,
        )

    async def is_refused(self, port: int) -> bool:
        """Whether it may not join."""
        try:
            await (await self.join(port)).close()
        except InvalidStatus as refused:
            assert refused.response.status_code == 401, refused
            return True
        return False


@pytest.fixture
def members_site(tmp_path: Path) -> Iterator[MembersSite]:
    """The site with users, on a Redis of its own."""
    redis = Redis()
    yield MembersSite(tmp_path, redis)
    redis.close()


async def is_closed(socket: ClientConnection) -> None:
    """Waits until a socket was closed as one whose login is over."""
    await must(socket.wait_closed())
    assert socket.close_code == 4401


async def hears(socket: ClientConnection, text: str) -> None:
    """Has a socket receive a line, as its next one."""
    assert json.loads(await must(socket.recv())) == {"message": text}


@pytest.mark.parametrize("server", ["daphne", "uvicorn"])
async def test_who_is_signed_in_gets_tokens_until_the_session_ends(
    members_site: MembersSite, server: str
) -> None:
    with getattr(members_site, server)() as port:
        ada = Browser(port)
        status, body, _ = await ada.ask("/tidegate/token/")
        assert (status, json.loads(body)) == (401, {"error": "sign in first"})
        assert ada.cookie() is None
        await ada.log_in("ada")
        cookie = ada.cookie()
        assert cookie is not None and cookie.has_nonstandard_attr("HttpOnly")
        assert cookie.get_nonstandard_attr("SameSite") == "Lax"
        status, body, fields = await ada.ask("/tidegate/token/")
        answer = json.loads(body)
        assert (status, answer["expires_in"]) == (200, 300)
        assert "no-store" in fields["cache-control"] and "Cookie" in fields["vary"]
        for token in (answer["token"], str(cookie.value)):
            public = members_site.public.read_text()
            claims = jwt.decode(token, public, ["EdDSA"], audience="chat")
            assert (claims["sub"], claims["name"]) == ("1", "ada")
            assert claims["exp"] - claims["iat"] == 300
        # One that is fresh stays.
        assert fields["set-cookie"] is None
        again = Browser(port)
        await again.log_in("ada")
        await ada.log_out()
        assert ada.cookie() is None
        assert (await ada.ask("/tidegate/token/"))[0] == 401
        # The session of another browser goes on, until the password is another one.
        assert (await again.ask("/tidegate/token/"))[0] == 200
        await asyncio.to_thread(members_site.shell, CHANGE.format("set_password('another one')"))
        assert again.cookie() is not None
        assert (await again.ask("/tidegate/token/"))[0] == 401
        assert again.cookie() is None


CHANGE = """
from django.contrib.auth.models import User
user = User.objects.get(username="ada")
user.{}
user.save()
"""


@needs_tidegate
@needs_members
async def test_a_login_at_the_site_is_one_at_tidegate_and_a_logout_closes_its_sockets(
    members_site: MembersSite,
) -> None:
    with members_site.daphne() as site, members_site.members() as at:
        ada, elsewhere, bob, nobody = (Browser(site) for _ in range(4))
        assert await nobody.is_refused(at)
        for person, name in ((ada, "ada"), (elsewhere, "ada"), (bob, "bob")):
            await person.log_in(name)
        sockets = [await person.join(at) for person in (ada, elsewhere, bob)]
        await sockets[0].send('{"message": "ahoy"}')
        for socket in sockets:
            await hears(socket, "ada: ahoy")
        old = ada.cookie()
        await ada.log_out()
        for socket in sockets[:2]:
            await is_closed(socket)
        assert await ada.is_refused(at)
        # The other browser is still signed in, and comes back.
        assert (await elsewhere.ask("/tidegate/token/"))[0] == 200
        back = await elsewhere.join(at)
        await sockets[2].send('{"message": "still here"}')
        for socket in (back, sockets[2]):
            await hears(socket, "bob: still here")
        # Nobody can take a token back: a copy counts until it expires.
        assert old is not None
        ada.cookies.set_cookie(old)
        assert not await ada.is_refused(at)
        for socket in (back, sockets[2]):
            await socket.close()


@needs_tidegate
@needs_members
@pytest.mark.parametrize(
    "change",
    [
        CHANGE.format("set_password('another one')"),
        CHANGE.format("is_active = False"),
        CHANGE.format("delete()").replace("user.save()", ""),
        "from tidegate.django import close_sockets; close_sockets('1')",
    ],
    ids=["password", "inactive", "deleted", "by the site"],
)
async def test_what_ends_sessions_elsewhere_closes_sockets(
    members_site: MembersSite, change: str
) -> None:
    with members_site.uvicorn() as site, members_site.members() as at:
        ada, bob = Browser(site), Browser(site)
        await ada.log_in("ada")
        await bob.log_in("bob")
        sockets = [await person.join(at) for person in (ada, bob)]
        # What ends no session closes no socket.
        rename = CHANGE.format("first_name = 'Ada'")
        await asyncio.to_thread(members_site.shell, rename)
        await sockets[0].send('{"message": "ahoy"}')
        await hears(sockets[1], "ada: ahoy")
        await asyncio.to_thread(members_site.shell, change)
        await is_closed(sockets[0])
        await sockets[1].send('{"message": "still here"}')
        await hears(sockets[1], "bob: still here")
        await sockets[1].close()


@needs_tidegate
@needs_members
async def test_a_change_that_is_rolled_back_closes_nothing(members_site: MembersSite) -> None:
    roll_back = (
        "from django.db import transaction\n"
        + "with transaction.atomic():\n"
        + "".join(f"    {line}\n" for line in CHANGE.format("is_active = False").split("\n"))
        + "    transaction.set_rollback(True)\n"
    )
    with members_site.uvicorn() as site, members_site.members() as at:
        ada = Browser(site)
        await ada.log_in("ada")
        socket = await ada.join(at)
        await asyncio.to_thread(members_site.shell, roll_back)
        await socket.send('{"message": "still here"}')
        await hears(socket, "ada: still here")
        await socket.close()


@needs_tidegate
@needs_members
async def test_a_socket_whose_token_expires_comes_back_by_the_session(
    members_site: MembersSite,
) -> None:
    # Long enough for a busy machine to open a socket in.
    members_site.env |= {"TOKEN_LIFETIME": "4"}
    with members_site.uvicorn() as site, members_site.members('leeway = "0s"') as at:
        ada = Browser(site)
        await ada.log_in("ada")
        for _ in range(2):
            assert (await ada.ask("/tidegate/token/"))[0] == 200
            await is_closed(await ada.join(at))


SECRET_KEY = "django-insecure-for-the-tests-alone-and-50-characters"
COOKIE_SETTINGS = f"""
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from mysite.settings import *

SECRET_KEY = {SECRET_KEY!r}
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"

@receiver(user_logged_in)
def keep_name(request, user, **_):
    request.session["name"] = user.get_username()
"""


@needs_tidegate
@needs_members
async def test_a_session_in_a_signed_cookie_is_a_login_at_tidegate(
    members_site: MembersSite,
) -> None:
    (members_site.folder / "cookie_settings.py").write_text(COOKIE_SETTINGS)
    members_site.env |= {
        "DJANGO_SETTINGS_MODULE": "cookie_settings",
        "PYTHONPATH": str(members_site.folder),
    }
    old = "the secret of the site before this one, of 50 characters"
    auth = f"django_secrets = [{old!r}, {SECRET_KEY!r}]"
    with members_site.uvicorn() as site, members_site.members(auth) as at:
        ada = Browser(site)
        assert (await ada.ask("/tidegate/token/"))[0] == 401
        assert await ada.is_refused(at)
        await ada.log_in("ada")
        token = ada.cookie()
        assert token is not None
        ada.cookies.clear(token.domain, token.path, token.name)
        socket = await ada.join(at)
        await socket.send('{"message": "ahoy"}')
        await hears(socket, "ada: ahoy")
        await socket.close()
        session = ada.cookie("sessionid")
        assert session is not None and session.value is not None
        value = session.value
        for changed in (value[:-1], value.swapcase(), value.replace(":", "."), f'"{value}"'):
            session.value = changed
            ada.cookies.set_cookie(session)
            assert await ada.is_refused(at), changed


async def test_a_logout_works_while_redis_is_away(members_site: MembersSite) -> None:
    with members_site.uvicorn() as site:
        ada = Browser(site)
        await ada.log_in("ada")
        members_site.redis.stop()
        await ada.log_out()
        assert ada.cookie() is None
        assert (await ada.ask("/tidegate/token/"))[0] == 401
        members_site.redis.start()


@needs_tidegate
@needs_members
@pytest.mark.skipif(
    browser.missing() is not None and os.environ.get("CI") != "true", reason=str(browser.missing())
)
async def test_a_page_comes_back_with_another_token_until_its_login_ends_in_a_browser(
    members_site: MembersSite,
) -> None:
    members_site.env |= {"TOKEN_LIFETIME": "2"}
    with contextlib.ExitStack() as stack:
        port = free_port()
        origin = f"http://127.0.0.1:{port}"
        at = stack.enter_context(
            members_site.members('leeway = "0s"', TIDEGATE_INTERFACE_ORIGINS=origin)
        )
        stack.enter_context(members_site.uvicorn(port, SOCKETS_AT=f"ws://127.0.0.1:{at}"))
        driver = stack.enter_context(browser.driver())
        tab = await browser.page(driver)
        await tab.open(f"{origin}/chat/members/lobby/")
        await eventually(lambda: shows(tab, "return document.title", "Sign in"))
        await tab.run(SIGN_IN, "ada", PASSWORD)
        await eventually(lambda: shows(tab, "return document.title", "lobby: open"))
        # The token expires, and the page comes back with another one.
        await tab.run(COUNT)
        await eventually(lambda: shows(tab, "return window.opened > 0", True))
        await eventually(lambda: shows(tab, "return document.title", "lobby: open"))
        await tab.run(SAY, "ahoy")
        log = "return document.querySelector('#chat-log').value"
        await eventually(lambda: shows(tab, log, "ada: ahoy\n"))
        # Another process of the site ends the login; the page stays out.
        change = CHANGE.format("set_password('another one')")
        await asyncio.to_thread(members_site.shell, change)
        await eventually(lambda: shows(tab, "return document.title", "lobby: signed out"))


COUNT = """
    const before = window.open;
    window.opened = 0;
    window.open = () => { window.opened += 1; before(); };
"""
SIGN_IN = """
    document.querySelector('[name=username]').value = arguments[0];
    document.querySelector('[name=password]').value = arguments[1];
    document.querySelector('form').submit();
"""


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({"LOGIN_KEY": str(SITE / "manage.py")}, "key cannot sign with EdDSA"),
        ({"TOKEN_LIFETIME": "0"}, "a whole number of seconds"),
        ({"TOKEN_LIFETIME": "86401"}, "1 to 86400"),
    ],
)
def test_the_check_of_the_site_says_what_is_wrong(
    tmp_path: Path, env: dict[str, str], told: str
) -> None:
    key = tmp_path / "key.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key)], check=True)
    settings = {"STEP": "3", "LOGIN_KEY": str(key), "DATABASE": str(tmp_path / "db")} | env
    done = subprocess.run(
        [sys.executable, "-B", "manage.py", "check"],
        cwd=SITE,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "tidegate.E001" in done.stderr and told in done.stderr, done.stderr
