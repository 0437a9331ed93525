"""The context of a run: sending, groups, logging, and facts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

from tidegate_sdk import fetch as fetches
from tidegate_sdk import members as membership
from tidegate_sdk.checks import checked_headers, milliseconds, need_bytes, need_int, need_text
from tidegate_sdk.codec import jsons
from tidegate_sdk.errors import NoConnection, NoUser
from tidegate_sdk.fetched import Answer
from tidegate_sdk.frame import Message, encode
from tidegate_sdk.members import Members
from tidegate_sdk.online import UserConnections
from tidegate_sdk.remembered import History, said
from tidegate_sdk.response import Response
from tidegate_sdk.scope import Scope
from tidegate_sdk.sessions import Session, Sessions
from tidegate_sdk.store import Store
from tidegate_sdk.timers import Timers
from tidegate_sdk.users import User, from_wire
from tidegate_sdk.wire import Host, Invocation

T = TypeVar("T")

Level = Literal["trace", "debug", "info", "warn", "error"]
_LEVELS = ("trace", "debug", "info", "warn", "error")


@dataclass(frozen=True)
class Group:
    """The name of a group as it is, for groups of other modules. The host refuses those that are not granted.

    Text in its place is relative to the module: in module `chat`, `"lobby"` is the group `chat.lobby`.
    """

    name: str


@dataclass(frozen=True)
class Reply:
    """An answer to a request other than a response, made by `Context.hold` and `Context.end_stream`."""

    hold: int | None = None
    """For how many milliseconds it is held. None: it was streamed."""
    fallback: Response | None = None


class Context:
    """The context of a run. A consumer sends messages, joins groups and writes lines for the record by it.

    Nothing here waits. Messages and changes of groups stand in the *outbox* of the run, which the host sends in order
    when the consumer has returned without a fault. After a fault it drops the outbox, except for flushed entries.

    >>> from dataclasses import dataclass
    >>> from tidegate_sdk import channel, export, http
    >>> from tidegate_sdk.testing import TestHost
    >>> @dataclass
    ... class Reminder:
    ...     text: str
    >>> @http("POST /remind/{text}")
    ... def remind(cx: Context, text: str) -> tuple[int, str]:
    ...     cx.send_later("reminders.due", Reminder(text), delay=60)
    ...     return 202, "in a minute"
    >>> @channel("reminders.due")
    ... def due(cx: Context, reminder: Reminder) -> None:
    ...     cx.info(reminder.text)
    >>> host = TestHost(export(remind, due))
    >>> host.request("POST", "/remind/tea").status, host.logs
    (202, [])
    >>> host.advance(60)
    >>> host.logs[0].text
    'tea'
    """

    def __init__(
        self,
        host: Host,
        invocation: Invocation,
        *,
        prefix: str = "",
        reply_channel: str | None = None,
        scope: Scope | None = None,
    ) -> None:
        self._host = host
        self._invocation = invocation
        self._prefix = prefix
        self._scope = scope
        self._reply_channel = scope.reply_channel if scope else reply_channel
        self._user: tuple[User | None] | None = None

    @property
    def module(self) -> str:
        """The name under which the module is deployed."""
        return self._invocation.module

    @property
    def consumer(self) -> str:
        """The name of the consumer that runs."""
        return self._invocation.consumer

    @property
    def correlation_id(self) -> str:
        """32 hexadecimal digits that follow one event through the access log, records, replies and sends."""
        return self._invocation.correlation_id

    @property
    def message_id(self) -> str | None:
        """The id of the message that the consumer runs for: 32 hexadecimal digits, however often it is delivered.

        With it another service knows that a request repeats one that it has had. None for an event of a connection, and
        where the sender of the message gave it none, as a program in another language may.

        >>> from tidegate_sdk import channel, export
        >>> from tidegate_sdk.testing import TestHost
        >>> @channel("shop.charge", retries=5)
        ... def charge(cx: Context) -> None:
        ...     cx.info(f"attempt {cx.attempt} with the key {cx.message_id}")
        ...     if cx.attempt < 2:
        ...         raise TimeoutError("busy")
        >>> host = TestHost(export(charge))
        >>> host.send("shop.charge", {"cents": 250})
        >>> host.advance(1)
        >>> first, second = [line.text for line in host.logs if line.level == "info"]
        >>> first == second.replace("attempt 2", "attempt 1")
        True
        """
        return self._host.message_id()

    @property
    def attempt(self) -> int:
        """Which delivery of the message this is: 1 for the first, and 1 for an event of a connection.

        On a channel with `retries` it counts up with each delivery after a fault or the loss of a worker. A run that is
        done again since data has changed is the same delivery. The channel keeps the count. So it begins again in the
        channel for what cannot be done, and where a single process was started again.
        """
        return self._host.attempt()

    @property
    def prefix(self) -> str:
        """The prefix that `export` puts before the consumer's path, for links to its neighbours. Empty without one."""
        return self._prefix

    @property
    def reply_channel(self) -> str | None:
        """The connection's own channel. None for a message on a channel of the application."""
        return self._reply_channel

    @property
    def scope(self) -> Scope | None:
        """The facts of the connection. None for a message on a channel of the application."""
        if self._scope is None and self._reply_channel is not None:
            self._scope = self._host.get_scope()
        return self._scope

    @property
    def user(self) -> User | None:
        """The user of the connection, as of its request or handshake.

        None: nobody is signed in, or neither `user` nor `claims` stands before the consumer.
        """
        if self._user is None:
            self._user = (from_wire(self._host.current_user()),)
        return self._user[0]

    def send(self, channel: str, message: Message) -> None:
        """Sends a message to a channel: one that this module declares, or a reply channel whose name it was handed.

        `message` is a dataclass or a dict; for a reply channel text, bytes, `Close`, `Response` or `Chunk`.
        Raises `SendError` when the host refuses it.
        """
        self._host.send(need_text("the name of a channel", channel), encode(message))

    def send_later(self, channel: str, message: Message, delay: float | timedelta) -> None:
        """Sends a message to a channel, not before `delay` has passed: seconds, at most 24 hours. Errors as `send`."""
        name = need_text("the name of a channel", channel)
        self._host.send_later(name, encode(message), milliseconds("delay", delay))

    def group_add(self, group: str | Group, channel: str | None = None) -> None:
        """Makes this connection, or the channel, a member of a group until it leaves or ends.

        Raises `NoConnection` for an event without a connection, and `SendError` when the host refuses a name.
        """
        self._host.group_add(self._full(group), self._member(channel))

    def group_discard(self, group: str | Group, channel: str | None = None) -> None:
        """Ends the membership of this connection, or of the channel. Without one, it does nothing."""
        self._host.group_discard(self._full(group), self._member(channel))

    def group_send(self, group: str | Group, message: Message) -> None:
        """Sends a message to every member of a group.

        For members that are connections it is text, bytes, `Close`, `Response` or `Chunk`. Errors as `send`.
        """
        self._host.group_send(self._full(group), encode(message))

    def group_send_json(self, group: str | Group, value: Any) -> None:
        """Sends a text message that holds `value` as JSON to every member of a group."""
        self.group_send(group, jsons.dumps(value))

    def group_join(self, group: str | Group, *, after: str | None = None, latest: int = 0) -> None:
        """Makes this connection a member of a group that is remembered, from a place on.

        `after` is a position, such as `last_position`. The host sends the connection all messages behind it, in order
        and once, and then what comes. If some of them are gone, or they are too many, it tells the client so, and sends
        the `latest` messages, at most 1,000. Without `after` it sends these, too. What the connection gets from the
        group carries positions; the decorator `history` says more. One that has joined so already stays as it is.

        Raises `HistoryError` when the event has no connection, the group is not remembered, or the host refuses the
        name.
        """
        position = None if after is None else need_text("a position", after)
        self._host.history_join(self._full(group), position, need_int("`latest`", latest))

    def last_position(self, group: str | Group) -> str | None:
        """The last position in a group that the client says it has.

        It is the part behind the colon of `after=GROUP:POSITION` in the query, else a lone `after=POSITION`, else the
        header field `last-event-id`, which browsers send for a stream of events. The JavaScript client sends it. It may
        be any text; the host checks it. None: the client names none.
        """
        return None if self.scope is None else said(self.scope, self._full(group))

    def history(self, group: str | Group) -> History:
        """The history of a group that is remembered."""
        return History(self._host, self._full(group))

    def present(self, group: str | Group, key: str, facts: Any = None, channel: str | None = None) -> None:
        """Makes this connection, or the channel of one, a member of a group, as `group_add` does, and present in it.

        It is present as the member of a key, a text of 1 to 256 bytes without control characters. All connections with
        one key are one member: three tabs of a browser are one member, which leaves with the last of them. `facts` is a
        dataclass or a dict, at most 1 KiB, of values that JSON has, too; without it there are none. Calling it again
        changes them. The decorator `presence` says who hears of it.

        Raises `NoConnection` for an event without a connection, and `PresenceError` when the host refuses the group,
        the channel, the key or the facts.

        >>> from tidegate_sdk import Socket, export, websocket
        >>> from tidegate_sdk.testing import TestHost
        >>> @websocket("/board/{name}")
        ... class Board:
        ...     name: str
        ...     def connect(self, socket: Socket[None]) -> None:
        ...         socket.present("board", self.name, {"colour": "blue"})
        ...     def receive(self, socket: Socket[None], text: str) -> None:
        ...         socket.send(str(socket.member_count("board")))
        >>> host = TestHost(export(Board))
        >>> one, two = host.websocket("/board/ada"), host.websocket("/board/ada")
        >>> one.send("how many?")
        >>> one.receive()
        '1'
        """
        member = self._member(channel, "present(group, key, facts, channel)")
        membership.present(self._host, self._full(group), member, key, facts)

    def present_user(self, group: str | Group, facts: Any = None) -> None:
        """The same with the id of the `user` as the key, so that all connections of a user are one member.

        Raises `NoUser` when there is none.
        """
        if self.user is None:
            raise NoUser
        self.present(group, self.user.id, facts)

    @overload
    def members(
        self, group: str | Group, *, cursor: str | None = None, limit: int = 1000
    ) -> Members[dict[str, Any]]: ...
    @overload
    def members(
        self, group: str | Group, kind: type[T], *, cursor: str | None = None, limit: int = 1000
    ) -> Members[T]: ...
    def members(
        self, group: str | Group, kind: Any = dict[str, Any], *, cursor: str | None = None, limit: int = 1000
    ) -> Members[Any]:
        """Lists the members of a group in the order of their keys, with their facts read as a type.

        It lists up to `limit` of them, 1,000 at most. The `cursor` of a part gets the next one; the first has
        none. Parts are of different moments, and the outbox of the run is in none: this connection is there from its
        next event on. A member whose last connection has ended is there until it has left. A run reads 100 parts.

        Raises `PresenceError` when the host refuses the call or the layer does not answer, and `Unreadable` when facts
        do not read.
        """
        return membership.listed(self._host, self._full(group), kind, cursor, limit)

    def member_count(self, group: str | Group) -> int:
        """Counts the members of a group. Errors as `members`."""
        return self._host.member_count(self._full(group))

    def connections_of(self, user: str) -> UserConnections:
        """The connections of a user to this module, by the id of the user: to send to them, to close and count them."""
        return UserConnections(self._host, user)

    def flush(self) -> None:
        """Commits the writes to the store, then sends the outbox now, replies included.

        Raises `FlushError` when an entry cannot be sent. What stood before it is sent, the entry is removed, the rest
        stays. Data that was committed stays, too.
        """
        self._host.flush()

    def hold(self, timeout: float | timedelta, fallback: Response | None = None) -> Reply:
        """Keeps the HTTP request open after the consumer has returned what this returns.

        It waits, without a slot, until somebody sends a `Response` to its reply channel. After `timeout` seconds, at
        most 1 hour, the host answers with `fallback`, or with status 504. A stream that was started is ended.
        """
        return Reply(milliseconds("timeout", timeout), None if fallback is None else _response("fallback", fallback))

    def start_stream(self, head: Response | None = None) -> None:
        """Starts a response whose body follows in parts. The body of `head`, if there is one, is the first part.

        To let a part go out before the consumer returns, call `flush`.
        """
        head = Response() if head is None else _response("the head of a stream", head)
        self._host.stream_start(head.status, checked_headers(head.headers))
        if head.body:
            self.write(head.body)

    def write(self, part: bytes | str) -> None:
        """Writes a part of the body of a streamed response. Text is written as UTF-8."""
        data = part.encode() if isinstance(part, str) else need_bytes("a part of a body", part)
        self._host.stream_chunk(data)

    def end_stream(self) -> Reply:
        """Ends a streamed response. An HTTP consumer returns what this returns.

        To go on later from the reply channel, return `hold` in its place.
        """
        self._host.stream_end()
        return Reply()

    @property
    def store(self) -> Store:
        """The data of the module, which this run reads and writes as one transaction."""
        return Store(self._host)

    @property
    def sessions(self) -> Sessions:
        """The sessions of the host: signing in and out."""
        return Sessions(self._host)

    def session(self, kind: type[T]) -> Session[T]:
        """What the module keeps for the session of the connection, as a type.

        A consumer of HTTP can take it as a parameter, `Session[Basket]`.
        """
        return Session(self._host, kind)

    @property
    def timers(self) -> Timers:
        """Messages that are sent later, and that can be replaced and cancelled until then."""
        return Timers(self._host)

    def fetch(
        self,
        method: str,
        url: str,
        *,
        then: str,
        headers: fetches.Fields | None = None,
        body: bytes | str | None = None,
        json: Any = None,
        value: Any = None,
        retries: int = 0,
        idempotency_key: str | None = None,
        timeout: float | timedelta | None = None,
    ) -> None:
        """Has the host make a request to a server outside when the run has committed. Nothing waits for it.

        It is part of the transaction of the run, as `Store` says: it is made when the run commits, and not if the run
        fails. Its result is a message to the channel `then`, which this module declares, or which is granted: the
        consumer takes a `Fetched`. Without `retries` there, a result may be lost.

        `method` is one of HTTP, such as `"POST"`, and `url` one of `http` or `https`. The operator grants the servers
        of a module: `grants.http = ["api.example.com"]` in its settings. Addresses of private networks need a grant of
        their own. The host sets `host`, the body's length and the fields of the connection. `json` is a body that is
        written as JSON; its type is set, unless `headers` have one. Text in `body` is sent as UTF-8.

        `value` comes back with the result, and is not sent to the server. It is text, a number, bool, None, a list, a
        dict, a dataclass or a pydantic model.

        With `retries` the request is made again so often, 10 times at most, where it is not answered, or with 429, 502,
        503 or 504. The pauses grow from a second to a minute. It is made until it is answered, also after the process
        that made it has ended. Without it the request is made once at most. A method that is not idempotent, such as
        POST, needs an `idempotency_key`, too: the header field by which a server knows that a request repeats another.

        `timeout`, in seconds, ends each attempt; without it, and at most, `fetch.timeout` of the module's settings.

        Raises `InvalidFetch` for a request that breaks a rule, and `ForbiddenFetch` for a server or a channel without a
        grant; both are `FetchError`.

        >>> from dataclasses import dataclass
        >>> from tidegate_sdk import Fetched, channel, export, http
        >>> from tidegate_sdk.testing import TestHost
        >>> @dataclass
        ... class Order:
        ...     id: int
        ...     cents: int
        >>> @http("POST /orders/{id}/{cents}")
        ... def order(cx: Context, id: int, cents: int) -> tuple[int, str]:
        ...     order = Order(id, cents)
        ...     cx.fetch(
        ...         "POST", "https://pay.example.com/charges", json=order, then="shop.charged",
        ...         value=order, retries=5, idempotency_key=f"order-{id}",
        ...     )
        ...     return 202, "we will see"
        >>> @channel("shop.charged", retries=5)
        ... def charged(cx: Context, fetched: Fetched[Order]) -> None:
        ...     paid = fetched.answer is not None and fetched.answer.is_success
        ...     cx.store.set(f"order:{fetched.value.id}", "paid" if paid else "unclear")
        >>> host = TestHost(export(order, charged), reaching=["pay.example.com"])
        >>> host.request("POST", "/orders/7/250").status
        202
        >>> asked = host.fetch("POST https://pay.example.com/charges")
        >>> asked.header("idempotency-key"), asked.json()
        ('order-7', {'id': 7, 'cents': 250})
        >>> asked.answer(201)
        >>> host.data.get("order:7")
        'paid'
        """
        self._host.fetch(
            fetches.request(
                method,
                url,
                then=then,
                headers=headers,
                body=body,
                json=json,
                value=value,
                retries=retries,
                idempotency_key=idempotency_key,
                timeout=timeout,
            )
        )

    def fetch_now(
        self,
        method: str,
        url: str,
        *,
        headers: fetches.Fields | None = None,
        body: bytes | str | None = None,
        json: Any = None,
        idempotency_key: str | None = None,
        timeout: float | timedelta | None = None,
    ) -> Answer:
        """Makes a request to a server outside and waits for its answer, whatever its status.

        The wait counts against the deadline of the run and holds its slot: prefer `fetch` for what can come later. A
        run that has made a request fails if its data has changed meanwhile; a channel with retries delivers its message
        again, and then the request is made again. Redirects are not followed, and a compressed body comes as it is.

        The operator grants the servers of a module, `grants.http = ["rates.example.com"]` in its settings; a module
        whose code names `fetch_now` is refused without any. The parameters are those of `fetch`; `timeout` ends the
        wait for the header of the answer. Raises `FetchFailed` when there is no answer.

        >>> from tidegate_sdk import export, http
        >>> from tidegate_sdk.testing import TestHost
        >>> @http("GET /rate/{currency}")
        ... def rate(cx: Context, currency: str) -> str:
        ...     return cx.fetch_now("GET", f"https://rates.example.com/{currency}").text()
        >>> host = TestHost(export(rate), reaching=["rates.example.com"])
        >>> host.answers("GET https://rates.example.com/eur", 200, "1.08")
        >>> host.get("/rate/eur").text
        '1.08'
        """
        asked = fetches.asked(
            method, url, headers=headers, body=body, json=json, idempotency_key=idempotency_key, timeout=timeout
        )
        status, fields, data = self._host.fetch_now(asked)
        return Answer(status, tuple(fields), data)

    def now(self) -> datetime:
        """The time, with time zone UTC. In a test `TestHost.advance` moves it."""
        return datetime.fromtimestamp(self._host.now(), UTC)

    def variable(self, name: str) -> str | None:
        """A variable of the environment that the module is granted, secrets among them. None if it is not."""
        return self._host.variable(need_text("the name of a variable", name))

    def path(self, path: str | Path) -> Path:
        """The path of a file in a granted directory: in a module the same path, in a test a path of this machine."""
        return Path(self._host.path(str(path)))

    def log(self, level: Level, text: str) -> None:
        """Adds lines to the record of the run, one for each line of the text."""
        if level not in _LEVELS:
            raise ValueError(f"a level is one of {', '.join(_LEVELS)}, not {level!r}")
        write_log(self._host.log, level, text)

    def debug(self, text: str) -> None:
        """Adds a line for the search of a defect."""
        self.log("debug", text)

    def info(self, text: str) -> None:
        """Adds a line that an operator may want to know."""
        self.log("info", text)

    def warn(self, text: str) -> None:
        """Adds a line about something that looks wrong."""
        self.log("warn", text)

    def error(self, text: str) -> None:
        """Adds a line about something that failed."""
        self.log("error", text)

    def _full(self, group: str | Group) -> str:
        if isinstance(group, Group):
            return need_text("the name of a group", group.name)
        return f"{self.module}.{need_text('the name of a group', group)}"

    def _member(self, channel: str | None, call: str = "group_add(group, channel)") -> str:
        if channel is not None:
            return need_text("the name of a channel", channel)
        if self._reply_channel is None:
            raise NoConnection(call)
        return self._reply_channel


def _response(what: str, value: Any) -> Response:
    if not isinstance(value, Response):
        raise TypeError(f"{what} has to be a Response, not {type(value).__name__}: write Response.text(...)")
    return value


def write_log(log: Callable[[str, str], None], level: str, text: object) -> None:
    """Logs line by line: an escaped line break cannot be read."""
    for line in str(text).encode(errors="replace").decode().splitlines() or [""]:
        log(level, line)
