"""The servers outside, which a test plays."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tidegate_sdk.checks import checked_headers, need_int
from tidegate_sdk.codec import jsons
from tidegate_sdk.scope import first_header
from tidegate_sdk.testing.call import settle
from tidegate_sdk.testing.fetch_rules import with_value
from tidegate_sdk.testing.world import Waiting, World

_PASSING_STATUS = (429, 502, 503, 504)
_PASSING_REASONS = ("resolve", "connect", "timeout", "broken")


def waiting(world: World, method_and_url: str) -> Waiting:
    """The request that has waited longest of those with a method and a URL."""
    for it in world.fetches:
        if it.method_and_url == method_and_url:
            return it
    raise AssertionError(
        f"no request {method_and_url!r} waits; these do: {[it.method_and_url for it in world.fetches]}"
    )


class TestFetch:
    """A request of a consumer to a server outside. It waits until the test answers it."""

    __test__ = False

    def __init__(self, world: World, waiting: Waiting) -> None:
        self._world = world
        self._waiting = waiting

    @property
    def headers(self) -> list[tuple[str, str]]:
        """All header fields in order, values as text."""
        return [(name, value.decode(errors="replace")) for name, value in self._waiting.request.headers]

    def header(self, name: str) -> str | None:
        """The first header field of that name in any case, if it is text."""
        return first_header([(known.lower(), value) for known, value in self._waiting.request.headers], name)

    @property
    def body(self) -> bytes:
        """The body."""
        return self._waiting.request.body

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    def answer(
        self,
        status: int,
        body: str | bytes = b"",
        headers: Mapping[str, str | bytes] | Sequence[tuple[str, str | bytes]] | None = None,
    ) -> None:
        """Answers it. With 429, 502, 503 or 504 a request that has retries left waits again."""
        data = body.encode() if isinstance(body, str) else body
        fields = [(name.lower(), value) for name, value in checked_headers(headers or {})]
        told = {"result": "answered", "status": need_int("a status", status, 100, 999), "headers": fields, "body": data}
        self._conclude(status in _PASSING_STATUS, told)

    def answer_json(self, status: int, value: Any) -> None:
        """Answers it with a value as JSON, without header fields."""
        self.answer(status, jsons.dumps(value))

    def fail(self, reason: str) -> None:
        """Lets it fail for one of the reasons of `FetchFailure`.

        After `resolve`, `connect`, `timeout` and `broken` a request that has retries left waits again.
        """
        told = {"result": "failed", "reason": reason, "message": "as the test says"}
        self._conclude(reason in _PASSING_REASONS, told)

    def lose(self) -> None:
        """Ends the process that makes it. A request with retries waits again; of another one the result is unknown."""
        self._conclude(self._waiting.request.retries > 0, {"result": "unknown"})

    def _conclude(self, is_passing: bool, told: dict[str, Any]) -> None:
        world, it = self._world, self._waiting
        assert it in world.fetches, f"{it.method_and_url} is concluded already: ask for the next one with `fetch`"
        world.fetches.remove(it)
        if is_passing and it.attempts <= it.request.retries:
            world.fetches.append(replace(it, attempts=it.attempts + 1))
            return
        content = with_value(told | {"attempts": it.attempts}, it.request.value)
        world.send(it.request.then, content, it.correlation)
        settle(world)
