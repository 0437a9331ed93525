"""The test host."""

from __future__ import annotations

import json as jsons
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tidegate_sdk.checks import milliseconds
from tidegate_sdk.context import Group
from tidegate_sdk.entries import ChannelTrigger
from tidegate_sdk.exports import Consumers
from tidegate_sdk.frame import Message, encode
from tidegate_sdk.schedules import Tick
from tidegate_sdk.scope import Request, Scope
from tidegate_sdk.testing import router, rules, users
from tidegate_sdk.testing.call import settle
from tidegate_sdk.testing.clients import Denied, TestResponse, TestSocket
from tidegate_sdk.testing.connection import Http, Websocket
from tidegate_sdk.testing.forms import Respond
from tidegate_sdk.testing.inspection import TestData
from tidegate_sdk.testing.outside import TestFetch, waiting
from tidegate_sdk.testing.world import Fault, Job, LogLine, Sent, World, scope_headers
from tidegate_sdk.wire import Headers, WebsocketConnect


class TestHost:
    """Runs the consumers of a module natively.

    Everything happens at once: when a call returns, the event and all that followed from it have run.

    `module` is the name under which the module is deployed, `granted` are channels and groups of others that it may
    use, `environment` its variables and secrets, `directories` what it is granted of this machine, by the name that it
    has for each, and `at` the time that `Context.now` tells at first. `granted_sessions` lets it sign users in and out.

    `reaching` are the servers outside that it may reach, as `grants.http` has them: `api.example.com`,
    `*.example.com`, `localhost:3000`, also with a scheme before them. Networks are not compared here.
    """

    __test__ = False

    def __init__(
        self,
        consumers: type[Consumers],
        module: str = "test",
        *,
        granted: Sequence[str] = (),
        granted_data: Sequence[str] = (),
        granted_sessions: bool = False,
        reaching: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        directories: Mapping[str, str | Path] | None = None,
        at: datetime | None = None,
    ) -> None:
        if not rules.is_module(module):
            raise ValueError(f"{module!r} is not 1 to 63 bytes of a-z 0-9 -")
        if isinstance(reaching, str):
            raise TypeError(f"`reaching` is a list of servers: [{reaching!r}]")
        self._world = World(consumers, module, set(granted), set(granted_data), list(reaching))
        self._world.signs_in = granted_sessions
        self._world.environment.update(environment or {})
        for guest, directory in (directories or {}).items():
            if not guest.startswith("/"):
                raise ValueError(f'{guest!r} is not an absolute path, such as "/data"')
            self._world.directories[guest] = str(directory)
        if at is not None:
            self._world.epoch = at.timestamp()

    def get(
        self,
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        signed_in: str | None = None,
        claims: Any = None,
        cookies: Mapping[str, str] | None = None,
    ) -> TestResponse:
        """Sends a GET request."""
        return self.request("GET", path, headers=headers, signed_in=signed_in, claims=claims, cookies=cookies)

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: str | bytes = b"",
        headers: Mapping[str, str | bytes] | Sequence[tuple[str, str | bytes]] | None = None,
        signed_in: str | None = None,
        claims: Any = None,
        cookies: Mapping[str, str] | None = None,
    ) -> TestResponse:
        """Sends an HTTP request. The path may have a query. With `json` the body is that value, and its type is set.

        `signed_in` is the id of the user, as a token tells it, and `claims` are the user's: a dict or a dataclass.
        `cookies` are those of a browser, as `TestResponse.cookies` has them.
        """
        user = users.user(signed_in, claims)
        fields = _with_cookies(_fields(headers), cookies)
        if json is not None:
            fields.append(("content-type", b"application/json"))
            body = jsons.dumps(json)
        if not any(name.lower() == "host" for name, _ in fields):
            fields.insert(0, ("host", b"localhost"))
        world = self._world
        fields, user, session = world.look_up(fields, user)
        identity = world.next_id()
        channel = f"test!{identity}"
        scope = _scope(Scope, channel, "http", method, path, fields)
        http = Http(None, scope)
        world.connections[channel] = http
        try:
            found = router.http(world.consumers.entries, scope)
            has_socket = router.websocket(world.consumers.entries, scope) is not None
        except router.BadPath:
            http.answer(_text(400, "bad path\n"))
            return TestResponse(world, channel, http)
        admitted = users.admit(found.entry, user) if isinstance(found, router.Route) else None
        if isinstance(admitted, int):
            http.answer(users.refusal(admitted))
        elif isinstance(found, router.Route):
            data = body.encode() if isinstance(body, str) else body
            event = _scope(Request, channel, "http", method, path, fields, body=data, path_params=found.params)
            http.entry, http.scope, http.user = found.entry, event, admitted
            http.session = None if found.entry.access is None else session
            world.queue.append(Job(found.entry, event, channel, identity))
            settle(world)
        elif isinstance(found, router.WrongMethod):
            allow = ", ".join(found.allowed).encode()
            http.answer(_text(405, "method not allowed\n", ("allow", allow)))
        elif has_socket:
            http.answer(_text(426, "this path has a WebSocket\n", ("upgrade", b"websocket")))
        else:
            http.answer(_text(404, "not found\n"))
        return TestResponse(world, channel, http)

    def websocket(
        self,
        path: str,
        *,
        subprotocols: Sequence[str] = (),
        headers: Mapping[str, str | bytes] | Sequence[tuple[str, str | bytes]] | None = None,
        signed_in: str | None = None,
        claims: Any = None,
        cookies: Mapping[str, str] | None = None,
    ) -> TestSocket:
        """Asks for a WebSocket. Raises `Denied` when the handshake is turned down.

        Users and cookies are those of `request`.
        """
        world = self._world
        fields, user, session = world.look_up(_with_cookies(_fields(headers), cookies), users.user(signed_in, claims))
        identity = world.next_id()
        channel = f"test!{identity}"
        facts = {"subprotocols": tuple(subprotocols)}
        scope = _scope(Scope, channel, "ws", "GET", path, fields, **facts)
        try:
            found = router.websocket(world.consumers.entries, scope)
        except router.BadPath:
            found = None
        if found is None:
            raise Denied(403)
        admitted = users.admit(found.entry, user)
        if isinstance(admitted, int):
            raise Denied(admitted)
        scope = _scope(Scope, channel, "ws", "GET", path, fields, path_params=found.params, **facts)
        looked_up = None if found.entry.access is None else session
        websocket = Websocket(found.entry, scope, user=admitted, session=looked_up)
        world.connections[channel] = websocket
        world.queue.append(Job(found.entry, WebsocketConnect(scope), channel, identity))
        settle(world)
        if not websocket.accepted:
            raise Denied(websocket.denied)
        return TestSocket(world, channel, websocket)

    def send(self, channel: str, message: Message) -> None:
        """Sends a message to a channel, as another program may. Raises `SendError` when it breaks a rule."""
        rules.channel(channel)
        content = encode(message)
        rules.content(content)
        self._world.send(channel, content, self._world.next_id())
        settle(self._world)

    def fire(self, consumer: str) -> None:
        """Sends a `Tick` of this moment to a consumer that has a `schedule`.

        Raises `ValueError` when the module has no such consumer, or it has no schedule.
        """
        entries = {entry.name: entry for entry in self._world.consumers.entries}
        if consumer not in entries:
            raise ValueError(f"the module has no consumer {consumer!r}; it has {', '.join(entries)}")
        entry = entries[consumer]
        if entry.schedule is None or not isinstance(entry.trigger, ChannelTrigger):
            raise ValueError(f'{consumer!r} has no schedule: write @schedule("@daily") before its @channel')
        self.send(entry.trigger.name, Tick(datetime.fromtimestamp(self._world.clock(), UTC)))

    def fetch(self, method_and_url: str) -> TestFetch:
        """The request to a server outside that has waited longest of those with this method and URL.

        It waits until it is answered: `host.fetch("GET https://api.example.com/").answer(200, "fine")`.
        `AssertionError` when no such request waits.
        """
        return TestFetch(self._world, waiting(self._world, method_and_url))

    def answers(
        self,
        method_and_url: str,
        status: int,
        body: str | bytes = b"",
        headers: Mapping[str, str | bytes] | Sequence[tuple[str, str | bytes]] | None = None,
    ) -> None:
        """Answers the next request with this method and URL that a run waits for, by `Context.fetch_now`."""
        fields = [(name.lower(), value) for name, value in _fields(headers)]
        data = body.encode() if isinstance(body, str) else body
        self._world.prepared.append((method_and_url, (status, fields, data)))

    def fails(self, method_and_url: str, reason: str) -> None:
        """Lets the next request with this method and URL that a run waits for fail, with a word of `FetchFailed`."""
        self._world.prepared.append((method_and_url, reason))

    @property
    def fetches(self) -> list[str]:
        """Methods and URLs of the requests that wait for an answer, the one that has waited longest first."""
        return [it.method_and_url for it in self._world.fetches]

    def advance(self, span: float | timedelta) -> None:
        """Moves the clock by so many seconds. Runs what is due on the way, in the order of time."""
        end = self._world.now + milliseconds("span", span)
        while self._world.next_due(end):
            settle(self._world)
        settle(self._world)

    def replace(self, consumers: type[Consumers]) -> None:
        """Deploys another version of the module.

        Open connections stay, with their state, and the next event meets the new consumers. A connection whose
        consumer is gone closes with code 1012.
        """
        self._world.replace(consumers)
        settle(self._world)

    def messages(self, channel: str) -> list[Sent]:
        """The messages that were sent to a channel so far. A delayed one is among them when its delay has passed."""
        return [sent for to, sent in self._world.sent if to == channel]

    def group(self, group: str | Group) -> list[str]:
        """The channels in a group."""
        return sorted(self._world.groups.get(self._full(group), {}))

    def members(self, group: str | Group) -> list[str]:
        """The keys of the members that are present in a group, in their order. See `Context.present`."""
        return [key for key, _ in self._world.members.page(self._full(group), None, None).members]

    def forget(self, group: str | Group) -> None:
        """Forgets the history of a group, as a host does that has no room for it, or that is started again.

        A client that comes back from a position before that is told that messages are gone.
        """
        self._world.histories.forget(self._full(group))

    def group_messages(self, group: str | Group) -> list[Sent]:
        """The messages that were sent to a group so far."""
        return [sent for to, sent in self._world.group_sent if to == self._full(group)]

    def _full(self, group: str | Group) -> str:
        return group.name if isinstance(group, Group) else f"{self._world.module}.{group}"

    @property
    def data(self) -> TestData:
        """The module's data in the store."""
        return TestData(self._world, self._world.module)

    def data_of(self, module: str) -> TestData:
        """The data of another module."""
        return TestData(self._world, module)

    def before_commit(self, change: Callable[[], None]) -> None:
        """Changes data between the end of the next run that uses the store and its commit.

        If the run has read what `change` changes, it is done again. Several calls are for several commits, one each.
        """
        self._world.changes.append(change)

    def conflict_once(self, key: str) -> None:
        """Lets the next run that uses the store find that a key has changed when it commits.

        If it has read the key, it is done again and sees the same. Set the key before.
        """
        self.before_commit(lambda: self.data.touch(key))

    @property
    def logs(self) -> list[LogLine]:
        """The lines that consumers logged. A fault does not take them back."""
        return list(self._world.logs)

    @property
    def faults(self) -> list[Fault]:
        """The runs that failed."""
        return list(self._world.faults)

    @property
    def drops(self) -> list[str]:
        """Messages that reached nobody, each with the reason: a connection that is gone, or takes no such message."""
        return list(self._world.drops)


def _fields(headers: Mapping[str, str | bytes] | Sequence[tuple[str, str | bytes]] | None) -> Headers:
    pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
    return [(name, value.encode() if isinstance(value, str) else value) for name, value in pairs]


def _with_cookies(fields: Headers, cookies: Mapping[str, str] | None) -> Headers:
    """Header fields as the host gives them, with cookies."""
    more = [("cookie", f"{name}={value}".encode()) for name, value in (cookies or {}).items()]
    return scope_headers([*fields, *more])


def _text(status: int, text: str, *fields: tuple[str, bytes]) -> Respond:
    return Respond(status, [("content-type", b"text/plain; charset=utf-8"), *fields], text.encode())


def _scope(kind: type[Any], channel: str, scheme: str, method: str, path: str, headers: Headers, **more: Any) -> Any:
    raw_path, _, query = path.partition("?")
    return kind(
        reply_channel=channel,
        scheme=scheme,
        method=method,
        path=unquote(raw_path, errors="replace"),
        raw_path=raw_path,
        query_string=query,
        headers=tuple(scope_headers(headers)),
        client=("127.0.0.1", 50_000),
        server=("127.0.0.1", 8000),
        **more,
    )
