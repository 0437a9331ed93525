"""Routes, guards and names that decorators get, checked by the rules of the host."""

from __future__ import annotations

import inspect
import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any

from tidegate_sdk.entries import Guards, Schedule
from tidegate_sdk.errors import ConsumerError

_METHOD = re.compile(r"[A-Za-z0-9-]+")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_LABEL = re.compile(r"[A-Za-z0-9_-]{1,63}")
_NAME = re.compile(r"[A-Za-z0-9._-]*")
_NAME_MAX = 99


def place_of(thing: Any) -> str:
    """File and line of a function or class."""
    code = getattr(inspect.unwrap(thing), "__code__", None) if callable(thing) else None
    if code is not None:
        return f"{code.co_filename}:{code.co_firstlineno}"
    return f"{getattr(thing, '__module__', '?')}.{getattr(thing, '__qualname__', '?')}"


def fail(what: str) -> ConsumerError:
    """A mistake in what a decorator was given."""
    return ConsumerError(what)


def http_route(route: Any) -> tuple[tuple[str, ...], str]:
    """The methods and the path of `"GET|POST /users"`."""
    if not isinstance(route, str):
        raise fail('@http takes a route: @http("GET /hello")')
    methods, space, path = route.partition(" ")
    if not space:
        fix = f'say which method: "GET {route}"' if route.startswith("/") else "write a method, a space and a path"
        raise fail(f"@http({route!r}): {fix}")
    names = methods.split("|")
    for position, method in enumerate(names):
        if not _METHOD.fullmatch(method):
            raise fail(f'`{method}` is no method: write "GET /path" or "GET|POST /path"')
        if method != method.upper():
            raise fail(f"methods are in upper case: write `{method.upper()}`")
        if method in names[:position]:
            raise fail(f"`{method}` stands there twice: remove one")
    return tuple(names), path.lstrip()


def path_names(path: Any) -> tuple[str, ...]:
    """The names that a path captures, in order."""
    if not isinstance(path, str):
        raise fail('a path is text: "/chat/{room}"')
    if not path.startswith("/"):
        raise fail(f"a path starts with `/`: write `/{path}`")
    if "?" in path or "#" in path:
        raise fail("a path has no `?` or `#`: the query is read with `Query[...]` or `Request.query`")
    if any(letter.isspace() for letter in path):
        raise fail("a path has no white space: write it as `%20`")
    names: list[str] = []
    segments = path.split("/")[1:]
    for position, segment in enumerate(segments):
        inner = segment[1:-1]
        if not (segment.startswith("{") and segment.endswith("}")) or "{" in inner or "}" in inner:
            if "{" in segment or "}" in segment:
                raise fail(f"`{{name}}` stands for a whole segment of the path, and `{segment}` is not one")
            continue
        if inner.startswith("*") and position + 1 < len(segments):
            raise fail(f"`{{{inner}}}` takes the rest of the path: put it at the end")
        name = inner.lstrip("*")
        if not name.isidentifier():
            raise fail(f"`{{{inner}}}` does not name a parameter: use a name as in `{{room}}`")
        if name in names:
            raise fail(f"`{{{inner}}}` stands twice in the path: rename one")
        names.append(name)
    return tuple(names)


def guards(host: str | None, headers: Mapping[str, str] | None) -> Guards:
    """Checks guards. One that no request can meet is refused."""
    if host is not None:
        _check_host(host)
    fields: dict[str, str] = {}
    for name, value in (headers or {}).items():
        _check_field(name, value)
        if name.lower() in fields:
            raise fail(f"`{name}` is there twice: the first field counts, so name one value")
        fields[name.lower()] = value
    return Guards(host.lower() if host is not None else None, tuple(fields.items()))


def _check_host(text: str) -> None:
    name = text.removeprefix("*.")
    if len(name) <= 253 and all(_LABEL.fullmatch(label) for label in name.split(".")):
        return
    if text.startswith("[") and text.endswith("]") and _is_ipv6(text[1:-1]):
        return
    host, _, port = text.partition(":")
    if port.isdigit():
        raise fail(f'hosts are compared without the port: write "{host}"')
    raise fail(
        f'`{text}` is no host: write a name such as "api.example.com", or "*.example.com" for every name under it'
    )


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _check_field(name: str, value: str) -> None:
    if not _TOKEN.fullmatch(name):
        raise fail(f'`{name}` is no name of a header field: write one such as "x-version"')
    if "_" in name:
        dashed = name.replace("_", "-")
        raise fail(f'fields with `_` are ignored, since gateways confuse it with `-`: write "{dashed}"')
    if name.lower() == "host":
        raise fail('the host is a guard of its own: write host="api.example.com"')
    if value.strip() != value or any(ord(letter) < 32 or ord(letter) == 127 for letter in value):
        raise fail("no request has such a value: remove white space around it and control characters")


