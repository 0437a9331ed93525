"""The contents of the package."""

from __future__ import annotations

import tomllib
from importlib.metadata import requires
from pathlib import Path

from examples import REPOSITORY

import tidegate_sdk

PACKAGE = Path(tidegate_sdk.__file__).parent


def test_the_contract_is_that_of_the_project() -> None:
    deps = PACKAGE / "wit/deps"
    wasi = REPOSITORY / "sdk/javascript/wit/deps"
    for copied, original in (
        ("channels", REPOSITORY / "wit"),
        ("channels-0.1.1", REPOSITORY / "wit/0.1.1"),
        ("http", wasi / "http"),
        ("io", wasi / "io"),
    ):
        files = {file.name: file.read_bytes() for file in original.glob("*.wit")}
        assert {file.name: file.read_bytes() for file in (deps / copied).iterdir()} == files
        assert files


def test_the_build_finds_the_contract() -> None:
    settings = tomllib.loads((PACKAGE / "componentize-py.toml").read_text())
    assert (PACKAGE / settings["wit_directory"] / "world.wit").is_file()


def test_the_tool_is_pinned() -> None:
    assert "componentize-py==0.25.1" in (requires("tidegate-sdk") or [])


def test_types_are_published() -> None:
    assert (PACKAGE / "py.typed").is_file()
