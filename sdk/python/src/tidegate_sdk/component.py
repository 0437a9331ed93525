"""Between the SDK and the bindings of the component. Nothing else knows them."""

from __future__ import annotations

import importlib
import importlib.util
import os
import time
from collections.abc import Sequence
from typing import Any, NoReturn

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import consumer
from wit_world.imports import (
    connection,
    history,
    invocation,
    layer,
    log,
    online,
    outside,
    presence,
    reply,
    sessions,
    store,
    timers,
    users,
)

from tidegate_sdk import declarations, entries, errors, wire
from tidegate_sdk.exports import Consumers
from tidegate_sdk.scope import Request, Scope
from tidegate_sdk.wire import Headers

_IS_WAITING = importlib.util.find_spec("wit_world.imports.outgoing_handler") is not None
outgoing: Any = importlib.import_module("tidegate_sdk.outgoing") if _IS_WAITING else None
# `wasi:http` has an interface of this name, too.
types: Any = importlib.import_module(f"wit_world.imports.{'tidegate_channels_types' if _IS_WAITING else 'types'}")

_LEVELS = {
    "trace": log.Level.TRACE,
    "debug": log.Level.DEBUG,
    "info": log.Level.INFO,
    "warn": log.Level.WARN,
    "error": log.Level.ERROR,
}


def routes(of: Sequence[entries.Entry]) -> list[Any]:
    """The consumers in the form of the contract."""
    return [consumer.Route(entry.name, _trigger(entry.trigger)) for entry in of]


def check_world(of: Sequence[entries.Entry]) -> None:
    """Refuses consumers that do not fit the world that the component is built against."""
    declarations.check_world(of, is_exported=hasattr(exports, "Declarations"))


def _trigger(trigger: entries.Trigger) -> Any:
    match trigger:
        case entries.HttpTrigger(methods, path, guards, disconnect):
            return consumer.Trigger_Http(consumer.HttpTrigger(list(methods), path, _guards(guards), disconnect))
        case entries.WebsocketTrigger(path, guards):
            return consumer.Trigger_Websocket(consumer.WebsocketTrigger(path, _guards(guards)))
        case entries.ChannelTrigger(name, retries):
            return consumer.Trigger_Channel(consumer.ChannelTrigger(name, retries))


def _guards(guards: entries.Guards) -> Any:
    return consumer.Guards(guards.host, [types.Header(name, value.encode()) for name, value in guards.headers])


def handle(consumers: type[Consumers], invocation: Any, event: Any) -> None:
    """Runs a consumer. What it raises is a failure of the contract, never a trap."""
    facts = wire.Invocation(invocation.module, invocation.consumer, invocation.correlation_id)
    try:
        consumers.run(HOST, facts, _event(event))
    except errors.StateUnreadable as error:
        raise Err(consumer.Failure_StateUnreadable(_text(error))) from None
    except Exception as error:
        raise Err(consumer.Failure_Failed(_text(error))) from None


def _text(error: Exception) -> str:
    return str(error).encode(errors="replace").decode()


def _event(event: Any) -> wire.Event:
    it = event.value
    match event:
        case types.Event_HttpRequest():
            return Request(body=it.body, **_facts(it.scope))
        case types.Event_HttpDisconnect():
            return wire.HttpDisconnect(it.reply_channel, it.path, _params(it.path_params))
        case types.Event_WebsocketConnect():
            return wire.WebsocketConnect(Scope(**_facts(it.scope)))
        case types.Event_WebsocketReceive():
            frame = it.frame.value
            return wire.WebsocketReceive(it.reply_channel, it.path, _params(it.path_params), it.order, frame)
        case types.Event_WebsocketDisconnect():
            params = _params(it.path_params)
            return wire.WebsocketDisconnect(it.reply_channel, it.path, params, it.order, it.code, it.reason)
        case _:
            return wire.ChannelMessage(it.channel, it.content)


def _params(params: Any) -> tuple[tuple[str, str], ...]:
    return tuple((param.name, param.value) for param in params)


