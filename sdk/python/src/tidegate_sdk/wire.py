"""The contract in the terms of the SDK, and the interface of hosts: the component's and that of a test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tidegate_sdk.scope import Request, Scope

Headers = list[tuple[str, bytes]]
Frame = str | bytes


@dataclass(slots=True)
class Invocation:
    """The facts of one run of one consumer."""

    module: str
    consumer: str
    correlation_id: str


@dataclass(slots=True)
class HttpDisconnect:
    reply_channel: str
    path: str
    path_params: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class WebsocketConnect:
    scope: Scope


@dataclass(slots=True)
class WebsocketReceive:
    reply_channel: str
    path: str
    path_params: tuple[tuple[str, str], ...]
    order: int
    frame: Frame


@dataclass(slots=True)
class WebsocketDisconnect:
    reply_channel: str
    path: str
    path_params: tuple[tuple[str, str], ...]
    order: int
    code: int
    reason: str


@dataclass(slots=True)
class ChannelMessage:
    channel: str
    content: bytes


Event = Request | HttpDisconnect | WebsocketConnect | WebsocketReceive | WebsocketDisconnect | ChannelMessage


class Failed(Exception):
    """The fault `failed`, with a text for the record."""


@dataclass(slots=True)
class Value:
    """A value of the store: bytes, or an integer that `add` changes."""

    data: bytes | int
    schema: int = 0


@dataclass(slots=True)
class Page:
    """A part of a listing."""

    entries: list[tuple[str, Value]]
    cursor: str | None


@dataclass(slots=True)
class Fetch:
    """A request to a server outside, and the channel of its result."""

    method: str
    url: str
    headers: Headers
    body: bytes
    then: str
    value: bytes
    """MessagePack that comes back with the result."""
    timeout: int | None
    """The time for each attempt, in milliseconds."""
    retries: int


@dataclass(slots=True)
class User:
    """The user of a connection."""

    id: str
    claims: bytes
    """A MessagePack map."""
    expires: int | None
    """Seconds since 1970."""


@dataclass(slots=True)
class Members:
    """A part of the members of a group."""

    members: list[tuple[str, bytes]]
    """Keys and facts, each a MessagePack map."""
    count: int
    cursor: str | None


@dataclass(slots=True)
class Remembered:
    """A message of a history."""

    position: str
    """The place behind it."""
    content: bytes


@dataclass(slots=True)
class HistoryPage:
    """A part of a history."""

    messages: list[Remembered]
    position: str
    complete: bool
    more: bool


@dataclass(slots=True)
class Session:
    """A session that is open."""

    key: str
    """Names what the module keeps for it."""
    expires: int
    """Seconds since 1970."""


@dataclass(slots=True)
class SignedIn:
    """A session in which a user is signed in. Moments are in seconds since 1970."""

    id: str
    is_own: bool
    created: int
    used: int
    expires: int
    address: str
    agent: str


@dataclass(slots=True)
class Asked:
    """A request that a run waits for."""

    method: str
    url: str
    headers: Headers
    body: bytes
    timeout: int | None
    """Until the header of the answer is there, in milliseconds."""


class Host(Protocol):
    """The calls of a run to its host. The caller has checked the arguments; refusals are exceptions of `errors`."""

    def send(self, channel: str, content: bytes) -> None: ...
    def send_later(self, channel: str, content: bytes, delay: int) -> None: ...
    def group_add(self, group: str, channel: str) -> None: ...
    def group_discard(self, group: str, channel: str) -> None: ...
    def group_send(self, group: str, content: bytes) -> None: ...
    def present(self, group: str, channel: str, key: str, facts: bytes) -> None: ...
    def members(self, group: str, cursor: str | None, limit: int) -> Members: ...
    def member_count(self, group: str) -> int: ...
    def user_send(self, user: str, content: bytes) -> None: ...
    def user_close(self, user: str, code: int, reason: str) -> None: ...
    def user_connections(self, user: str) -> int: ...
    def history_read(self, group: str, after: str | None, limit: int) -> HistoryPage: ...
    def history_join(self, group: str, after: str | None, latest: int) -> None: ...
    def flush(self) -> None: ...
    def respond(self, status: int, headers: Headers, body: bytes) -> None: ...
    def stream_start(self, status: int, headers: Headers) -> None: ...
    def stream_chunk(self, chunk: bytes) -> None: ...
    def stream_end(self) -> None: ...
    def hold(self, timeout: int, fallback: tuple[int, Headers, bytes] | None) -> None: ...
    def accept(self, subprotocol: str | None, headers: Headers) -> None: ...
    def send_frame(self, frame: Frame) -> None: ...
    def close(self, code: int, reason: str) -> None: ...
    def get_scope(self) -> Scope | None: ...
    def message_id(self) -> str | None: ...
    def attempt(self) -> int: ...
    def current_user(self) -> User | None: ...
    def session_current(self) -> Session | None: ...
    def session_begin(self) -> Session: ...
    def session_sign_in(self, user: str, claims: bytes) -> None: ...
    def session_sign_out(self) -> None: ...
    def sessions_of(self, user: str) -> list[SignedIn]: ...
    def session_end(self, user: str, id: str) -> None: ...
    def session_end_all(self, user: str, *, but_own: bool) -> None: ...
    def get_state(self) -> bytes | None: ...
    def set_state(self, state: bytes) -> None: ...
    def log(self, level: str, message: str) -> None: ...
    def store_get_many(self, keys: list[str]) -> list[Value | None]: ...
    def store_get_many_of(self, module: str, keys: list[str]) -> list[Value | None]: ...
    def store_set(self, key: str, value: Value, time_to_live: int | None) -> None: ...
    def store_delete(self, key: str) -> None: ...
    def store_add(self, key: str, delta: int) -> None: ...
    def store_list(self, prefix: str, cursor: str | None, limit: int) -> Page: ...
    def timer_set(
        self, key: str | None, channel: str, content: bytes, *, after: int | None, at: int | None
    ) -> None: ...
    def timer_cancel(self, key: str) -> None: ...
    def fetch(self, request: Fetch) -> None: ...
    def fetch_now(self, asked: Asked) -> tuple[int, Headers, bytes]: ...
    def now(self) -> float: ...
    def variable(self, name: str) -> str | None: ...
    def path(self, path: str) -> str: ...