def channel_name(name: Any, retries: int | None) -> str:
    """The name of a channel, checked."""
    if not isinstance(name, str):
        raise fail('name the channel: @channel("thumbnails.make")')
    for prefix in ("http.", "websocket."):
        if name.startswith(prefix):
            raise fail(
                f"channels under `{prefix}` belong to the interface server: start the name with a word of your own"
            )
    if not 1 <= len(name.encode()) <= 99:
        raise fail(f"a channel name has 1 to 99 bytes, this one has {len(name.encode())}")
    if not _NAME.fullmatch(name):
        raise fail(f"a channel name has only a-z A-Z 0-9 . _ -, not {name!r}")
    if retries is not None:
        if not isinstance(retries, int) or not 1 <= retries <= 100:
            raise fail("a message is run again 1 to 100 times")
        if len(name) > 94:
            raise fail(
                f"with retries a channel name has at most 94 bytes, this one has {len(name)}: what cannot be done goes "
                "to the channel with `.dead` behind it"
            )
    return name


def check_options(options: Mapping[str, Any], decorator: str, known: str) -> None:
    """Refuses options that a decorator does not have."""
    if "resume" in options:
        raise fail(
            f"{decorator}: `resume` is for connections that stay open: give it to a consumer of WebSockets, as in "
            '@websocket("/chat", resume="2m")'
        )
    for name in options:
        raise fail(f"{decorator} has no option `{name}`; there is {known}")


def schedule_parts(expression: Any, zone: Any, missed: Any, overlap: Any) -> Schedule:
    """Checks a schedule as far as no host is needed."""
    if not isinstance(expression, str):
        raise fail('a schedule has an expression, which is text: @schedule("30 3 * * *", zone="Europe/Berlin")')
    what = f"@schedule({expression!r})"
    count = len(expression.split())
    if not expression.startswith("@") and count not in (5, 6):
        raise fail(
            f"{what}: an expression has 5 fields, minute, hour, day of the month, month and day of the week, or 6 with "
            f"seconds before them; this one has {count}"
        )
    if not isinstance(zone, str):
        raise fail(f'{what}: `zone` is text, a name of the IANA database such as "Europe/Berlin"')
    if missed not in ("once", "skip"):
        raise fail(
            f'{what}: `missed` is "once", which runs the last of the moments that were missed, or "skip", and not '
            f"{missed!r}"
        )
    if overlap not in (None, "skip", "queue"):
        raise fail(
            f'{what}: `overlap` is "skip", which leaves a moment out while the run of the one before is not over, or '
            f'"queue", which waits until that one is over, and not {overlap!r}'
        )
    return Schedule(expression, zone, missed, overlap)


def group_pattern(pattern: Any, what: str) -> str:
    """The name of a group in a declaration, or all whose names begin alike, checked."""
    if not isinstance(pattern, str):
        raise fail(f'{what} names groups, which are texts, as in "room.*", and not {pattern!r}')
    rest = pattern.removesuffix("*")
    stands = rest in ("", pattern) or rest.endswith(".")
    if not pattern or not stands or not _NAME.fullmatch(rest):
        raise fail(
            f"{what}: {pattern!r} names no groups: write the name of a group without the module's in front, of "
            "a-z A-Z 0-9 . _ -, or `*` in place of all behind its last dot"
        )
    if len(pattern) > _NAME_MAX:
        raise fail(f"{what}: the name of a group has at most {_NAME_MAX} bytes, {pattern[:20]!r}... has {len(pattern)}")
    return pattern


def check_plain(function: Callable[..., Any], what: str) -> None:
    """A consumer runs to its end in one call."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise fail(f"{what} is `async`, and nothing awaits it: a consumer is a plain function, written with `def`")
    if inspect.isgeneratorfunction(function):
        raise fail(f"{what} has `yield`: stream with cx.start_stream, cx.write and `return cx.end_stream()`")
