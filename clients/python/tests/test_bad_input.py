"""Names, values and settings that Channels takes and this layer does not: mapped, or refused with the reason."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest
from channels.exceptions import InvalidChannelLayerError
from conftest import must

from tidegate import Client, InvalidMessage, InvalidName
from tidegate.channels import ChannelLayer

LONG = "x" * 99


class Color(enum.IntEnum):
    RED = 3


class Text(str):
    pass


def nested(depth: int) -> dict[str, Any]:
    message: dict[str, Any] = {}
    for _ in range(depth - 1):
        message = {"a": message}
    return message


MAPPED = [
    ("a tuple is a list", {"a": (1, (2,))}, {"a": [1, [2]]}),
    ("a bytearray is bytes", {"a": bytearray(b"x")}, {"a": b"x"}),
    ("a memoryview is bytes", {"a": memoryview(b"x")}, {"a": b"x"}),
    ("an enum of integers is its number", {"a": Color.RED}, {"a": 3}),
    ("a kind of text is text", {"a": Text("x")}, {"a": "x"}),
    ("a read-only mapping is a dict", MappingProxyType({"a": 1}), {"a": 1}),
    ("the largest integers", {"a": [2**63 - 1, -(2**63)]}, {"a": [2**63 - 1, -(2**63)]}),
    ("no type", {}, {}),
    ("the key that channels_redis reserves", {"__asgi_channel__": "x"}, {"__asgi_channel__": "x"}),
    ("32 deep", nested(32), nested(32)),
    ("special floats", {"a": float("inf")}, {"a": float("inf")}),
    ("text beyond ASCII, zero bytes", {"ä\0": "🌊\0"}, {"ä\0": "🌊\0"}),
]

REFUSED = [
    (["no dict"], "a message is a dict, and this is a list"),
    ("text", "a message is a dict, and this is a str"),
    (
        {"a": 2**63},
        r"message\['a'\] is 9223372036854775808, beyond 64 bits with sign; send it as text",
    ),
    ({"a": -(2**63) - 1}, "beyond 64 bits"),
    ({"a": {7: "x"}}, r"message\['a'\] has the key 7, an int; keys are text: use '7'"),
    ({None: 1}, "message has the key None, a NoneType"),
    ({b"a": 1}, "a bytes; keys are text"),
    ({"a": datetime.datetime(2026, 1, 1)}, r"message\['a'\] is a datetime; .* send .isoformat\(\)"),
    ({"a": datetime.date(2026, 1, 1)}, "isoformat"),
    ({"a": datetime.timedelta(1)}, "total_seconds"),
    ({"a": [1, decimal.Decimal(1)]}, r"message\['a'\]\[1\] is a Decimal; .* send str\(\) of it"),
    ({"a": uuid.uuid4()}, "is an UUID|is a UUID"),
    ({"a": {1, 2}}, "send a sorted list"),
    ({"a": object()}, "send the values that it is made of"),
    ({"a": 1j}, "two floats"),
    ({"a": "\ud800"}, "surrogate"),
    ({"\ud800": 1}, "surrogate"),
    (nested(33), "nested deeper than 32"),
]

BAD_NAMES: list[tuple[Any, str]] = [
    ("", "a channel name is empty"),
    (LONG + "x", "it has 100"),
    ("a b", "it has ' '"),
    ("ä", "it has 'ä'"),
    # Channels takes these: `$` also matches before a last line break, and `\d` more digits than ten.
    ("a\n", r"it has '\\n'"),
    ("chat٣", "it has '٣'"),
    ("specific.a!", "both parts filled"),
    ("=+135!", "both parts filled"),
    ("!local", "both parts filled"),
    ("a!b!c", "both parts filled"),
    ("a!ö", "both parts filled"),
    (7, "it is not a text"),
    (None, "it is not a text"),
    (b"bytes", "it is not a text"),
    ("http.request", "belongs to interface servers"),
    ("websocket.receive.chat", "belongs to interface servers"),
]

GOOD_NAMES = ["a", LONG, "A.b_c-9", "...", "https.request"]

CONFIGS = [
    ({"url": "localhost:6379"}, "no scheme"),
    ({"url": "http://localhost"}, "a part of it cannot be read"),
    ({"url": "redis+ring://a"}, "scheme is not known"),
    ({"url": "redis+sentinel://a:1"}, "name of the master is missing"),
    ({"url": "redis+cluster://a:1/3"}, "database 0 only"),
    ({"url": "redis://:hush@host:port/0"}, "cannot be read"),
    ({"hosts": "localhost"}, "it is a list such as"),
    ({"hosts": []}, "it is a list such as"),
    ({"hosts": [7]}, "is not a URL, a pair"),
    ({"hosts": ["redis://a"], "url": "redis://a"}, "both `url` and `hosts`"),
    ({"hosts": [{"address": "redis://a", "retry": 1}]}, "hosts has 'retry'"),
    (
        {"hosts": [{"sentinels": [("a", 1)], "master_name": "m", "sentinel_kwargs": {}}]},
        "sentinel_username",
    ),
    ({"symmetric_encryption_keys": ["x"]}, "could not read encrypted messages.*rediss"),
    ({"serializer_format": "json"}, "MessagePack"),
    ({"random_prefix_length": 12}, "leave it out"),
    ({"on_disconnect": "redis.disconnect"}, "set `on_gap`"),
    ({"nonsense": 1}, "there is no setting 'nonsense'; there are capacity, channel_capacity"),
    ({"capacity": 0}, "capacity is 0"),
    ({"capacity": "100"}, "capacity is '100'"),
    ({"expiry": -1}, "expiry is -1"),
    ({"lease": 0.5}, "lease is 0.5; it is a number, at least 1"),
    ({"partitions": 0}, "partitions is 0"),
    ({"prefix": "a{b}"}, "without braces"),
    ({"channel_capacity": {"a": 0}}, "a number above 0"),
    ({"groups": {"": "x"}}, "it is a text for a text"),
]

HOSTS = [
    ([("localhost", 6379)], "redis://localhost:6379/0"),
    (["redis://a:1/2", "rediss://b:2"], "redis://a:1/2,rediss://b:2"),
    ([{"host": "a", "port": 7, "db": 3}], "redis://a:7/3"),
    ([{"host": "a", "password": "p@:/", "db": 1}], "redis://:p%40%3A%2F@a:6379/1"),
    (
        [{"address": "rediss://user@h:1", "ssl_cert_reqs": None}],
        "rediss://user@h:1?ssl_cert_reqs=none",
    ),
    ([{"address": ("h", 5)}], "redis://h:5/0"),
    (
        [{"sentinels": [("a", 1), ("b", 2)], "master_name": "m", "password": "p", "db": 4}],
        "redis+sentinel://:p@a:1,b:2/m/4",
    ),
]


@pytest.mark.parametrize(
    ("sent", "received"), [case[1:] for case in MAPPED], ids=[c[0] for c in MAPPED]
)
async def test_what_is_mapped(
    make_layer: Callable[..., ChannelLayer], sent: Any, received: Any
) -> None:
    layer = make_layer()
    await layer.send("named", sent)
    assert await must(layer.receive("named")) == received


@pytest.mark.parametrize(("message", "reason"), REFUSED)
async def test_what_is_refused(
    make_client: Callable[..., Client], message: Any, reason: str
) -> None:
    client = make_client()
    for sending in (
        client.send("named", message),
        client.group_send("room", message),
        client.send_later("named", message, 1),
    ):
        with pytest.raises(InvalidMessage, match=reason):
            await sending
    with pytest.raises(TypeError, match=reason):
        client.encode(message)


@pytest.mark.parametrize(("name", "reason"), BAD_NAMES)
async def test_a_bad_name_raises_a_type_error_as_in_channels(
    make_layer: Callable[..., ChannelLayer], name: Any, reason: str
) -> None:
    layer = make_layer()
    for calling in (layer.send(name, {}), layer.receive(name), layer.group_add("room", name)):
        with pytest.raises(InvalidName, match=reason):
            await calling
    if name and "!" not in str(name) and not str(name).startswith(("http.", "websocket.")):
        group_reason = reason.replace("channel", "group")
        for calling in (
            layer.group_send(name, {}),
            layer.group_add(name, "a"),
            layer.group_discard(name, "a"),
        ):
            with pytest.raises(TypeError, match=group_reason):
                await calling


async def test_groups_of_users_and_sessions_are_those_of_the_host(
    make_layer: Callable[..., ChannelLayer],
) -> None:
    layer = make_layer()
    for group in ("_user.0", "_user.", "_session.0"):
        for calling in (
            layer.group_send(group, {}),
            layer.group_add(group, "a"),
            layer.group_discard(group, "a"),
        ):
            with pytest.raises(InvalidName, match="one of the host's own"):
                await calling
    await layer.group_add("_users", "a")


@pytest.mark.parametrize("name", GOOD_NAMES)
async def test_a_good_name_is_taken(make_layer: Callable[..., ChannelLayer], name: str) -> None:
    layer = make_layer()
    await layer.send(name, {"n": 1})
    assert await must(layer.receive(name)) == {"n": 1}
    await layer.group_add(name, name)
    await layer.group_send(name, {"n": 2})
    assert await must(layer.receive(name)) == {"n": 2}


async def test_a_prefix_of_new_channels_has_room_for_24(
    make_layer: Callable[..., ChannelLayer],
) -> None:
    layer = make_layer()
    channel = await layer.new_channel("x" * 24)
    await layer.send(channel, {"n": 1})
    assert await must(layer.receive(channel)) == {"n": 1}
    with pytest.raises(InvalidName, match="has 25 characters, and 24 are allowed"):
        await layer.new_channel("x" * 25)
    with pytest.raises(InvalidName):
        await layer.new_channel("a!b")


@pytest.mark.parametrize(("settings", "reason"), CONFIGS)
def test_a_wrong_setting_raises_the_exception_of_channels(settings: Any, reason: str) -> None:
    with pytest.raises(InvalidChannelLayerError, match=reason) as error:
        ChannelLayer(**settings)
    assert "hush" not in str(error.value)


@pytest.mark.parametrize(("hosts", "url"), HOSTS)
def test_hosts_of_channels_redis_are_understood(hosts: Any, url: str) -> None:
    assert ChannelLayer(hosts=hosts)._url == url


async def test_what_is_no_message_is_dropped(
    make_client: Callable[..., Client], redis: Any, prefix: str
) -> None:
    import redis as redis_py

    client = make_client()
    channel = await client.new_channel()
    node, _, local = channel.partition("!")
    inbox = f"{prefix}:{{0}}:inbox:{node}"
    import msgpack

    def entry(name: str, **fields: Any) -> bytes:
        packed: bytes = msgpack.packb({name: fields})
        return b"m" + packed

    garbage = [
        b"",
        b"m",
        b"\xff",
        b"mgarbage",
        b"m\x93\x01\x02\x03",
        b"m\x81\xa7message\xc0",
        entry("message"),
        entry("message", to=local),
        entry("message", to=7, content=7, correlation=[]),
        entry("message", to=local, content=b"\xc1", correlation="x"),
        entry("message", to=local, content=b"\x90"),
        entry("group"),
        entry("group", group=7, content=None),
        entry("join"),
        entry("leave"),
        entry("leave_all"),
        entry("join", local=[], group={}, count="x"),
        entry("answer", to=local),
        entry("nonsense", x=1),
    ]
    with redis_py.Redis(port=redis.port) as server:
        server.rpush(inbox, *garbage)
        base = f"{prefix}:{{0}}:channel:named"
        server.rpush(
            base,
            b"",
            b"\x01" * 17,
            b"\x01\x00" + b"\xff" * 16 + b"\xc1",
            b"\x02\x00" + b"\xff" * 16 + b"\x80",
        )
        server.zadd(f"{prefix}:{{0}}:ready", {"named": 0})
    for name in (channel, "named"):
        await client.send(name, {"n": 1})
        assert await must(client.receive(name)) == {"n": 1}
