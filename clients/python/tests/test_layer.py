"""The layer for Django Channels: what channels_redis holds its core layer to, and what is different here."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from channels.consumer import AsyncConsumer
from channels.exceptions import ChannelFull, MessageTooLarge
from channels.testing import ApplicationCommunicator
from conftest import eventually, must, nothing

from tidegate.channels import ChannelLayer

Make = Callable[..., ChannelLayer]


async def test_a_message_comes_as_it_was_sent(make_layer: Make) -> None:
    layer = make_layer()
    for channel in ("test-channel-1", await layer.new_channel()):
        message = {
            "type": "test.message",
            "text": "Ahoy-hoy!",
            "bytes": b"\xff",
            "list": [1, None, True],
        }
        await layer.send(channel, message)
        assert await must(layer.receive(channel)) == message


async def test_a_full_channel_raises_the_exception_of_channels(make_layer: Make) -> None:
    layer = make_layer(capacity=3)
    for channel in ("test-channel-1", await layer.new_channel()):
        for _ in range(3):
            await layer.send(channel, {"type": "test.message"})
        with pytest.raises(ChannelFull):
            await layer.send(channel, {"type": "test.message"})


async def test_capacities_by_pattern_are_as_in_channels(make_layer: Make) -> None:
    patterns = {"one": 1, "http.response!*": 7, re.compile(r"^chat\..+!.+"): 2, "specific.*!*": 3}
    layer = make_layer(capacity=5, channel_capacity=patterns)
    expected = {
        await layer.new_channel(): 3,
        await layer.new_channel("chat"): 2,
        "one": 1,
        "two": 5,
    }
    for channel, capacity in expected.items():
        for _ in range(capacity):
            await layer.send(channel, {"type": "test.message"})
        with pytest.raises(ChannelFull):
            await layer.send(channel, {"type": "test.message"})


async def test_messages_over_capacity_are_dropped(
    make_layer: Make, caplog: pytest.LogCaptureFixture
) -> None:
    layer = make_layer(capacity=3)
    channels = [await layer.new_channel(), await layer.new_channel("channel_2")]
    for channel in channels:
        await layer.group_add("test-group", channel)
    await layer.send(channels[1], {"n": 0})
    caplog.set_level("INFO", "tidegate")
    for number in range(1, 4):
        await layer.group_send("test-group", {"n": number})
    assert [(await must(layer.receive(channels[0])))["n"] for _ in range(3)] == [1, 2, 3]
    assert [(await must(layer.receive(channels[1])))["n"] for _ in range(3)] == [0, 1, 2]
    assert await nothing(layer, channels[1])
    told = {record.getMessage() for record in caplog.records}
    assert told == {"1 of 2 channels over capacity in group test-group"}


async def test_a_group_send_ignores_full_channels(make_layer: Make) -> None:
    layer = make_layer(capacity=1)
    await layer.group_add("test-group", "test-gr-chan-1")
    for _ in range(3):
        await layer.group_send("test-group", {"type": "message.1"})


async def test_names_of_channels_have_a_prefix_and_never_repeat(make_layer: Make) -> None:
    import random

    layers = make_layer(), make_layer()
    assert layers[0].client_prefix != layers[1].client_prefix
    names = set()
    for _ in range(10):
        random.seed(1)
        names.add(await layers[0].new_channel())
    assert len(names) == 10
    assert all(name.startswith(f"specific.{layers[0].client_prefix}!") for name in names)


def test_async_to_sync_may_be_called_again_and_again(make_layer: Make) -> None:
    layer = make_layer()
    channel = async_to_sync(layer.new_channel)()
    for number in range(5):
        async_to_sync(layer.group_add)("room", channel)
        async_to_sync(layer.group_send)("room", {"n": number})
        assert async_to_sync(layer.receive)(channel) == {"n": number}


def test_several_event_loops_receive_at_once(make_layer: Make) -> None:
    layer = make_layer()
    channels = [async_to_sync(layer.new_channel)() for _ in range(4)]
    for channel in channels:
        async_to_sync(layer.group_add)("room", channel)
    started, got = threading.Barrier(5), {}

    async def receive(channel: str) -> None:
        receiving = asyncio.ensure_future(layer.receive(channel))
        await asyncio.sleep(0)
        started.wait(20)
        got[channel] = await must(receiving)

    threads = [
        threading.Thread(target=asyncio.run, args=(receive(channel),)) for channel in channels
    ]
    for thread in threads:
        thread.start()
    started.wait(20)
    async_to_sync(layer.group_send)("room", {"n": 1})
    for thread in threads:
        thread.join(20)
    assert got == {channel: {"n": 1} for channel in channels}


@pytest.mark.parametrize("is_own", [True, False])
def test_a_loop_that_is_closed_takes_no_message_with_it(make_layer: Make, is_own: bool) -> None:
    layer = make_layer()
    channel = async_to_sync(layer.new_channel)() if is_own else "named"
    loop, left_behind = asyncio.new_event_loop(), list[Any]()

    async def begin() -> None:
        left_behind.append(loop.create_task(layer.receive(channel)))
        for _ in range(100):
            await asyncio.sleep(0.001)

    loop.run_until_complete(begin())
    loop.close()
    # asyncio would say that it never ends, as is meant.
    left_behind[0]._log_destroy_pending = False
    async_to_sync(layer.send)(channel, {"n": 1})
    assert async_to_sync(must)(layer.receive(channel)) == {"n": 1}
    gc.collect()


async def test_a_consumer_is_dispatched_by_the_type_of_a_group_message(make_layer: Make) -> None:
    from channels.layers import channel_layers

    layer = make_layer()
    channel_layers.set("default", layer)
    done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    class Consumer(AsyncConsumer):  # type: ignore[misc]
        async def test_start(self, event: dict[str, Any]) -> None:
            await layer.group_add("room", self.channel_name)
            await layer.group_send("room", {"type": "chat.message", "text": "hi"})

        async def chat_message(self, event: dict[str, Any]) -> None:
            done.set_result(event)

    communicator = ApplicationCommunicator(Consumer(), {"type": "test"})
    await communicator.send_input({"type": "test.start"})
    assert await must(done) == {"type": "chat.message", "text": "hi"}
    communicator.stop(exceptions=False)


async def test_names_of_groups_are_mapped(make_layer: Make) -> None:
    site = make_layer(groups={"chat_": "chat.", "chat_log_": "log."})
    plain = make_layer()
    channel = await plain.new_channel()
    for theirs, ours in [("chat_lobby", "chat.lobby"), ("chat_log_1", "log.1"), ("other", "other")]:
        await plain.group_add(ours, channel)
        await site.group_send(theirs, {"group": theirs})
        assert await must(plain.receive(channel)) == {"group": theirs}
    own = await site.new_channel()
    await site.group_add("chat_lobby", own)
    await plain.group_send("chat.lobby", {"type": "chat.message"})
    assert await must(site.receive(own)) == {"type": "chat.message"}
    await site.group_discard("chat_lobby", own)
    await plain.group_send("chat.lobby", {"type": "chat.message"})
    assert await nothing(site, own)


async def test_a_large_message_raises_the_exception_of_channels(make_layer: Make) -> None:
    layer = make_layer(message_bytes=1_000)
    for sending in (
        layer.send("a", {"text": "x" * 1_000}),
        layer.group_send("a", {"text": "x" * 1_000}),
    ):
        with pytest.raises(MessageTooLarge, match="and 1000 are allowed"):
            await sending


async def test_flush_deletes_messages_and_memberships(make_layer: Make) -> None:
    layer, other = make_layer(), make_layer()
    channel = await layer.new_channel()
    await layer.send("named", {"n": 1})
    await layer.send(channel, {"n": 1})
    await layer.group_add("room", channel)
    await other.flush()
    await layer.flush()
    await layer.group_send("room", {"n": 2})
    for name in ("named", channel):
        assert await nothing(layer, name)


async def test_after_close_the_layer_begins_anew(make_layer: Make) -> None:
    layer = make_layer()
    before = await layer.new_channel()
    await layer.close()
    with pytest.raises(AssertionError, match="another process"):
        await layer.receive(before)
    channel = await layer.new_channel()
    await layer.send(channel, {"n": 1})
    assert await must(layer.receive(channel)) == {"n": 1}
    await layer.close_pools()


def test_a_forked_child_has_channels_of_its_own(make_layer: Make) -> None:
    layer = make_layer()
    channel = async_to_sync(layer.new_channel)()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            own = async_to_sync(layer.new_channel)()
            async_to_sync(layer.send)(channel, {"from": "child", "channel": own})
            got = async_to_sync(must)(layer.receive(own))
            try:
                async_to_sync(layer.receive)(channel)
            except AssertionError:
                status = 0 if got == {"from": "parent"} else 2
            os.write(write, str(got).encode())
        finally:
            os._exit(status)
    message = async_to_sync(must)(layer.receive(channel))
    assert message["from"] == "child"
    async_to_sync(layer.send)(message["channel"], {"from": "parent"})
    _, status = os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read) as told:
        assert os.waitstatus_to_exitcode(status) == 0, told.read()


async def test_what_nobody_receives_is_not_kept_for_ever(make_layer: Make) -> None:
    layer = make_layer(expiry=0.1, lease=1)
    for _ in range(50):
        await layer.send(await layer.new_channel(), {"n": 1})
    mailboxes = layer._client.mailboxes
    await eventually(lambda: not mailboxes._boxes)
