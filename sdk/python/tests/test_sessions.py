"""Sessions: who is signed in on a browser, and the data of the module for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from tidegate_sdk import (
    Close,
    ConsumerError,
    Context,
    FlushError,
    ForbiddenSession,
    InvalidSession,
    NewerSchema,
    NoSession,
    Reply,
    Request,
    Response,
    Session,
    SessionError,
    SignedIn,
    Socket,
    Throttle,
    User,
    channel,
    export,
    http,
    user,
    websocket,
)
from tidegate_sdk.testing import Denied, TestHost

START = datetime(2027, 1, 4, tzinfo=UTC)
MONTH = timedelta(days=30)


@dataclass
class Basket:
    SCHEMA: ClassVar[int] = 1
    items: list[str] = field(default_factory=list)


@dataclass
class Named:
    name: str


@http("POST /login/{name}")
def login(cx: Context, name: str) -> str:
    cx.sessions.sign_in(name, {"role": "member"})
    return "welcome"


@http("POST /logout")
def logout(cx: Context) -> str:
    cx.sessions.sign_out()
    return "bye"


@http("GET /home")
def home(user: User | None, request: Request) -> str:
    return f"{user.id} {user.claims()} {user.expires}" if user else f"nobody {request.header('cookie')}"


@http("POST /basket/{item}")
def put(item: str, session: Session[Basket]) -> list[str]:
    with session.update() as basket:
        basket.items.append(item)
        if item == "nothing":
            raise ValueError("boom")
    return basket.items


@http("GET /basket")
def show(session: Session[Basket]) -> list[str]:
    return session.get().items


@http("DELETE /basket")
def clear(session: Session[Basket]) -> str:
    session.clear()
    return ""


@http("POST /end/{name}/{which}")
def end(cx: Context, name: str, which: str) -> str:
    match which:
        case "all":
            cx.sessions.end_all(name)
        case "others":
            cx.sessions.end_others(name)
        case id:
            cx.sessions.end(name, id)
    return ""


@websocket("/room/{name}")
class Room:
    name: str

    def connect(self, socket: Socket[None]) -> None:
        if self.name != "guest":
            socket.sessions.sign_in(self.name)

    def receive(self, socket: Socket[None], text: str) -> None:
        try:
            match text:
                case "bye":
                    socket.sessions.sign_out()
                case _:
                    with socket.session(Basket).update() as basket:
                        basket.items.append(text)
                    socket.send("put")
        except SessionError as error:
            socket.send(f"{type(error).__name__}: {error}")

    def disconnect(self, socket: Socket[None], close: Close) -> None:
        socket.info(f"{close.code} {close.reason}")


ALL = [login, logout, home, put, show, clear, end, Room]


@pytest.fixture
def host() -> TestHost:
    return TestHost(export(user(optional=True)({"/app": ALL})), granted_sessions=True, at=START)


Browser = dict[str, str]


def signed_in(host: TestHost, name: str, browser: Browser | None = None) -> Browser:
    response = host.request("POST", f"/app/login/{name}", cookies=browser)
    assert response.status == 200, host.faults
    return response.cookies


def who(host: TestHost, browser: Browser) -> str:
    return host.get("/app/home", cookies=browser).text.partition(" ")[0]


def test_a_user_who_has_signed_in_is_there_with_claims_until_the_lifetime_ends(host: TestHost) -> None:
    response = host.request("POST", "/app/login/ada")
    assert response.header("set-cookie") == (
        f"__Host-session={response.cookies['__Host-session']}; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax; Secure"
    )
    ada = response.cookies
    assert host.get("/app/home", cookies=ada).text == f"ada {{'role': 'member'}} {START + MONTH}"
    host.advance(MONTH - timedelta(seconds=1))
    assert who(host, ada) == "ada"
    host.advance(1)
    assert who(host, ada) == "nobody"


def test_a_user_who_has_signed_out_is_gone_and_so_is_the_cookie(host: TestHost) -> None:
    ada = signed_in(host, "ada")
    response = host.request("POST", "/app/logout", cookies=ada)
    assert (response.cookies, "Max-Age=0" in str(response.header("set-cookie"))) == ({}, True)
    assert who(host, ada) == "nobody"
    # Without a session there is nothing to take away.
    assert host.request("POST", "/app/logout").header("set-cookie") is None


def test_no_consumer_sees_the_cookie_and_of_two_none_counts(host: TestHost) -> None:
    ada = signed_in(host, "ada")
    assert host.get("/app/home", {"cookie": "a=1; __Host-session=x; b=2"}).text == "nobody a=1; b=2"
    assert host.get("/app/home", {"cookie": "__Host-session=x"}, cookies=ada).text == "nobody None"
    # A token counts alone.
    assert host.get("/app/home", cookies=ada, signed_in="bob").text.startswith("bob ")


def test_signing_in_gives_another_id_and_keeps_the_data_of_the_same_user(host: TestHost) -> None:
    guest = host.request("POST", "/app/basket/rope").cookies
    ada = signed_in(host, "ada", guest)
    assert ada != guest
    assert (host.get("/app/basket", cookies=guest).json(), host.get("/app/basket", cookies=ada).json()) == (
        [],
        ["rope"],
    )
    again = signed_in(host, "ada", ada)
    assert host.get("/app/basket", cookies=again).json() == ["rope"]
    # The data of one user is not for another.
    bob = signed_in(host, "bob", again)
    assert (who(host, bob), host.get("/app/basket", cookies=bob).json()) == ("bob", [])


def test_data_of_a_session_is_part_of_the_run(host: TestHost) -> None:
    first = host.request("POST", "/app/basket/rope")
    browser = first.cookies
    assert host.request("POST", "/app/basket/nothing", cookies=browser).status == 500
    assert host.request("POST", "/app/basket/buoy", cookies=browser).json() == ["rope", "buoy"]
    # A session that is there gets no other cookie.
    assert host.request("POST", "/app/basket/oar", cookies=browser).header("set-cookie") is None
    host.request("DELETE", "/app/basket", cookies=browser)
    assert host.get("/app/basket", cookies=browser).json() == []
    # Reading begins no session, and clearing neither.
    assert (host.get("/app/basket").cookies, host.request("DELETE", "/app/basket").cookies) == ({}, {})
    assert host.data.keys == []


def test_data_of_a_session_is_gone_with_its_lifetime(host: TestHost) -> None:
    host.request("POST", "/app/basket/rope")
    [key] = host.data.keys
    assert key.startswith("session:")
    host.advance(MONTH - timedelta(seconds=1))
    assert host.data.keys == [key]
    host.advance(1)
    assert host.data.keys == []


def test_data_that_another_version_has_written_is_told(host: TestHost) -> None:
    browser = host.request("POST", "/app/basket/rope").cookies

    @dataclass
    class Older:
        items: list[str] = field(default_factory=list)

    @user(optional=True)
    @http("GET /app/basket")
    def older(cx: Context) -> str:
        with pytest.raises(NewerSchema):
            cx.session(Older).get()
        return "told"

    host.replace(export(older))
    assert host.get("/app/basket", cookies=browser).text == "told"


def test_a_session_that_is_changed_meanwhile_is_not_lost(host: TestHost) -> None:
    browser = host.request("POST", "/app/basket/rope").cookies
    [key] = host.data.keys
    host.before_commit(lambda: host.data.set(key, Basket(["rope", "oar"])))
    assert host.request("POST", "/app/basket/buoy", cookies=browser).json() == ["rope", "oar", "buoy"]


def test_sockets_of_a_session_that_ends_are_closed(host: TestHost) -> None:
    ada = signed_in(host, "ada")
    socket = host.websocket("/app/room/guest", cookies=ada)
    other = host.websocket("/app/room/guest")
    assert host.request("POST", "/app/logout", cookies=ada).status == 200
    assert socket.expect_close(4401).reason == "the session has ended"
    assert other.closed is None
    assert host.logs[-1].text == "4401 the session has ended"


def test_a_handshake_signs_in_and_an_open_socket_ends_its_session(host: TestHost) -> None:
    ada = host.websocket("/app/room/ada")
    browser = ada.cookies
    assert who(host, browser) == "ada"
    # A browser takes no cookie from a socket that is open.
    ada.send("rope")
    ada.expect_text(
        "NoSession: a browser takes a cookie with a response and with the acceptance of a handshake; begin the session "
        "there"
    )
    back = host.websocket("/app/room/guest", cookies=browser)
    back.send("rope")
    back.expect_text("put")
    back.send("bye")
    back.expect_close(4401)
    assert who(host, browser) == "nobody"


def test_the_sessions_of_a_user_are_listed_and_end_one_by_one_or_together() -> None:
    found: list[SignedIn] = []

    @http("GET /list")
    def listed(cx: Context) -> str:
        found[:] = cx.sessions.of("ada")
        return ""

    host = TestHost(export(user(optional=True)({"/app": [*ALL, listed]})), granted_sessions=True, at=START)
    one = host.request("POST", "/app/login/ada", headers={"user-agent": "one"}).cookies
    host.advance(60)
    two, three, bob = signed_in(host, "ada"), signed_in(host, "ada"), signed_in(host, "bob")
    assert host.get("/app/list", cookies=one).status == 200
    assert [it.is_own for it in found] == [False, False, True]
    last = found[-1]
    assert (last.agent, last.address, last.created, last.used) == ("one", "127.0.0.1", START, START)
    assert last.expires == START + MONTH
    host.request("POST", f"/app/end/ada/{found[0].id}")
    # The session of somebody else.
    host.request("POST", f"/app/end/bob/{found[1].id}")
    assert [who(host, it) for it in (one, two, three, bob)].count("ada") == 2
    host.request("POST", "/app/end/ada/others", cookies=one)
    assert [who(host, it) for it in (one, two, three, bob)] == ["ada", "nobody", "nobody", "bob"]
    host.request("POST", "/app/end/ada/all", cookies=one)
    assert (who(host, one), who(host, bob)) == ("nobody", "bob")


def run(work: Callable[[Context], Any], *, guarded: bool = True, granted: bool = True) -> tuple[TestHost, Any]:
    """Does something as a consumer of a request. Returns the host and the response."""

    @http("GET /")
    def consumer(cx: Context) -> Any:
        return work(cx) or "done"

    consumers = export({"/app": [consumer]}) if not guarded else export(user(optional=True)({"/app": [consumer]}))
    host = TestHost(consumers, "shop", granted_sessions=granted)
    return host, host.get("/app")


def test_a_run_that_fails_signs_nobody_in() -> None:
    def fails(cx: Context) -> None:
        cx.sessions.sign_in("ada")
        raise ValueError("boom")

    host, response = run(fails)
    assert (response.status, response.cookies) == (500, {})

    def mute(cx: Context) -> Reply:
        cx.sessions.sign_in("ada")
        return cx.hold(10, Response(204))

    host, response = run(mute)
    assert response.status == 500
    assert "it began a session and did not answer, so the browser would get no cookie" in host.faults[0].text


def test_a_stream_carries_the_cookie_with_its_head() -> None:
    def streams(cx: Context) -> Reply:
        cx.sessions.sign_in("ada")
        cx.start_stream(Response.text("1"))
        return cx.end_stream()

    assert list(run(streams)[1].cookies) == ["__Host-session"]


def test_the_last_call_about_the_own_session_counts() -> None:
    def leaves(cx: Context) -> None:
        cx.sessions.sign_in("ada")
        cx.sessions.sign_out()

    def changes(cx: Context) -> None:
        cx.session(Basket).set(Basket(["rope"]))
        cx.sessions.sign_in("ada")
        assert cx.session(Basket).get() == Basket(["rope"])
        cx.sessions.sign_in("bob")
        assert cx.session(Basket).get() == Basket()

    assert run(leaves)[1].cookies == {}
    assert run(changes)[1].status == 200


def test_a_run_that_has_asked_for_something_cannot_flush() -> None:
    def flushes(cx: Context) -> None:
        cx.group_send("g", "x")
        cx.flush()
        with pytest.raises(
            InvalidSession, match="the run has flushed, and its answer may have left; begin the session"
        ):
            cx.sessions.sign_in("ada")

    def signs_in(cx: Context) -> None:
        cx.sessions.sign_in("ada")
        with pytest.raises(
            FlushError, match=r"^the run has asked for something of sessions, which is done when it ret"
        ):
            cx.flush()

    for work in (flushes, signs_in):
        host, response = run(work)
        assert (response.status, host.faults) == (200, [])


wrong: Any = 7


@pytest.mark.parametrize(
    ("work", "error", "text"),
    [
        (lambda cx: cx.sessions.sign_in(""), InvalidSession, "'' is not 1 to 256 bytes without control characters"),
        (lambda cx: cx.sessions.sign_in("a\nb"), InvalidSession, "without control characters"),
        (lambda cx: cx.sessions.sign_in("ä" * 129), InvalidSession, "is not 1 to 256 bytes"),
        (lambda cx: cx.sessions.sign_in(wrong), TypeError, "the id of a user has to be str, not int"),
        (
            lambda cx: cx.sessions.sign_in("ada", "admin"),
            InvalidSession,
            "the claims: a message is a map with text keys",
        ),
        (lambda cx: cx.sessions.sign_in("ada", {"a": object()}), InvalidSession, "the claims: the message cannot be"),
        (lambda cx: cx.sessions.sign_in("ada", {"a": "x" * 5000}), InvalidSession, "at most 4096 are taken"),
        (lambda cx: cx.sessions.sign_in("ada", {1: 2}), InvalidSession, "a map has a key that is not text"),
        (lambda cx: cx.sessions.of(wrong), TypeError, "the id of a user has to be str, not int"),
        (lambda cx: cx.sessions.end("ada", wrong), TypeError, "the id of a session has to be str, not int"),
        (lambda cx: cx.sessions.end("ada", "none"), InvalidSession, "an id of a session is what `list-of` gives"),
        (
            lambda cx: [cx.sessions.end_all("ada") for _ in range(101)],
            InvalidSession,
            "a run ends the sessions of at most 100 users",
        ),
        (lambda cx: cx.sessions.end(wrong, "x"), TypeError, "the id of a user has to be str, not int"),
        (lambda cx: cx.sessions.end_all(wrong), TypeError, "the id of a user has to be str, not int"),
        (lambda cx: cx.sessions.end_others(wrong), TypeError, "the id of a user has to be str, not int"),
    ],
)
def test_each_rule_is_named(work: Callable[[Context], Any], error: type[Exception], text: str) -> None:
    def refused(cx: Context) -> None:
        with pytest.raises(error) as raised:
            work(cx)
        assert text in str(raised.value)

    host, response = run(refused)
    assert (response.status, response.cookies, host.faults) == (200, {}, [])


def test_without_a_grant_nobody_is_signed_in_and_only_the_own_session_ends() -> None:
    def refused(cx: Context) -> None:
        for call in (
            lambda: cx.sessions.sign_in("ada"),
            lambda: cx.sessions.of("ada"),
            lambda: cx.sessions.end("ada", "x"),
            lambda: cx.sessions.end_all("ada"),
            lambda: cx.sessions.end_others("ada"),
        ):
            with pytest.raises(ForbiddenSession, match=r"let it be granted: modules\.shop\.grants\.sessions = true"):
                call()
        cx.sessions.sign_out()

    assert run(refused, granted=False)[0].faults == []


def test_without_a_guard_there_is_no_session() -> None:
    def refused(cx: Context) -> None:
        assert cx.session(Basket).get() == Basket()
        for call in (lambda: cx.sessions.sign_in("ada"), lambda: cx.session(Basket).set(Basket())):
            with pytest.raises(NoSession, match="no session is looked for here: the consumer declares no `user`"):
                call()

    assert run(refused, guarded=False)[0].faults == []

    @channel("work")
    def work(cx: Context) -> None:
        with pytest.raises(NoSession, match="a message of a channel has no session"):
            cx.sessions.sign_in("ada")
        cx.sessions.end_all("ada")

    host = TestHost(export(work), granted_sessions=True)
    host.send("work", {})
    assert host.faults == []


def test_the_data_of_a_session_begins_without_arguments() -> None:
    @http("GET /")
    def named(session: Session[Named]) -> str:
        return ""

    @http("GET /")
    def bare(session: Session) -> str:  # type: ignore[type-arg]
        return ""

    @user(optional=True)
    @http("GET /")
    def counts(session: Session[dict[str, int]]) -> dict[str, int]:
        with session.update() as counts:
            counts["a"] = counts.get("a", 0) + 1
        return counts

    with pytest.raises(ConsumerError, match=r"the data of a session begins with `Named\(\)`, and that cannot be made"):
        export(named)
    with pytest.raises(ConsumerError, match=r"`Session` cannot be taken from a request"):
        export(bare)
    host = TestHost(export(counts))
    assert host.get("/", cookies=host.get("/").cookies).json() == {"a": 2}


def test_a_denied_handshake_begins_no_session() -> None:
    @user
    @websocket("/room")
    class Members:
        pass

    with pytest.raises(Denied) as denied:
        TestHost(export(Members)).websocket("/room", cookies={"__Host-session": "x"})
    assert denied.value.status == 401


def test_a_throttle_counts_by_subject_until_its_window_ends() -> None:
    by_user = Throttle("login", 2, 60)

    @http("POST /{name}")
    def tries(cx: Context, name: str) -> str:
        if name == "forget":
            by_user.forget(cx, "ada")
            return ""
        return str(by_user.count(cx, "x" * 300 + name if name.startswith("long") else name))

    host = TestHost(export(tries), at=START)

    def tried(name: str) -> str:
        return host.request("POST", f"/{name}").text

    assert [tried("ada"), tried("ada"), tried("bob")] == ["None", "None", "None"]
    host.advance(10.5)
    assert tried("ada") == "50"
    host.advance(49.4)
    assert tried("ada") == "1"
    host.advance(0.1)
    assert [tried("ada"), tried("ada"), tried("ada")] == ["None", "None", "60"]
    tried("forget")
    assert tried("ada") == "None"
    # Subjects that are too long for a key count together.
    assert [tried("long1"), tried("long2"), tried("long3")] == ["None", "None", "60"]
    host.advance(60)
    assert host.data.keys == []


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((7, 1, 1), TypeError, "the name of a throttle has to be str, not int"),
        (("a", 0, 1), ValueError, "the limit of a throttle has to be from 1"),
        (("a", 1.5, 1), TypeError, "the limit of a throttle has to be int, not float"),
        (("a", 1, "1m"), TypeError, "the window of a throttle has to be seconds or a timedelta, not str"),
    ],
)
def test_a_throttle_that_cannot_be(arguments: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as raised:
        Throttle(*arguments)
    assert text in str(raised.value)
