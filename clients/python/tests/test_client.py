"""The client: channels, groups and delays, over a real server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
import redis as redis_py
from conftest import eventually, must, nothing
from servers import Redis

from tidegate import ChannelFull, Client, Closed, ForeignChannel, GroupSent, SyncClient

Make = Callable[..., Client]


async def test_messages_of_a_channel_come_in_order_whoever_sends(make_client: Make) -> None:
    sender, receiver = make_client(), make_client()
    for number in range(20):
        await sender.send("jobs", {"n": number})
    assert [await must(receiver.receive("jobs")) for _ in range(20)] == [
        {"n": n} for n in range(20)
    ]


async def test_a_message_goes_to_one_of_several_processes(make_client: Make) -> None:
    sender, readers = make_client(), [make_client() for _ in range(3)]
    got: list[int] = []

    async def read(client: Client) -> None:
        while True:
            got.append((await client.receive("jobs"))["n"])

    reading = [asyncio.create_task(read(client)) for client in readers]
    for number in range(90):
        await sender.send("jobs", {"n": number})
    await eventually(lambda: len(got) >= 90)
    for task in reading:
        task.cancel()
    assert sorted(got) == list(range(90))


async def test_a_receiver_that_waits_is_woken(make_client: Make) -> None:
    sender, receiver = make_client(), make_client()
    for _ in range(3):
        waiting = asyncio.create_task(receiver.receive("quiet"))
        await asyncio.sleep(0)
        await sender.send("quiet", {"type": "tick"})
        assert await must(waiting) == {"type": "tick"}


@pytest.mark.parametrize("is_own", [True, False])
async def test_a_cancelled_receive_loses_nothing(make_client: Make, is_own: bool) -> None:
    client = make_client()
    channel = await client.new_channel() if is_own else "named"
    sent = 200
    got: list[int] = []
    for number in range(sent):
        task = asyncio.create_task(client.receive(channel))
        await client.send(channel, {"n": number})
        for _ in range(number % 7):
            await asyncio.sleep(0)
        task.cancel()
        [outcome] = await asyncio.gather(task, return_exceptions=True)
        if isinstance(outcome, dict):
            got.append(outcome["n"])
        # The test receives the missing messages now and then, so that the channel does not fill.
        while number % 50 == 49 and len(got) <= number:
            got.append((await must(client.receive(channel)))["n"])
    assert got == list(range(sent))
    assert await nothing(client, channel)


async def test_a_channel_of_a_process_is_received_there_only(make_client: Make) -> None:
    one, other = make_client(), make_client()
    channel = await one.new_channel()
    assert await other.send(channel, {"type": "hello"})
    assert await must(one.receive(channel)) == {"type": "hello"}
    with pytest.raises(ForeignChannel, match="another process"):
        await other.receive(channel)


async def test_to_a_process_that_is_gone_nothing_is_sent(make_client: Make) -> None:
    one, other = make_client(), make_client()
    channel = await one.new_channel()
    await one.close()
    assert not await other.send(channel, {"type": "hello"})
    assert not await other.group_add("group", channel)
    assert await other.group_send("group", {"type": "hello"}) == GroupSent(0, 0)
    with pytest.raises(Closed):
        await one.receive(channel)


async def test_a_full_channel_says_so_and_has_room_again(make_client: Make) -> None:
    client = make_client(capacity=3, channel_capacity={"tiny*": 1})
    await client.send("tiny", {})
    with pytest.raises(ChannelFull, match="channel tiny is full: it holds 1"):
        await client.send("tiny", {})
    for channel in ("named", await client.new_channel()):
        for _ in range(3):
            await client.send(channel, {})
        with pytest.raises(ChannelFull, match="it holds 3"):
            await client.send(channel, {})
        await must(client.receive(channel))
        await client.send(channel, {})


async def test_the_inbox_of_a_process_is_bounded_and_has_room_again(make_client: Make) -> None:
    reader = make_client(inbox_bytes=100_000, capacity=1_000)
    channel = await reader.new_channel()
    sender = make_client(inbox_bytes=100_000)
    for number in range(300):
        await eventually(lambda: _sent(sender, channel, {"n": number, "text": "x" * 2_000}))
        assert (await must(reader.receive(channel)))["n"] == number


async def _sent(sender: Client, channel: str, message: dict[str, object]) -> bool:
    try:
        return await sender.send(channel, message)
    except ChannelFull:
        return False


async def test_what_expires_is_not_received(make_client: Make) -> None:
    client = make_client(expiry=0.2)
    for channel in ("named", await client.new_channel()):
        await client.send(channel, {"n": 1})
        began = time.monotonic()
        await eventually(lambda: time.monotonic() - began > 0.3)
        await client.send(channel, {"n": 2})
        assert await must(client.receive(channel)) == {"n": 2}


async def test_a_delayed_message_comes_when_it_is_due(make_client: Make) -> None:
    sender, receiver = make_client(), make_client()
    for channel in ("named", await receiver.new_channel()):
        began = time.monotonic()
        await sender.send_later(channel, {"type": "later"}, 0.5)
        assert await must(receiver.receive(channel)) == {"type": "later"}
        assert time.monotonic() - began >= 0.49


async def test_as_many_messages_are_delayed_as_may(make_client: Make) -> None:
    client = make_client(delayed_messages=1)
    await client.send_later("named", {}, 60)
    with pytest.raises(ChannelFull, match="1 messages wait"):
        await client.send_later("named", {}, 60)


async def test_a_group_reaches_all_members_and_none_that_left(make_client: Make) -> None:
    one, other = make_client(), make_client()
    channels = [await one.new_channel() for _ in range(3)]
    members = [*channels, await other.new_channel(), "named"]
    for channel in members:
        # By one process, whoever owns the channel.
        await one.group_add("room", channel)
    assert await other.group_send("room", {"n": 1}) == GroupSent(3, 0)
    for owner, channel in zip((one, one, one, other, other), members, strict=True):
        assert await must(owner.receive(channel)) == {"n": 1}
    for channel in members[1:]:
        await one.group_discard("room", channel)
    await must(_alone(other, one, members))


async def _alone(sender: Client, owner: Client, members: list[str]) -> None:
    while await sender.group_send("room", {"n": 2}) != GroupSent(1, 0):
        await owner.receive(members[0])
    assert await owner.receive(members[0]) == {"n": 2}
    for channel in members[1:3]:
        assert await nothing(owner, channel)


async def test_members_get_messages_of_their_own(make_client: Make) -> None:
    client = make_client()
    channels = [await client.new_channel() for _ in range(2)]
    for channel in channels:
        await client.group_add("room", channel)
    await client.group_send("room", {"list": [1]})
    first, second = [await must(client.receive(channel)) for channel in channels]
    first["list"].append(2)
    assert second == {"list": [1]}


async def test_messages_of_one_sender_keep_their_order_over_channel_and_group(
    make_client: Make,
) -> None:
    client = make_client()
    channel = await client.new_channel()
    await client.group_add("room", channel)
    for number in range(0, 40, 2):
        await client.group_send("room", {"n": number})
        await client.send(channel, {"n": number + 1})
    assert [(await must(client.receive(channel)))["n"] for _ in range(40)] == list(range(40))


async def test_a_membership_ends_with_its_time(make_client: Make) -> None:
    client = make_client(group_expiry=0.2)
    channel = await client.new_channel()
    for member in (channel, "named"):
        await client.group_add("room", member)
    began = time.monotonic()
    await eventually(lambda: time.monotonic() - began > 0.3)
    await client.group_send("room", {"n": 1})
    for member in (channel, "named"):
        assert await nothing(client, member)


async def test_members_without_room_are_left_out_and_counted(make_client: Make) -> None:
    client = make_client(capacity=1)
    await client.group_add("room", "full")
    await client.group_add("room", "free")
    await client.send("full", {})
    assert await client.group_send("room", {"n": 1}) == GroupSent(1, 1)


async def test_joining_and_leaving_at_once_ends_as_the_last_one_says(make_client: Make) -> None:
    client = make_client()
    channels = [await client.new_channel() for _ in range(4)]
    for _ in range(25):
        for channel in channels:
            await asyncio.gather(
                client.group_add("room", channel), client.group_discard("room", channel)
            )
        await client.group_add("room", channels[0])
        assert await client.group_send("room", {"n": 1}) == GroupSent(1, 0)
        assert await must(client.receive(channels[0])) == {"n": 1}
        await client.group_discard("room", channels[0])


async def test_nothing_is_left_of_a_process_that_ended(
    make_client: Make, redis: Redis, prefix: str
) -> None:
    client = make_client()
    await client.group_add("room", await client.new_channel())
    await client.close()
    with redis_py.Redis(port=redis.port) as server:
        left = {key.decode().partition("}:")[2] for key in server.keys(f"{prefix}:*")}
    assert left <= {"layout", "epoch", "turn", "readers"}


async def test_many_calls_at_once_all_have_answers(make_client: Make) -> None:
    client = make_client(capacity=2_000)
    await asyncio.gather(*(client.send("many", {"n": number}) for number in range(1_500)))
    got = await must(asyncio.gather(*(client.receive("many") for _ in range(1_500))))
    assert sorted(message["n"] for message in got) == list(range(1_500))


def test_a_program_without_event_loop_does_the_same(redis: Redis, prefix: str) -> None:
    with SyncClient(redis.url(), prefix=prefix) as client:
        channel = client.new_channel()
        client.group_add("room", channel)
        assert client.group_send("room", {"n": 1}) == GroupSent(1, 0)
        assert client.receive(channel, timeout=20) == {"n": 1}
        with pytest.raises(TimeoutError):
            client.receive(channel, timeout=0.05)
        client.send(channel, {"n": 2})
        assert client.receive(channel, timeout=20) == {"n": 2}
        client.send_later("named", {"n": 3}, 0.01)
        assert client.receive("named", timeout=20) == {"n": 3}
        client.group_discard("room", channel)
        assert client.group_send("room", {"n": 4}) == GroupSent(0, 0)
