"""Shared by tests: a server, and layers and clients that do not meet those of other tests."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from servers import Redis

from tidegate import Client
from tidegate.channels import ChannelLayer

# How long something may take that must happen.
PATIENCE_SECONDS = 20.0

if not settings.configured:
    # Consumers of Channels look at the databases of the site.
    settings.configure(DATABASES={}, SECRET_KEY="for tests alone")

_numbers = itertools.count()


@pytest.fixture(scope="session")
def redis() -> Iterator[Redis]:
    """A server for all tests that leave it as it is."""
    server = Redis()
    yield server
    server.close()


@pytest.fixture
def prefix() -> str:
    """A prefix that no other test has."""
    return f"test-{next(_numbers)}"


@pytest.fixture
async def make_client(redis: Redis, prefix: str) -> AsyncIterator[Callable[..., Client]]:
    """Makes clients, which are processes of their own to each other, and closes them."""
    made: list[Client] = []

    def make(**settings: Any) -> Client:
        made.append(Client(settings.pop("url", redis.url()), **{"prefix": prefix, **settings}))
        return made[-1]

    yield make
    for client in made:
        await client.close()


@pytest.fixture
def make_layer(redis: Redis, prefix: str) -> Iterator[Callable[..., ChannelLayer]]:
    """Makes layers, which are processes of their own to each other, and closes them."""
    made: list[ChannelLayer] = []

    def make(**settings: Any) -> ChannelLayer:
        if "hosts" not in settings:
            settings.setdefault("url", redis.url())
        made.append(ChannelLayer(**{"prefix": prefix, **settings}))
        return made[-1]

    yield make
    for layer in made:
        ending = layer._background.stop()
        if ending is not None:
            ending.result(PATIENCE_SECONDS)


async def eventually(holds: Callable[[], Awaitable[bool] | bool]) -> None:
    """Waits until something holds."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        outcome = holds()
        if outcome if isinstance(outcome, bool) else await outcome:
            return
        assert time.monotonic() < until, f"{holds} does not hold"
        await asyncio.sleep(0.01)


async def must(what: Awaitable[Any]) -> Any:
    """Waits for something that must come."""
    return await asyncio.wait_for(what, PATIENCE_SECONDS)


async def nothing(client: Any, channel: str) -> bool:
    """Whether a message that is sent now is the next one of a channel: then no other waits there."""
    await client.send(channel, {"type": "marker"})
    return bool(await must(client.receive(channel)) == {"type": "marker"})
