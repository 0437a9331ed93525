"""One run: calls the consumer, keeps its outbox, and commits or drops it."""

from __future__ import annotations

from typing import Literal

from tidegate_sdk import errors
from tidegate_sdk.entries import Remembering
from tidegate_sdk.errors import StateUnreadable
from tidegate_sdk.faults import RunEnded
from tidegate_sdk.frame import Close, encode
from tidegate_sdk.scope import Request, Scope
from tidegate_sdk.testing import fetch_rules, forms, histories, presence_rules, rules, store_rules, users
from tidegate_sdk.testing.connection import Http, Websocket
from tidegate_sdk.testing.data import Conflict, Timer, Transaction, View, WrongType
from tidegate_sdk.testing.session_calls import SessionCalls
from tidegate_sdk.testing.world import Fault, Item, Job, LogLine, Waiting, World
from tidegate_sdk.wire import (
    Asked,
    ChannelMessage,
    Failed,
    Fetch,
    Frame,
    Headers,
    HistoryPage,
    HttpDisconnect,
    Invocation,
    Members,
    Page,
    Session,
    SignedIn,
    User,
    Value,
    WebsocketConnect,
)

_ATTEMPTS_MAX = 10
"""The number of attempts for an event whose data changes meanwhile."""

_INTERNAL = forms.Respond(500, [("content-type", b"text/plain; charset=utf-8")], b"internal error\n")


class _Limit(RunEnded):
    """A limit was exceeded."""


class _Conflicted(RunEnded):
    """A commit in the middle of a run found that something has changed."""


def settle(world: World) -> None:
    """Runs events until none is left."""
    # What is announced may have consumers of its own.
    while world.queue or world.announce():
        if world.queue:
            _run(world, world.queue.popleft())


def _run(world: World, job: Job) -> None:
    logs = len(world.logs)
    for attempt in range(1, _ATTEMPTS_MAX + 1):
        call = Call(world, job)
        try:
            call.run()
        except (Conflict, _Conflicted) as conflict:
            if attempt < _ATTEMPTS_MAX and not call.is_final:
                del world.logs[logs:]  # The record is that of the last attempt.
                continue
            call.fail(
                f"{conflict} changed while the run used it, each time that it was tried; read fewer keys, or use "
                "`add`, or let one channel do the work in turn",
                1011,
            )
        except StateUnreadable as error:
            call.fail(str(error), 1012)
        except (Failed, WrongType, _Limit) as error:
            call.fail(str(error), 1011)
        else:
            call.succeed()
            return
        world.deliver_again(job)
        return


def prepared(world: World, method_and_url: str) -> tuple[int, Headers, bytes]:
    """Takes the answer to a request that a run waits for, as the test has said before."""
    for at, (name, outcome) in enumerate(world.prepared):
        if name == method_and_url:
            del world.prepared[at]
            if isinstance(outcome, str):
                raise errors.FetchFailed(outcome, "as the test says")
            return outcome
    raise AssertionError(f"a run waits for {method_and_url!r}: say host.answers({method_and_url!r}, 200, ...) before")


