"""A plugin of pytest that runs the tests of channels_redis for its core layer on ours, as they are.

    pytest -p theirs CHANNELS_REDIS_SDIST/tests/test_core.py

Their module `channels_redis.core` is ours here, and their server is one that is started.
"""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest
from servers import Redis

# Tests of the internals of channels_redis.
NOT_OURS = {
    "test_default_group_key_format": "the names of keys are those of docs/redis.md",
    "test_custom_group_key_format": "the names of keys are those of docs/redis.md",
    "test_receive_buffer_respects_capacity": "`receive_buffer` is an attribute of theirs;"
    " test_layer.py::test_messages_over_capacity_are_dropped holds ours to it",
}

# Tests that theirs fails, and says so.
PASSED_HERE = ("test_receive_cancel",)

redis = Redis()
layers: list[Any] = []


def pytest_configure(config: pytest.Config) -> None:
    from channels.exceptions import ChannelFull

    from tidegate.channels import ChannelLayer

    class RedisChannelLayer(ChannelLayer):
        def __init__(self, hosts: Any = ("redis://localhost:6379",), **settings: Any) -> None:
            ours = [host.replace("localhost:6379", f"127.0.0.1:{redis.port}") for host in hosts]
            # Their tests use one server with several numbers of hosts; here those may not meet.
            settings.setdefault("prefix", f"hosts-{len(ours)}")
            super().__init__(hosts=ours, **settings)
            layers.append(self)

    module = types.ModuleType("channels_redis.core")
    module.ChannelFull = ChannelFull  # type: ignore[attr-defined]
    module.RedisChannelLayer = RedisChannelLayer  # type: ignore[attr-defined]
    sys.modules["channels_redis"] = types.ModuleType("channels_redis")
    sys.modules["channels_redis.core"] = module


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        reason = NOT_OURS.get(item.name)
        if reason:
            item.add_marker(pytest.mark.skip(reason))
        if item.name in PASSED_HERE:
            item.own_markers = [mark for mark in item.own_markers if mark.name != "xfail"]


def pytest_unconfigure(config: pytest.Config) -> None:
    from asgiref.sync import async_to_sync

    for layer in layers:
        async_to_sync(layer.close)()
    redis.close()