def _facts(scope: Any) -> dict[str, Any]:
    return {
        "reply_channel": scope.reply_channel,
        "scheme": scope.scheme,
        "method": scope.method,
        "http_version": scope.http_version,
        "path": scope.path,
        "raw_path": scope.raw_path,
        "query_string": scope.query_string,
        "path_params": _params(scope.path_params),
        "headers": tuple((header.name, header.value) for header in scope.headers),
        "client": (scope.client.host, scope.client.port),
        "server": (scope.server.host, scope.server.port),
        "root_path": scope.root_path,
        "subprotocols": tuple(scope.subprotocols),
    }


def _headers(headers: Headers) -> list[Any]:
    return [types.Header(name, value) for name, value in headers]


def _status(status: int) -> int:
    if not 200 <= status < 600:
        raise errors.InvalidReply(f"status {status} is not from 200 to 599")
    return status


def _response(response: tuple[int, Headers, bytes]) -> Any:
    status, headers, body = response
    return types.Response(_status(status), _headers(headers), body)


def _refused(error: Any) -> NoReturn:
    """Raises what a refusal of the host is in the SDK."""
    match error.value:
        case layer.SendError_InvalidName(text):
            raise errors.InvalidName(text)
        case layer.SendError_Forbidden(text):
            raise errors.Forbidden(text)
        case layer.SendError_InvalidContent(text):
            raise errors.InvalidContent(text)
        case layer.SendError_TooLarge(size):
            raise errors.TooLarge(size.bytes, size.limit)
        case reply.ReplyError_WrongEvent(text):
            raise errors.WrongEvent(text)
        case reply.ReplyError_Invalid(text):
            raise errors.InvalidReply(text)
        case layer.FlushError(index, channel, reason):
            kind = {"ChannelFull": "channel-full", "Unavailable": "unavailable"}.get(
                type(reason).__name__.partition("_")[2], "refused"
            )
            raise errors.FlushError(index, channel, kind, getattr(reason, "value", ""))  # type: ignore[arg-type]
        case store.StoreError_Invalid(text):
            raise errors.InvalidCall(text)
        case store.StoreError_Forbidden(text):
            raise errors.ForbiddenKeys(text)
        case store.StoreError_Unavailable(text):
            raise errors.StoreUnavailable(text)
        case outside.FetchError_Invalid(text):
            raise errors.InvalidFetch(text)
        case outside.FetchError_Forbidden(text):
            raise errors.ForbiddenFetch(text)
        case presence.PresenceError_Invalid(text):
            raise errors.InvalidPresence(text)
        case presence.PresenceError_Forbidden(text):
            raise errors.ForbiddenPresence(text)
        case presence.PresenceError_Unavailable(text):
            raise errors.PresenceUnavailable(text)
        case online.OnlineError_Invalid(text):
            raise errors.InvalidOnline(text)
        case online.OnlineError_Unavailable(text):
            raise errors.OnlineUnavailable(text)
        case history.HistoryError_Invalid(text):
            raise errors.InvalidHistory(text)
        case history.HistoryError_Forbidden(text):
            raise errors.ForbiddenHistory(text)
        case history.HistoryError_Unavailable(text):
            raise errors.HistoryUnavailable(text)
        case sessions.SessionError_Invalid(text):
            raise errors.InvalidSession(text)
        case sessions.SessionError_NoSession(text):
            raise errors.NoSession(text)
        case sessions.SessionError_Forbidden(text):
            raise errors.ForbiddenSession(text)
        case sessions.SessionError_Unavailable(text):
            raise errors.SessionsUnavailable(text)
        case other:
            raise errors.TimerError(str(getattr(other, "value", other)))


def _value(value: Any) -> wire.Value:
    return wire.Value(value.data.value, value.schema)


def _from_store(value: Any) -> wire.Value | None:
    return None if value is None else _value(value)


