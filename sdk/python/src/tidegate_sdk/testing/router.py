"""Which consumer a request belongs to, by the rules of the host."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import unquote_to_bytes

from tidegate_sdk.entries import Entry, Guards, HttpTrigger, WebsocketTrigger
from tidegate_sdk.scope import Scope

_PORT = re.compile(r":[0-9]*$")

Params = tuple[tuple[str, str], ...]
T = TypeVar("T", HttpTrigger, WebsocketTrigger)


@dataclass(frozen=True)
class Route:
    entry: Entry
    params: Params


@dataclass(frozen=True)
class WrongMethod:
    allowed: list[str]


class BadPath(ValueError):
    """A segment of the path is no UTF-8."""


def http(entries: Iterable[Entry], scope: Scope) -> Route | WrongMethod | None:
    """The consumer of a request."""
    found = _candidates(entries, scope, HttpTrigger)
    for wanted in (scope.method, "GET" if scope.method == "HEAD" else scope.method):
        for trigger, entry, captured in found:
            if wanted in trigger.methods:
                return Route(entry, _decoded(captured))
    allowed = sorted({method for trigger, _, _ in found for method in trigger.methods})
    if not allowed:
        return None
    return WrongMethod(allowed + (["HEAD"] if "GET" in allowed and "HEAD" not in allowed else []))


def websocket(entries: Iterable[Entry], scope: Scope) -> Route | None:
    """The consumer of a handshake."""
    for _, entry, captured in _candidates(entries, scope, WebsocketTrigger):
        return Route(entry, _decoded(captured))
    return None


def _decoded(captured: list[tuple[str, str]]) -> Params:
    try:
        return tuple((name, unquote_to_bytes(value).decode()) for name, value in captured)
    except UnicodeDecodeError:
        raise BadPath from None


def _candidates(entries: Iterable[Entry], scope: Scope, kind: type[T]) -> list[tuple[T, Entry, list[tuple[str, str]]]]:
    """Those of the best path, the more exact guards first."""
    ranked = []
    for entry in entries:
        if isinstance(entry.trigger, kind):
            captured = _capture(entry.trigger.path, scope.raw_path)
            if captured is not None:
                ranked.append((_rank(entry.trigger.path), entry.trigger, entry, captured))
    # The path is chosen first, as on the host: one whose guards do not hold hides the others.
    best = min((rank for rank, *_ in ranked), default=None)
    found = [it[1:] for it in ranked if it[0] == best and _hold(it[1].guards, scope)]
    return sorted(found, key=lambda it: it[0].guards.exactness, reverse=True)


def _hold(guards: Guards, scope: Scope) -> bool:
    def field(name: str) -> bytes | None:
        return next((value for known, value in scope.headers if known == name), None)

    if guards.host is not None:
        host = (field("host") or b"").decode(errors="replace")
        if not _is_for(guards.host, host):
            return False
    return all(field(name) == value.encode() for name, value in guards.headers)


def _is_for(wanted: str, host: str) -> bool:
    """Whether a host, with or without a port, is the one of a guard."""
    host = _PORT.sub("", host).removesuffix(".").lower()
    if wanted.startswith("*"):
        return len(host) > len(wanted) - 1 and host.endswith(wanted[1:])
    return host == wanted


def _rank(pattern: str) -> list[int]:
    """Of two paths that match, the one with the earlier literal segment is meant."""
    return [2 if it.startswith("{*") else 1 if it.startswith("{") else 0 for it in pattern.split("/")]


def _capture(pattern: str, raw_path: str) -> list[tuple[str, str]] | None:
    captured = []
    rest: str | None = raw_path
    for segment in pattern.split("/"):
        if rest is None:
            return None
        if segment.startswith("{*"):
            captured.append((segment[2:-1], rest))
            return captured if rest else None
        here, slash, after = rest.partition("/")
        if segment.startswith("{"):
            if not here:
                return None
            captured.append((segment[1:-1], here))
        elif segment != here and unquote_to_bytes(segment) != unquote_to_bytes(here):
            return None
        rest = after if slash else None
    return captured if rest is None else None
