"""The package speaks the host's format: its scripts, its names and its bytes."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from pathlib import Path

import msgpack
import pytest

import tidegate
from tidegate import wire
from tidegate.names import partition_of
from tidegate.scripts import NAMES, scripts

ROOT = Path(__file__).resolve().parents[3]
HOST = ROOT / "host/src/layer/redis"
GOLDEN = dict(
    line.split(": ")
    for line in (HOST / "wire/golden.txt").read_text().splitlines()
    if not line.startswith("#")
)
ID = "0123456789abcdef0123456789abcdef"


def test_the_scripts_are_those_of_the_host() -> None:
    host = {file.name: file.read_bytes() for file in (HOST / "scripts").glob("*.lua")}
    ours = files("tidegate") / "lua"
    assert {file.name: file.read_bytes() for file in ours.iterdir()} == host
    assert {f"{name}.lua" for name in NAMES} <= set(host)
    assert set(scripts()) == set(NAMES)


def test_a_partition_is_found_by_crc_32() -> None:
    assert partition_of("123456789", 8) == 0xCBF43926 % 8
    assert partition_of("any", 1) == 0


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("inbox message", wire.message_entry("one", b"\x81\xa1n\x01", ID)),
        ("inbox join", wire.join_entry("one", "chat.lobby", 7)),
        ("inbox leave", wire.leave_entry("one", "chat.lobby")),
    ],
)
def test_entries_are_the_bytes_that_the_host_writes(name: str, entry: bytes) -> None:
    assert entry.hex() == GOLDEN[name]


def test_an_entry_of_a_group_is_what_the_host_writes_but_for_its_id() -> None:
    golden = wire.inbox_entry(bytes.fromhex(GOLDEN["inbox group"]))
    ours = wire.inbox_entry(wire.group_entry("chat.lobby", b"\x81\xa1n\x01"))
    assert (ours.name, list(ours.fields)) == (golden.name, list(golden.fields))
    assert ours.fields["content"] == golden.fields["content"]
    assert re.fullmatch("[0-9a-f]{32}", ours.fields["correlation"])


def test_entries_of_channels_are_those_of_the_host() -> None:
    golden = bytes.fromhex(GOLDEN["channel content"])
    assert wire.payload(b"\x81\xa1n\x01", ID) == golden[wire.HEADER_BYTES :]
    assert wire.content_of(golden) == b"\x81\xa1n\x01"
    # An event of a connection is not a message of an application.
    assert wire.content_of(bytes.fromhex(GOLDEN["channel http.request"])) is None


@pytest.mark.parametrize("name", [name for name in GOLDEN if name.startswith("inbox")])
def test_every_entry_of_an_inbox_is_read(name: str) -> None:
    entry = wire.inbox_entry(bytes.fromhex(GOLDEN[name]))
    assert entry.name == name.split()[1]
    assert msgpack.packb({entry.name: entry.fields}) == bytes.fromhex(GOLDEN[name])[1:]


def test_the_version_is_that_of_the_host() -> None:
    host = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)
    package = tomllib.loads((ROOT / "clients/python/pyproject.toml").read_text())
    assert host is not None
    assert tidegate.__version__ == package["project"]["version"] == host.group(1)