class ComponentHost:
    """The host that the component runs in."""

    def send(self, channel: str, content: bytes) -> None:
        try:
            layer.send(channel, content)
        except Err as error:
            _refused(error)

    def send_later(self, channel: str, content: bytes, delay: int) -> None:
        try:
            layer.send_later(channel, content, delay)
        except Err as error:
            _refused(error)

    def group_add(self, group: str, channel: str) -> None:
        try:
            layer.group_add(group, channel)
        except Err as error:
            _refused(error)

    def group_discard(self, group: str, channel: str) -> None:
        try:
            layer.group_discard(group, channel)
        except Err as error:
            _refused(error)

    def group_send(self, group: str, content: bytes) -> None:
        try:
            layer.group_send(group, content)
        except Err as error:
            _refused(error)

    def present(self, group: str, channel: str, key: str, facts: bytes) -> None:
        try:
            presence.present(group, channel, key, facts)
        except Err as error:
            _refused(error)

    def members(self, group: str, cursor: str | None, limit: int) -> wire.Members:
        try:
            page = presence.members(group, cursor, limit)
        except Err as error:
            _refused(error)
        return wire.Members([(member.key, member.facts) for member in page.members], page.count, page.cursor)

    def member_count(self, group: str) -> int:
        try:
            count: int = presence.member_count(group)
        except Err as error:
            _refused(error)
        return count

    def user_send(self, user: str, content: bytes) -> None:
        try:
            online.user_send(user, content)
        except Err as error:
            _refused(error)

    def user_close(self, user: str, code: int, reason: str) -> None:
        try:
            online.user_close(user, code, reason)
        except Err as error:
            _refused(error)

    def user_connections(self, user: str) -> int:
        try:
            count: int = online.user_connections(user)
        except Err as error:
            _refused(error)
        return count

    def history_read(self, group: str, after: str | None, limit: int) -> wire.HistoryPage:
        try:
            page = history.read(group, after, limit)
        except Err as error:
            _refused(error)
        messages = [wire.Remembered(message.position, message.content) for message in page.messages]
        return wire.HistoryPage(messages, page.position, page.complete, page.more)

    def history_join(self, group: str, after: str | None, latest: int) -> None:
        try:
            history.join(group, after, latest)
        except Err as error:
            _refused(error)

    def flush(self) -> None:
        try:
            layer.flush()
        except Err as error:
            _refused(error)

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        try:
            reply.respond(_response((status, headers, body)))
        except Err as error:
            _refused(error)

    def stream_start(self, status: int, headers: Headers) -> None:
        self._stream(types.StreamPart_Start(types.ResponseHead(_status(status), _headers(headers))))

    def stream_chunk(self, chunk: bytes) -> None:
        self._stream(types.StreamPart_Chunk(chunk))

    def stream_end(self) -> None:
        self._stream(types.StreamPart_End())

    def _stream(self, part: Any) -> None:
        try:
            reply.stream(part)
        except Err as error:
            _refused(error)

    def hold(self, timeout: int, fallback: tuple[int, Headers, bytes] | None) -> None:
        try:
            reply.hold(timeout, _response(fallback) if fallback else None)
        except Err as error:
            _refused(error)

    def accept(self, subprotocol: str | None, headers: Headers) -> None:
        try:
            reply.accept(types.Handshake(subprotocol, _headers(headers)))
        except Err as error:
            _refused(error)

    def send_frame(self, frame: wire.Frame) -> None:
        try:
            reply.send(types.Frame_Text(frame) if isinstance(frame, str) else types.Frame_Binary(frame))
        except Err as error:
            _refused(error)

    def close(self, code: int, reason: str) -> None:
        try:
            reply.close(code, reason)
        except Err as error:
            _refused(error)

    def get_scope(self) -> Scope | None:
        scope = connection.get_scope()
        return None if scope is None else Scope(**_facts(scope))

    def message_id(self) -> str | None:
        found: str | None = invocation.message_id()
        return found

    def attempt(self) -> int:
        found: int = invocation.attempt()
        return found

    def current_user(self) -> wire.User | None:
        user = users.current()
        return None if user is None else wire.User(user.id, user.claims, user.expires)

    def session_current(self) -> wire.Session | None:
        session = sessions.current()
        return None if session is None else wire.Session(session.key, session.expires)

    def session_begin(self) -> wire.Session:
        try:
            session = sessions.begin()
        except Err as error:
            _refused(error)
        return wire.Session(session.key, session.expires)

    def session_sign_in(self, user: str, claims: bytes) -> None:
        try:
            sessions.sign_in(user, claims)
        except Err as error:
            _refused(error)

    def session_sign_out(self) -> None:
        try:
            sessions.sign_out()
        except Err as error:
            _refused(error)

    def sessions_of(self, user: str) -> list[wire.SignedIn]:
        try:
            found = sessions.list_of(user)
        except Err as error:
            _refused(error)
        return [wire.SignedIn(it.id, it.is_own, it.created, it.used, it.expires, it.address, it.agent) for it in found]

    def session_end(self, user: str, id: str) -> None:
        try:
            sessions.end(user, id)
        except Err as error:
            _refused(error)

    def session_end_all(self, user: str, *, but_own: bool) -> None:
        try:
            sessions.end_all(user, but_own)
        except Err as error:
            _refused(error)

    def get_state(self) -> bytes | None:
        state: bytes | None = connection.get_state()
        return state

    def set_state(self, state: bytes) -> None:
        try:
            connection.set_state(state)
        except Err as error:
            if isinstance(error.value, connection.StateError_TooLarge):
                raise errors.StateTooLarge(len(state), error.value.value) from None
            raise errors.WrongEvent("only WebSocket events have a state") from None

    def log(self, level: str, message: str) -> None:
        log.log(_LEVELS[level], message)

    def store_get_many(self, keys: list[str]) -> list[wire.Value | None]:
        try:
            return [_from_store(value) for value in store.get_many(keys)]
        except Err as error:
            _refused(error)

    def store_get_many_of(self, module: str, keys: list[str]) -> list[wire.Value | None]:
        try:
            return [_from_store(value) for value in store.get_many_of(module, keys)]
        except Err as error:
            _refused(error)

    def store_set(self, key: str, value: wire.Value, time_to_live: int | None) -> None:
        data = store.Data_Bytes(value.data) if isinstance(value.data, bytes) else store.Data_Integer(value.data)
        try:
            store.set(key, store.Value(data, value.schema), time_to_live)
        except Err as error:
            _refused(error)

    def store_delete(self, key: str) -> None:
        try:
            store.delete(key)
        except Err as error:
            _refused(error)

    def store_add(self, key: str, delta: int) -> None:
        try:
            store.add(key, delta)
        except Err as error:
            _refused(error)

    def store_list(self, prefix: str, cursor: str | None, limit: int) -> wire.Page:
        try:
            page = store.list(prefix, cursor, limit)
        except Err as error:
            _refused(error)
        return wire.Page([(entry.key, _value(entry.value)) for entry in page.entries], page.cursor)

    def timer_set(self, key: str | None, channel: str, content: bytes, *, after: int | None, at: int | None) -> None:
        moment = timers.Moment_At(at) if at is not None else timers.Moment_After(after or 0)
        try:
            timers.set(key, channel, content, moment)
        except Err as error:
            _refused(error)

    def timer_cancel(self, key: str) -> None:
        try:
            timers.cancel(key)
        except Err as error:
            _refused(error)

    def fetch(self, request: wire.Fetch) -> None:
        it = request
        try:
            outside.fetch(
                outside.Request(it.method, it.url, it.headers, it.body, it.then, it.value, it.timeout, it.retries)
            )
        except Err as error:
            _refused(error)

    def fetch_now(self, asked: wire.Asked) -> tuple[int, Headers, bytes]:
        if outgoing is None:
            raise RuntimeError(
                "the build has not found fetch_now in the files of the module: write `cx.fetch_now`, with a dot"
            )
        answer: tuple[int, Headers, bytes] = outgoing.send(asked)
        return answer

    def now(self) -> float:
        return time.time()

    def variable(self, name: str) -> str | None:
        return os.environ.get(name)

    def path(self, path: str) -> str:
        return path


HOST = ComponentHost()
