"""Consumers that use all of the SDK, for cases that run natively and on a host."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Annotated, Any, ClassVar, Literal

from tidegate_sdk import (
    Chunk,
    Close,
    Context,
    Cookies,
    Fetched,
    FetchError,
    FetchFailed,
    Form,
    Group,
    Handshake,
    Header,
    HistoryError,
    HttpError,
    Json,
    Multipart,
    OnlineError,
    PresenceChange,
    PresenceError,
    Problem,
    Query,
    Reply,
    Request,
    Response,
    SendError,
    Session,
    SessionError,
    Socket,
    Throttle,
    Tick,
    Unreadable,
    User,
    channel,
    export,
    history,
    http,
    presence,
    schedule,
    strict,
    user,
    websocket,
)

# Parameters and answers.


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@http("GET /s/number/{n}")
def number(n: int) -> dict[str, int]:
    return {"twice": 2 * n}


@http("GET /s/typed/{colour}/{day}/{key}/{size}")
def typed(colour: Colour, day: date, key: uuid.UUID, size: Literal["s", "m"]) -> list[str]:
    return [colour.name, day.isoformat(), str(key), size]


@http("GET /s/rest/{*path}")
def rest(path: str) -> str:
    return path


@dataclass
class Search:
    q: str
    tag: list[str] = field(default_factory=list)
    page: int = 1


@http("GET /s/search")
def search(query: Query[Search]) -> str:
    return f"{query.q} {query.tag} {query.page}"


@dataclass
class Item:
    name: str
    count: int


@strict
@dataclass
class Order:
    items: list[Item]
    by: str | None = None


@http("POST|PUT /s/order")
def order(order: Json[Order]) -> tuple[int, Order]:
    return 201, order


@dataclass
class Visitor:
    name: str
    age: int


@http("POST /s/form")
def form(visitor: Form[Visitor]) -> str:
    return f"{visitor.name}, {visitor.age}"


@http("POST /s/files")
def files(form: Multipart) -> list[str]:
    return [f"{part.name} {part.file_name} {part.content_type} {len(part.body)}" for part in form]


@http("GET /s/header")
def header(known: Annotated[int | None, Header("x-known")], cookies: Cookies) -> str:
    return f"{known} {cookies.get('name')}"


@http("PUT /s/cookie/{name}")
def cookie(name: str) -> Response:
    return Response(204).cookie("name", name, max_age=timedelta(days=1))


@http("GET /s/problem")
def problem() -> str:
    raise Problem(409, "Out of stock", left=0)


@http("GET /s/guarded", headers={"x-version": "2"})
def guarded() -> str:
    return "second"


@http("GET /s/guarded")
def unguarded() -> str:
    return "first"


@http("GET /s/stream")
def stream(cx: Context) -> Reply:
    cx.start_stream(Response.text("1"))
    for n in (2, 3):
        cx.flush()
        cx.write(str(n))
    return cx.end_stream()


@http("GET /s/hold")
def hold(cx: Context) -> Reply:
    cx.send("s.answers", {"to": cx.reply_channel})
    return cx.hold(timeout=20, fallback=Response(204))


@channel("s.answers")
def answers(cx: Context, message: dict[str, str]) -> None:
    cx.send(message["to"], Response.text("late", status=203).header("x-late", "yes"))


@http("GET /s/held-stream")
def held_stream(cx: Context) -> Reply:
    cx.start_stream(Response.text("a"))
    cx.send("s.parts", {"to": cx.reply_channel})
    return cx.hold(timeout=20)


@channel("s.parts")
def parts(cx: Context, message: dict[str, str]) -> None:
    cx.send(message["to"], Chunk(b"b"))
    cx.send(message["to"], Chunk(b"c", is_last=True))


# Wrong answers and exceptions, all of them faults.


@http("GET /s/fault/{kind}")
def fault(cx: Context, kind: str) -> Any:
    wrong: Any = 7
    match kind:
        case "raises":
            raise ValueError("boom\nand more")
        case "import":
            import wave

            return wave.__name__
        case "recursion":
            return recurse(0)
        case "print":
            print("x" * 3_000_000)
            raise ValueError("after a large print")
        case "prints":
            while True:
                print("x")
        case "exit":
            raise SystemExit(3)
        case "nothing":
            return None
        case "status":
            return Response(99999)
        case "body":
            return Response(200, wrong)
        case "header":
            return Response(200, b"", [("x-a", wrong)])
        case "surrogate":
            return "\udc80"
        case "channel":
            return cx.send(wrong, {"a": 1})
        case "content":
            return cx.send("s.answers", {"a": object()})
        case "large":
            return cx.send("s.answers", {"a": 2**70})
        case "group":
            return cx.group_add(wrong)
        case "delay":
            return cx.send_later("s.answers", {"to": "x"}, -1)
        case "level":
            return cx.log(wrong, "x")
        case "key":
            return cx.store.set(wrong, 1)
        case "user":
            return cx.connections_of(wrong)
        case "code":
            return cx.connections_of("ada").close(70_000)
        case "url":
            return cx.fetch("GET", wrong, then="s.fetched")
        case _:
            raise HttpError(404, "no such fault\n")


def recurse(n: int) -> int:
    return recurse(n + 1) + 1


@http("GET /s/refused/{name}")
def refused(cx: Context, name: str) -> str:
    try:
        cx.send(name, {"a": 1})
    except SendError as error:
        return type(error).__name__
    return "sent"


# Late imports of the standard library, and numbers that differ between instances.


@http("GET /s/library")
def library() -> str:
    found = datetime.strptime("2026-01-02", "%Y-%m-%d")
    network = "bücher".encode("idna").decode()
    return f"{found:%d.%m.} {network} {uuid.uuid5(uuid.NAMESPACE_DNS, 'a')} {Counter('abca').most_common(1)}"


@http("GET /s/random")
def chance() -> str:
    return f"{random.random()} {uuid.uuid4()}"


# WebSocket.


@websocket("/s/fragile/{when}")
class Fragile:
    when: str

    def connect(self) -> None:
        self.breaks("connect")

    def receive(self) -> None:
        self.breaks("receive")

    def disconnect(self) -> None:
        self.breaks("disconnect")

    def breaks(self, now: str) -> None:
        if self.when == now:
            raise ValueError(f"broken in {now}")


@websocket("/s/count/{step}")
class Count:
    step: int

    @dataclass
    class State:
        SCHEMA: ClassVar[int] = 3
        total: int = 0

    def connect(self, socket: Socket[Count.State]) -> Handshake | None:
        socket.send("welcome")
        offered = socket.scope.subprotocols if socket.scope else ()
        if "no" in offered:
            return Handshake.deny()
        return Handshake(subprotocol=offered[0]) if offered else None

    def groups(self) -> list[str]:
        return ["counters"]

    def receive(self, socket: Socket[Count.State], text: str) -> None:
        match text:
            case "boom":
                socket.state.total = 1000
                socket.send("never")
                raise ValueError("boom")
            case "bye":
                socket.close(4001, "bye")
            case "all":
                socket.group_send("counters", Close(4002))
            case _:
                socket.state.total += self.step
                socket.send(str(socket.state.total))


@dataclass
class Add:
    type: Literal["add"]
    n: int


@dataclass
class Reset:
    type: Literal["reset"]


@websocket("/s/json", resume="2m")
class Typed:
    def receive(self, socket: Socket[None], incoming: Json[Add | Reset] | Unreadable) -> None:
        if isinstance(incoming, Unreadable):
            socket.send_json({"error": str(incoming)})
        else:
            socket.send_json(incoming)


@websocket("/s/strict-json")
class Strict:
    def receive(self, socket: Socket[None], incoming: Json[Add]) -> None:
        socket.send_json(incoming.n)


# The store and timers.


@strict
@dataclass
class Seat:
    taken_by: str


@http("POST /s/seats/{number}/{name}")
def book(cx: Context, number: int, name: str) -> str:
    key = f"seat:{number}"
    seat = cx.store.get(key, Seat)
    if seat is not None:
        raise HttpError(409, f"{seat.taken_by} has it\n")
    cx.store.set(key, Seat(name))
    cx.store.add("taken")
    return "booked\n"


@http("GET /s/seats")
def seats(cx: Context) -> dict[str, Any]:
    listed = {key: seat.taken_by for key, seat in cx.store.list("seat:", Seat)}
    return {"seats": listed, "taken": cx.store.counter("taken")}


@http("DELETE /s/seats")
def clear(cx: Context) -> Response:
    for key in cx.store.keys(""):
        cx.store.delete(key)
    return Response(204)


@http("POST /s/timer/{key}")
def timer(cx: Context, key: str) -> str:
    cx.timers.set("s.due", {"key": key}, after=0.05, key=key)
    cx.timers.set("s.due", {"key": f"cancelled {key}"}, after=0.05, key="other")
    cx.timers.cancel("other")
    return "set\n"


@channel("s.due")
def due(cx: Context, message: dict[str, str]) -> None:
    cx.group_send("timers", message["key"])


@websocket("/s/timers")
class TimerWatch:
    def groups(self) -> list[str]:
        return ["timers"]


# A schedule.


@schedule("* * * * * *", zone="Europe/Berlin", missed="skip")
@channel("s.second")
def second(cx: Context, tick: Tick) -> None:
    cx.group_send("seconds", tick.due.isoformat())


@websocket("/s/seconds")
class SecondWatch:
    def groups(self) -> list[str]:
        return ["seconds"]


# Requests to servers outside.


@dataclass
class Ask:
    method: str
    url: str
    key: str
    retries: int = 0
    text: str | None = None


@http("POST /s/fetch")
def ask(cx: Context, ask: Json[Ask]) -> str:
    value = Item(ask.key, 2**40)
    try:
        cx.fetch(
            ask.method,
            ask.url,
            json=None if ask.text is None else {"text": ask.text},
            headers={"x-mine": "yes", "x-bytes": b"\xff"},
            then="s.fetched",
            value=value,
            retries=ask.retries,
            idempotency_key=ask.key,
            timeout=timedelta(seconds=20),
        )
    except FetchError as error:
        raise HttpError(400, f"{type(error).__name__}: {error}\n") from None
    return "asked\n"


@http("POST /s/fetch-now")
def ask_now(cx: Context, ask: Json[Ask]) -> list[Any]:
    try:
        answer = cx.fetch_now(
            ask.method, ask.url, body=ask.text, headers={"x-mine": "yes"}, idempotency_key=ask.key, timeout=20
        )
    except FetchFailed as error:
        return [error.reason, error.message]
    return [answer.status, answer.header("Content-Type"), answer.text()]


@channel("s.fetched", retries=5)
def fetched(cx: Context, fetched: Fetched[Item]) -> None:
    told: dict[str, Any] = {"value": fetched.value, "attempts": fetched.attempts}
    if fetched.answer is not None:
        answer = fetched.answer
        told |= {"status": answer.status, "type": answer.header("Content-Type"), "text": answer.text()}
    else:
        told |= {"failure": str(fetched.failure)}
    cx.group_send_json("fetches", told)


@websocket("/s/fetches")
class FetchWatch:
    def groups(self) -> list[str]:
        return ["fetches"]


# Presence.


@presence("desk.*", leave_after="0s", interval="100ms")
@websocket("/s/board/{board}/{name}")
class Board:
    board: str
    name: str

    def connect(self, socket: Socket[None]) -> None:
        socket.present(f"desk.{self.board}", self.name, {"at": [1, 2.5, None, True], "name": self.name})

    def receive(self, socket: Socket[None], text: str) -> None:
        group = f"desk.{self.board}"
        try:
            match text.split():
                case ["key", key]:
                    socket.present(group, key * 257)
                case ["facts", size]:
                    socket.present(group, self.name, {"x": "x" * int(size)})
                case ["bytes"]:
                    socket.present(group, self.name, {"x": [b"\0"]})
                case ["in", other]:
                    socket.present(Group(other), self.name)
                case ["channel", name]:
                    socket.present(group, self.name, channel=name)
                case ["list", limit, *cursor]:
                    socket.members(group, cursor="" if cursor else None, limit=int(limit))
                case _:
                    for _ in range(101):
                        socket.member_count(group)
        except PresenceError as error:
            socket.send(f"{type(error).__name__}: {error}")


@http("GET /s/members")
def members(cx: Context) -> list[Any]:
    part = cx.members("desk.one", limit=1)
    return [[(it.key, it.facts) for it in part.members], part.count, part.cursor, cx.member_count("desk.one")]


@presence("desk.one", leave_after="0s", interval="100ms")
@channel("s.members")
def members_changed(cx: Context, change: PresenceChange[dict[str, Any]]) -> None:
    cx.group_send_json("changes", [list(change.joined), list(change.updated), change.left, change.count])


@websocket("/s/changes")
class ChangeWatch:
    def groups(self) -> list[str]:
        return ["changes"]


# Groups that are remembered.


@history("kept.*", messages=3, age="10m", bytes="64KiB")
@websocket("/s/kept/{name}")
class Kept:
    name: str

    def connect(self, socket: Socket[None]) -> None:
        group = f"kept.{self.name}"
        socket.group_join(group, after=socket.last_position(group), latest=2)

    def receive(self, socket: Socket[None], frame: str | bytes) -> None:
        socket.group_send(f"kept.{self.name}", frame)


@http("GET /s/history/{group}")
def read_history(cx: Context, request: Request, group: str) -> list[Any]:
    limit, after = int(request.query("limit") or 100), request.query("after")
    kept = cx.history(Group(group[1:]) if group.startswith("=") else group)
    try:
        page = kept.latest(limit) if after is None else kept.after(after, limit)
    except HistoryError as error:
        return [type(error).__name__, str(error)]
    texts = [str(message.frame) for message in page.messages]
    return [texts, page.is_complete, page.has_more, page.position]


@http("POST /s/history/{group}")
def join_history(cx: Context, group: str) -> str:
    try:
        cx.group_join(group, latest=1001)
    except HistoryError as error:
        return f"{type(error).__name__}: {error}\n"
    return "joined\n"


# Sessions.


@dataclass
class Basket:
    items: list[str] = field(default_factory=list)


TRIES = Throttle("tries", 2, timedelta(hours=1))


@http("POST /login/{name}")
def login(cx: Context, name: str) -> Any:
    wait = TRIES.count(cx, name)
    if wait is not None:
        return 429, f"{0 < wait <= 3600}\n"
    cx.sessions.sign_in(name, {"role": "member"})
    return "welcome\n"


@http("POST /session/{what}/{about}")
def session_work(cx: Context, what: str, about: str, session: Session[Basket]) -> Any:
    try:
        match what:
            case "put":
                with session.update() as basket:
                    basket.items.append(about)
                return basket.items
            case "out":
                cx.sessions.sign_out()
            case "end":
                cx.sessions.end_others(about)
            case "all":
                cx.sessions.end_all(about)
            case "one":
                cx.sessions.end("grace", about)
            case "name":
                cx.sessions.sign_in(about * 300)
            case _:
                cx.sessions.sign_in("grace", {"a": "x" * 5000})
    except SessionError as error:
        return 409, f"{type(error).__name__}: {error}\n"
    return "done\n"


@http("GET /session")
def session_shown(cx: Context, user: User | None, session: Session[Basket]) -> list[Any]:
    listed = [(it.is_own, it.address, it.agent, it.created <= it.used < it.expires) for it in cx.sessions.of("grace")]
    return [user.id if user else None, session.get().items, listed]


@http("POST /s/unguarded")
def unguarded_login(cx: Context) -> str:
    try:
        cx.sessions.sign_in("grace")
    except SessionError as error:
        return f"{type(error).__name__}\n"
    return "welcome\n"


# The connections of a user.


@user
@websocket("/s/online")
class Online:
    def connect(self, socket: Socket[None]) -> None:
        # Its own connection is one of them already, and gets this when it is let in.
        socket.connections_of(socket.user.id if socket.user else "").send(b"hello")


@user
@http("GET /s/online/hold")
def online_hold(cx: Context) -> Reply:
    return cx.hold(timeout=600, fallback=Response.text("nothing\n"))


@http("POST /s/online/{whom}/{what}")
def reach(cx: Context, whom: str, what: str) -> list[Any]:
    theirs = cx.connections_of(whom * 300 if what == "long" else whom)
    try:
        match what:
            case "tell":
                theirs.send_json({"for": whom})
            case "answer":
                theirs.send(Response.text("news\n"))
            case "large":
                theirs.send("x" * 1_200_000)
            case "none":
                theirs.send({"a": object()})
            case "close":
                theirs.send("bye")
                theirs.close(4000, "by request")
            case "code":
                theirs.close(1001)
            case "reason":
                theirs.close(4000, "x" * 124)
            case "group":
                cx.group_send(Group(f"_user.{whom}"), "forged")
        return [theirs.count()]
    except (OnlineError, SendError) as error:
        return [type(error).__name__, str(error)]


# A user.


@user
@http("GET /s/me")
def me(user: User) -> dict[str, Any]:
    return {"id": user.id, "claims": user.claims(), "expires": user.expires}


@http("GET /")
def index(request: Request) -> str:
    return f"index of {request.path}"


@http("GET /{name}")
def show(cx: Context, name: str) -> str:
    return f"{name} below {cx.prefix}"


Consumer = export(
    number, typed, rest, search, order, form, files, header, cookie, problem, guarded, unguarded, stream, hold, answers,
    held_stream, parts, fault, refused, library, chance, Count, Typed, Strict, Fragile, book, seats, clear, timer, due,
    TimerWatch, second, SecondWatch, ask, ask_now, fetched, FetchWatch, Board, members,
    members_changed, ChangeWatch, Kept, read_history, join_history, me,
    unguarded_login, Online, online_hold, reach, {"/s/pages": [index, show]},
    user(optional=True)({"/s": [login, session_work, session_shown]}),
)  # fmt: skip
