"""Servers that fit and that do not, topologies, and what happens while Redis is away."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py
from conftest import eventually, must
from servers import Redis, free_port, running

from tidegate import (
    ChannelFull,
    Client,
    LayerUnavailable,
    LayoutError,
    SyncClient,
    UnsuitableServer,
)
from tidegate.channels import ChannelLayer
from tidegate.connection import check_server
from tidegate.topology import Address, parse

HERE = Address({"host": "redis.example", "port": 6379, "password": "hush"})


@pytest.fixture
def own_redis() -> Iterator[Redis]:
    """A server of the test alone."""
    server = Redis()
    yield server
    server.close()


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (
            {"redis_version": "6.2.14"},
            r"redis.example:6379 is Redis 6.2.14, and the layer needs 7.0",
        ),
        ({"redis_version": "7.0.15", "role": "slave"}, "is a replica.*redis\\+sentinel"),
        (
            {"redis_version": "7.0.15", "maxmemory": "1000", "maxmemory_policy": "allkeys-lru"},
            "may drop keys that are in use; set `maxmemory-policy noeviction`",
        ),
        ({}, "needs 7.0 or later"),
    ],
)
def test_a_server_that_does_not_fit_is_refused_with_the_fix(
    facts: dict[str, str], reason: str
) -> None:
    with pytest.raises(UnsuitableServer, match=reason) as error:
        check_server(HERE, facts)
    assert "hush" not in str(error.value)


@pytest.mark.parametrize(
    "facts",
    [
        {"redis_version": "7.0.0", "maxmemory": "0", "maxmemory_policy": "allkeys-lru"},
        {"redis_version": "10.1", "maxmemory": "1000", "maxmemory_policy": "noeviction"},
        {"redis_version": "7.2.4", "valkey_version": "8.1.0", "role": "master"},
        {"redis_version": "6.0.0", "valkey_version": "8.1.0"},
    ],
)
def test_a_server_that_fits_is_taken(facts: dict[str, str]) -> None:
    check_server(HERE, facts)


async def test_a_real_server_that_may_drop_keys_is_refused() -> None:
    redis = Redis("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    try:
        async with Client(redis.url()) as client:
            with pytest.raises(UnsuitableServer, match="allkeys-lru"):
                await client.send("a", {})
    finally:
        redis.close()


@pytest.mark.parametrize(
    ("layout", "reason"),
    [
        ("2/1", "layout 2/1, not 1/1; this package reads version 1"),
        ("1/8", "set partitions=8"),
        ("x", "reads version 1"),
    ],
)
async def test_data_of_another_layout_is_refused(
    redis: Redis, prefix: str, layout: str, reason: str
) -> None:
    with redis_py.Redis(port=redis.port) as server:
        server.set(f"{prefix}:{{0}}:layout", layout)
    async with Client(redis.url(), prefix=prefix) as client:
        for calling in (
            client.send("a", {}),
            client.group_send("g", {}),
            client.new_channel(),
            client.receive("a"),
            client.group_add("g", "a"),
            client.send_later("a", {}, 1),
        ):
            with pytest.raises(LayoutError, match=reason):
                await calling
    with redis_py.Redis(port=redis.port) as server:
        assert len(server.keys(f"{prefix}:*")) == 1


async def test_a_server_that_is_not_there_is_named_with_the_fix() -> None:
    port = free_port()
    async with Client(f"redis://:hush@127.0.0.1:{port}/0", timeout=1) as client:
        with pytest.raises(LayerUnavailable, match=f"127.0.0.1:{port}.*start Redis there") as error:
            await client.send("a", {})
        assert isinstance(error.value, ConnectionError)
        assert "hush" not in str(error.value)


async def test_a_wrong_password_is_told_with_the_fix() -> None:
    redis = Redis("--requirepass", "right")
    try:
        for login in ("", ":wrong@"):
            async with Client(redis.url().replace("://", f"://{login}")) as client:
                with pytest.raises(LayerUnavailable, match="give user and password in the URL"):
                    await client.send("a", {})
        async with Client(redis.url(), password="right") as client:
            assert await client.send("a", {})
    finally:
        redis.close()


async def test_when_redis_comes_back_all_goes_on_and_members_hear_of_the_gap(
    own_redis: Redis,
) -> None:
    layer = ChannelLayer(own_redis.url(), lease=1, timeout=1, on_gap="layer.gap")
    channel = await layer.new_channel()
    await layer.group_add("room", channel)
    waiting = asyncio.ensure_future(layer.receive("named"))
    own_redis.stop()
    with pytest.raises(LayerUnavailable):
        await layer.send("named", {"n": 1})
    own_redis.start()
    assert await must(layer.receive(channel)) == {"type": "layer.gap"}
    await eventually(lambda: _is_sent(layer, {"n": 2}))
    assert await must(waiting) == {"n": 2}
    await layer.group_send("room", {"n": 3})
    assert await must(layer.receive(channel)) == {"n": 3}
    await layer.close()


async def _is_sent(layer: ChannelLayer, message: dict[str, Any]) -> bool:
    try:
        await layer.send("named", message)
    except LayerUnavailable:
        return False
    return True


async def test_a_channel_has_its_room_again_when_messages_to_it_were_lost(own_redis: Redis) -> None:
    async with Client(own_redis.url(), capacity=1, lease=1) as client:
        channel = await client.new_channel()
        assert client._node is not None
        # It was sent, and Redis lost it before it was read.
        client._node.own["lost"] = "!" + channel.partition("!")[2]
        assert client.mailboxes.expect("!" + channel.partition("!")[2])
        with pytest.raises(ChannelFull):
            await client.send(channel, {"n": 1})
        with redis_py.Redis(port=own_redis.port) as server:
            server.flushall()
        await eventually(lambda: _takes(client, channel))
        assert await must(client.receive(channel)) == {"n": 2}


async def _takes(client: Client, channel: str) -> bool:
    try:
        return await client.send(channel, {"n": 2})
    except ChannelFull:
        return False


async def test_entries_that_are_lost_with_a_connection_are_noticed(
    redis: Redis, prefix: str
) -> None:
    gaps: list[set[str]] = []
    async with Client(redis.url(), prefix=prefix, on_gap=gaps.append) as client:
        channel = await client.new_channel()
        await client.group_add("room", channel)
        assert client._node is not None
        with redis_py.Redis(port=redis.port) as server:
            # It was put there, and a reader whose connection broke has taken it.
            server.incr(f"{prefix}:{{0}}:put:{client.node_name}")
        client._node._compare_at = 0.0
        await client.send(channel, {"n": 1})
        await eventually(lambda: bool(gaps))
    assert gaps == [{channel.partition("!")[2]}]


async def test_messages_are_sent_over_shards_as_over_one(
    own_redis: Redis, redis: Redis, prefix: str
) -> None:
    hosts = [redis.url(5), own_redis.url(3)]
    one, other = (ChannelLayer(hosts=hosts, prefix=prefix) for _ in range(2))
    await _works(one, other)
    for server, database in ((redis, 5), (own_redis, 3)):
        with redis_py.Redis(port=server.port, db=database) as connection:
            assert connection.exists(*(f"{prefix}:{{{n}}}:layout" for n in range(2))) == 1
    await one.close()
    await other.close()


async def test_a_text_of_an_address_has_no_password() -> None:
    topology = parse("redis://u:hush@a:1/0,rediss://:hush@b/0")
    assert "hush" not in f"{topology!r} {topology}"


async def _works(one: ChannelLayer, other: ChannelLayer) -> None:
    """Sends both ways: to named channels, channels of a process, and groups."""
    channels = [await one.new_channel(), await other.new_channel()]
    for number in range(10):
        await one.send(f"named-{number}", {"n": number})
        assert await must(other.receive(f"named-{number}")) == {"n": number}
        await one.group_add(f"room-{number}", channels[0])
        await other.group_add(f"room-{number}", channels[1])
        await one.group_send(f"room-{number}", {"n": number})
        for layer, channel in zip((one, other), channels, strict=True):
            assert await must(layer.receive(channel)) == {"n": number}
    await one.send(channels[1], {"n": 1})
    assert await must(other.receive(channels[1])) == {"n": 1}


@contextlib.contextmanager
def sentinel(redis: Redis, folder: Path) -> Iterator[int]:
    """A Sentinel that knows a master `main`."""
    port = free_port()
    config = folder / "sentinel.conf"
    config.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\nsentinel monitor main 127.0.0.1 {redis.port} 1\n"
    )
    program = shutil.which("redis-server")
    assert program is not None
    with running([program, str(config), "--sentinel"], port):
        yield port


async def test_sentinels_say_where_the_master_is(redis: Redis, prefix: str, tmp_path: Path) -> None:
    with sentinel(redis, tmp_path) as port:
        # The first Sentinel is not there.
        url = f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{port}/main/4"
        one, other = (ChannelLayer(url, prefix=prefix) for _ in range(2))
        await _works(one, other)
        hosts = [{"sentinels": [("127.0.0.1", port)], "master_name": "main", "db": 4}]
        await _works(one, third := ChannelLayer(hosts=hosts, prefix=prefix))
        for layer in (one, other, third):
            await layer.close()
        async with Client(f"redis+sentinel://127.0.0.1:{port}/nobody") as client:
            with pytest.raises(LayerUnavailable, match="knows no master 'nobody'"):
                await client.send("a", {})


def _is_in_cluster(server: Redis) -> bool:
    with redis_py.Redis(port=server.port) as client:
        return bool(client.cluster("info")["cluster_state"] == "ok")


async def test_a_cluster_has_partitions_on_each_of_its_masters(prefix: str) -> None:
    servers = [Redis("--cluster-enabled", "yes") for _ in range(3)]
    try:
        program = shutil.which("redis-cli")
        assert program is not None
        nodes = [f"127.0.0.1:{server.port}" for server in servers]
        create = [program, "--cluster", "create", *nodes, "--cluster-yes"]
        subprocess.run(create, check=True, capture_output=True, timeout=60)
        await eventually(lambda: all(map(_is_in_cluster, servers)))
        url = f"redis+cluster://127.0.0.1:{free_port()},127.0.0.1:{servers[1].port}"
        one, other = (ChannelLayer(url, prefix=prefix) for _ in range(2))
        await _works(one, other)
        assert one._client.partitions.count == 8
        for layer in (one, other):
            await layer.close()
        with redis_py.Redis(port=servers[0].port) as server:
            assert server.keys(f"{prefix}:*:layout")
    finally:
        for server in servers:
            server.close()


async def test_tls_is_spoken_and_a_strange_certificate_refused(prefix: str, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost", "-days", "2",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    port = free_port()
    redis = Redis(
        "--tls-port", str(port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key),
        "--tls-auth-clients", "no",
    )  # fmt: skip
    try:
        url = f"rediss://127.0.0.1:{port}/0"
        async with Client(url, prefix=prefix, timeout=5) as client:
            with pytest.raises(LayerUnavailable, match="(?i)certificate"):
                await client.send("a", {})
        trusting = f"{url}?ssl_ca_certs={certificate}"
        one, other = (ChannelLayer(trusting, prefix=prefix) for _ in range(2))
        await _works(one, other)
        for layer in (one, other):
            await layer.close()
    finally:
        redis.close()


def test_a_client_works_on_in_a_forked_child(redis: Redis, prefix: str) -> None:
    import os

    with SyncClient(redis.url(), prefix=prefix) as client:
        client.send("named", {"n": 0})
        child = os.fork()
        if child == 0:
            status = 1
            try:
                client.send("named", {"n": 1})
                status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert [client.receive("named", 20)["n"] for _ in range(2)] == [0, 1]