class Call:
    """The host as one run sees it."""

    def __init__(self, world: World, job: Job) -> None:
        self._world = world
        self._job = job
        self._event = job.event
        self._outbox: list[Item] = []
        self._bytes = 0
        self._answer: Literal["none", "streaming", "done"] = "none"
        self._state: bytes | None = None
        self._transaction: Transaction | None = None
        self._sessions = SessionCalls(world, job)
        self._lists = 0
        """Parts of lists of members that were read."""
        self.is_final: bool = False
        """Whether a second run would do something twice."""

    def run(self) -> None:
        """Calls the consumer, and commits its data."""
        invocation = Invocation(self._world.module, self._job.entry.name, self._job.correlation)
        try:
            self._world.consumers.run(self, invocation, self._event)
            self._sessions.check_answer(self._outbox)
        except (Failed, StateUnreadable, _Limit):
            # Of a run that failed the host asks only whether what it read still holds.
            self._change_data()
            if self._transaction is not None:
                self._transaction.check(self._view())
            raise
        self._commit_data()

    def succeed(self) -> None:
        """The run is over without a fault."""
        self._sessions.apply(self._outbox)
        self._commit_outbox()
        connection = self._connection()
        if isinstance(connection, Websocket):
            connection.state = self._state if self._state is not None else connection.state
            if connection.phase == "handshake":
                connection.deny(403)
        elif isinstance(connection, Http) and isinstance(self._event, Request):
            connection.after_consumer()
            if self._answer == "none" and connection.hold is None:
                self.fail("neither answered nor held the request", 1011)

    def fail(self, text: str, code: int) -> None:
        """The run is over with a fault."""
        self._world.faults.append(Fault(self._job.entry.name, text))
        channel, connection = self._job.connection, self._connection()
        if channel is None or connection is None:
            return
        if isinstance(connection, Http):
            if connection.head is None:
                connection.answer(_INTERNAL)
            connection.is_complete = True
        elif connection.phase == "handshake":
            connection.deny(500)
        elif connection.phase == "open":
            self._world.close(channel, Close(code))
            return
        else:
            return
        self._world.leave_groups(channel)

    def _connection(self) -> Http | Websocket | None:
        return self._world.connections.get(self._job.connection or "")

    # Data.

    def _view(self, module: str | None = None) -> View:
        return View(self._world.data, module or self._world.module, self._world.now)

    def _begun(self) -> Transaction:
        self._transaction = self._transaction or Transaction()
        return self._transaction

    def _change_data(self) -> None:
        """Does what a test asked for between a run and its commit."""
        if self._transaction is not None and self._world.changes:
            self._world.changes.pop(0)()

    def _commit_data(self) -> None:
        self._change_data()
        if self._transaction is not None:
            self._transaction.commit(self._view())
            self._commit_timers(self._transaction)
            self._commit_fetches(self._transaction)

    def store_get_many(self, keys: list[str]) -> list[Value | None]:
        return self._begun().get_many(self._view(), keys)

    def store_get_many_of(self, module: str, keys: list[str]) -> list[Value | None]:
        if not rules.is_module(module):
            raise errors.InvalidCall(f'module "{module}": a name is 1 to 63 bytes of a-z 0-9 -')
        if module != self._world.module and module not in self._world.granted_data:
            raise errors.ForbiddenKeys(
                f"the keys of {module} belong to another module; let them be granted: "
                f'modules.{self._world.module}.grants.data = ["{module}"]'
            )
        return self._begun().get_many_of(self._view(module), keys)

    def store_set(self, key: str, value: Value, time_to_live: int | None) -> None:
        self._begun().set(key, value, time_to_live)

    def store_delete(self, key: str) -> None:
        self._begun().delete(key)

    def store_add(self, key: str, delta: int) -> None:
        self._begun().add(key, delta)

    def store_list(self, prefix: str, cursor: str | None, limit: int) -> Page:
        return self._begun().list_page(self._view(), prefix, cursor, limit)

    # Sending.

    def _put(self, kind: str, about: object, size: int = 0) -> None:
        self._outbox.append((kind, about))
        self._bytes += size
        count = len(self._outbox)
        if count > rules.OUTBOX_MAX:
            raise _Limit(f"an outbox of {count} entries, and the limit is {rules.OUTBOX_MAX}")
        if self._bytes > rules.OUTBOX_BYTES_MAX:
            raise _Limit(f"an outbox of {self._bytes} bytes, and the limit is {rules.OUTBOX_BYTES_MAX}")

    def _may_send(self, channel: str) -> None:
        rules.channel(channel)
        if channel.startswith(("http.", "websocket.")):
            raise errors.Forbidden(f"channel {channel} belongs to the interface server")
        if "!" not in channel and self._world.owner(channel) is None and channel not in self._world.granted:
            raise errors.Forbidden(f"channel {channel} is not declared by module {self._world.module}")

    def _may_use(self, group: str) -> None:
        rules.name(group)
        if group.startswith(("_user.", "_session.")):
            raise errors.Forbidden(f"group {group} is one of the host's own; connections_of reaches users")
        if not group.startswith(f"{self._world.module}.") and group not in self._world.granted:
            raise errors.Forbidden(f"group {group} is not under {self._world.module}.")

    def send(self, channel: str, content: bytes) -> None:
        self._may_send(channel)
        rules.content(content)
        self._put("send", (channel, content), len(content))

    def send_later(self, channel: str, content: bytes, delay: int) -> None:
        self._may_send(channel)
        rules.content(content)
        if delay > rules.DELAY_MAX:
            raise errors.InvalidContent("a delay is at most 24 hours")
        self._put("send-later", (channel, content, delay), len(content))

    def group_add(self, group: str, channel: str) -> None:
        self._may_use(group)
        self._may_send(channel)
        self._put("group-add", (group, channel))

    def group_discard(self, group: str, channel: str) -> None:
        self._may_use(group)
        self._may_send(channel)
        self._put("group-discard", (group, channel))

    def group_send(self, group: str, content: bytes) -> None:
        self._may_use(group)
        rules.content(content)
        self._put("group-send", (group, content), len(content))

    def present(self, group: str, channel: str, key: str, facts: bytes) -> None:
        self._may_be_in(group)
        presence_rules.connection(channel)
        presence_rules.key(key)
        presence_rules.facts(facts)
        self._put("present", (group, channel, key, facts), len(facts))

    def members(self, group: str, cursor: str | None, limit: int) -> Members:
        presence_rules.limit(limit)
        presence_rules.cursor(cursor)
        return self._listed(group, cursor, limit)

    def member_count(self, group: str) -> int:
        return self._listed(group, None, 0).count

    def _listed(self, group: str, cursor: str | None, limit: int) -> Members:
        self._may_be_in(group)
        self._lists += 1
        presence_rules.reads(self._lists)
        return self._world.members.page(group, cursor, limit)

    def _may_be_in(self, group: str) -> None:
        try:
            self._may_use(group)
        except errors.Forbidden as error:
            raise errors.ForbiddenPresence(str(error)) from None
        except errors.InvalidName as error:
            raise errors.InvalidPresence(str(error)) from None

    def user_send(self, user: str, content: bytes) -> None:
        users.check_id(user)
        try:
            rules.content(content)
        except errors.SendError as error:
            raise errors.InvalidOnline(str(error)) from None
        self._put("user-send", (user, content), len(content))

    def user_close(self, user: str, code: int, reason: str) -> None:
        users.check_id(user)
        try:
            rules.close(code, reason)
        except errors.InvalidReply as error:
            raise errors.InvalidOnline(str(error)) from None
        content = encode(Close(code, reason))
        self._put("user-send", (user, content), len(content))

    def user_connections(self, user: str) -> int:
        users.check_id(user)
        return len(self._world.connections_of(user))

    def history_read(self, group: str, after: str | None, limit: int) -> HistoryPage:
        rule = self._remembering(group)
        if not 1 <= limit <= histories.MESSAGES_MAX:
            raise errors.InvalidHistory(
                f"a page has 1 to {histories.MESSAGES_MAX} messages; this call asks for {limit}"
            )
        return self._world.histories.read(group, rule, after, limit, self._world.now)

    def history_join(self, group: str, after: str | None, latest: int) -> None:
        self._remembering(group)
        if latest > histories.MESSAGES_MAX:
            raise errors.InvalidHistory(
                f"a join sends at most the latest {histories.MESSAGES_MAX} messages, not {latest}"
            )
        if self._job.connection is None:
            raise errors.InvalidHistory("a message on a channel has no connection of its own that could join")
        self._put("group-join", (group, self._job.connection, after, latest))

    def _remembering(self, group: str) -> Remembering:
        try:
            self._may_use(group)
        except errors.Forbidden as error:
            raise errors.ForbiddenHistory(str(error)) from None
        except errors.InvalidName as error:
            raise errors.InvalidHistory(str(error)) from None
        rule = self._world.remembering(group)
        if rule is None:
            raise errors.InvalidHistory(
                f'group {group} is not remembered; declare it, as @history("room.*") does beside a consumer'
            )
        return rule

    def flush(self) -> None:
        if not self._sessions.is_empty:
            rule = "the run has asked for something of sessions, which is done when it returns; flush before, or return"
            raise errors.FlushError(0, "", "refused", rule)
        changes = self._transaction is not None and self._transaction.changes_something
        try:
            self._commit_data()
        except Conflict as error:
            raise _Conflicted(str(error)) from None
        except WrongType as error:
            raise _Limit(str(error)) from None
        self.is_final = self.is_final or changes or bool(self._outbox)
        self._commit_outbox()

    def _commit_outbox(self) -> None:
        items, self._outbox, self._bytes = self._outbox, [], 0
        self._world.commit(items, self._job.connection, self._job.correlation)

    # Answers.

    def _wrong(self) -> errors.WrongEvent:
        match self._event:
            case Request():
                takes = "an HTTP request takes respond, stream and hold"
            case HttpDisconnect():
                takes = "the client is gone"
            case WebsocketConnect():
                takes = "a handshake takes accept and close, then send"
            case ChannelMessage():
                takes = "a message on a channel has nobody to answer"
            case _:
                takes = "a WebSocket takes send and close"
        return errors.WrongEvent(takes)

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        if not isinstance(self._event, Request):
            raise self._wrong()
        rules.status(status)
        rules.headers(headers)
        self._answer = "done"
        self._put("reply", forms.Respond(status, headers, body), len(body))

    def stream_start(self, status: int, headers: Headers) -> None:
        self._check_stream("none")
        rules.status(status)
        rules.headers(headers)
        self._answer = "streaming"
        self._put("reply", forms.Start(status, headers))

    def stream_chunk(self, chunk: bytes) -> None:
        self._check_stream("streaming")
        self._put("reply", forms.Part(chunk), len(chunk))

    def stream_end(self) -> None:
        self._check_stream("streaming")
        self._answer = "done"
        self._put("reply", forms.End())

    def _check_stream(self, expected: str) -> None:
        if not isinstance(self._event, Request):
            raise self._wrong()
        if self._answer != expected:
            raise errors.WrongEvent("a streamed response is one start, then chunks, then one end")

    def hold(self, timeout: int, fallback: tuple[int, Headers, bytes] | None) -> None:
        if not isinstance(self._event, Request) or self._answer == "done":
            raise self._wrong()
        if timeout > rules.HOLD_MAX:
            raise errors.InvalidReply("a hold is at most 1 hour")
        if fallback is not None:
            rules.status(fallback[0])
            rules.headers(fallback[1])
        self._put("reply", forms.Hold(timeout, forms.Respond(*fallback) if fallback else None))

    def accept(self, subprotocol: str | None, headers: Headers) -> None:
        if not isinstance(self._event, WebsocketConnect) or self._answer != "none":
            raise self._wrong()
        rules.headers(headers)
        if subprotocol is not None and subprotocol not in self._event.scope.subprotocols:
            raise errors.InvalidReply(f'the client did not offer the subprotocol "{subprotocol}"')
        self._answer = "streaming"
        self._put("reply", forms.Accept(subprotocol, headers))

    def send_frame(self, frame: Frame) -> None:
        is_open = not isinstance(self._event, (Request, HttpDisconnect, ChannelMessage, WebsocketConnect))
        if not is_open and not (isinstance(self._event, WebsocketConnect) and self._answer == "streaming"):
            raise self._wrong()
        self._put("reply", forms.Send(frame), len(frame))

    def close(self, code: int, reason: str) -> None:
        if isinstance(self._event, (Request, HttpDisconnect, ChannelMessage)):
            raise self._wrong()
        rules.close(code, reason)
        self._answer = "done"
        self._put("reply", Close(code, reason))

    # Facts.

    def get_scope(self) -> Scope | None:
        connection = self._connection()
        return connection.scope if connection else None

    def message_id(self) -> str | None:
        delivery = self._job.delivery
        return delivery.id if delivery else None

    def attempt(self) -> int:
        delivery = self._job.delivery
        return delivery.attempt if delivery else 1

    def current_user(self) -> User | None:
        connection = self._connection()
        return connection.user if connection else None

    def session_current(self) -> Session | None:
        return self._sessions.current()

    def session_begin(self) -> Session:
        return self._sessions.begin(self.is_final)

    def session_sign_in(self, user: str, claims: bytes) -> None:
        self._sessions.sign_in(user, claims, self.is_final)

    def session_sign_out(self) -> None:
        self._sessions.sign_out()

    def sessions_of(self, user: str) -> list[SignedIn]:
        return self._sessions.of(user)

    def session_end(self, user: str, id: str) -> None:
        self._sessions.end(user, id)

    def session_end_all(self, user: str, *, but_own: bool) -> None:
        self._sessions.end_all(user, but_own)

    def get_state(self) -> bytes | None:
        connection = self._connection()
        kept = connection.state if isinstance(connection, Websocket) else None
        return self._state if self._state is not None else kept

    def set_state(self, state: bytes) -> None:
        if not isinstance(self._connection(), Websocket):
            raise errors.WrongEvent("only WebSocket events have a state")
        if len(state) > rules.STATE_MAX:
            raise errors.StateTooLarge(len(state), rules.STATE_MAX)
        self._state = state

    def log(self, level: str, message: str) -> None:
        self._world.logs.append(LogLine(self._job.entry.name, level, message))

    def now(self) -> float:
        return self._world.clock()

    def variable(self, name: str) -> str | None:
        return self._world.environment.get(name)

    def path(self, path: str) -> str:
        return self._world.path(path)

    # Timers.

    def timer_set(self, key: str | None, channel: str, content: bytes, *, after: int | None, at: int | None) -> None:
        if key is not None:
            store_rules.timer_key(key)
        store_rules.timer_due(after, at, self._now())
        if "!" in channel:
            raise errors.TimerError(
                f"{channel} is a reply channel: its connection may be over when the timer is due; send to a channel of "
                "your own, and from there to a group"
            )
        try:
            self._may_send(channel)
            rules.content(content)
        except errors.SendError as error:
            raise errors.TimerError(str(error)) from None
        self._set_timer(key, (channel, content, after, at))

    def timer_cancel(self, key: str) -> None:
        store_rules.timer_key(key)
        self._set_timer(key, None)

    def _set_timer(self, key: str | None, timer: Timer | None) -> None:
        try:
            self._begun().set_timer(key, timer)
        except errors.InvalidCall as error:
            raise errors.TimerError(str(error)) from None

    def _now(self) -> int:
        return round(self._world.clock() * 1000)

    def _commit_timers(self, transaction: Transaction) -> None:
        for key, timer in transaction.timers:
            if timer is None:
                self._world.cancel(key or "")
            else:
                channel, content, after, at = timer
                due = self._world.now + (after or 0) if at is None else self._world.now + at - self._now()
                self._world.later(due, channel, content, self._job.correlation, key)
        transaction.timers = []

    # Requests to servers outside.

    def fetch(self, request: Fetch) -> None:
        fetch_rules.check(request)
        self._check_then(request.then)
        self._check_server(request.url)
        self._begun().fetches.append(request)

    def fetch_now(self, asked: Asked) -> tuple[int, Headers, bytes]:
        self.is_final = True
        try:
            fetch_rules.check_headers(asked.headers)
            self._check_server(asked.url)
        except errors.FetchError as error:
            reason = "refused" if isinstance(error, errors.ForbiddenFetch) else "invalid"
            raise errors.FetchFailed(reason, str(error)) from None
        return prepared(self._world, f"{asked.method} {asked.url}")

    def _check_server(self, url: str) -> None:
        server = fetch_rules.server(url)
        if not any(fetch_rules.names(granted, server) for granted in self._world.reachable):
            raise errors.ForbiddenFetch(
                f'no entry of the grants names the host of "{server}"; add "{server}" to '
                f'modules.{self._world.module}.grants.http, and in a test TestHost(..., reaching=["{server}"])'
            )

    def _check_then(self, channel: str) -> None:
        """Whether the result of a request may go to a channel."""
        try:
            rules.channel(channel)
        except errors.InvalidName as error:
            raise errors.InvalidFetch(str(error)) from None
        if "!" in channel:
            raise errors.ForbiddenFetch(
                f"{channel} is a reply channel: its connection may be over when the result comes; have it sent to a "
                "channel of your own, and send from there to a group"
            )
        try:
            self._may_send(channel)
        except errors.Forbidden:
            raise errors.ForbiddenFetch(
                f'channel {channel} is not declared by this module; declare a consumer of it, as @channel("{channel}")'
                f', or let it be granted: modules.{self._world.module}.grants.channels = ["{channel}"]'
            ) from None

    def _commit_fetches(self, transaction: Transaction) -> None:
        self._world.fetches += [Waiting(request, self._job.correlation) for request in transaction.fetches]
        transaction.fetches = []
