"""What `tidegate new --language python` writes: its tests pass, and it is built and served.

The last needs `TIDEGATE`, the path of the host.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from served import Host, ServedDriver
from templates import fill

from tidegate_sdk.building import command
from tidegate_sdk.testing.cases import CaseHandshake, CaseRequest

KINDS = ("http", "websocket", "channel")
BIN = Path(sys.executable).parent


def run(arguments: list[str], directory: Path) -> str:
    """Runs a command in a directory, as an author does who has activated nothing."""
    environment = {key: os.environ[key] for key in os.environ if key not in ("VIRTUAL_ENV", "PYTEST_ADDOPTS")}
    done = subprocess.run(arguments, cwd=directory, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_the_tests_of_a_template_pass(kind: str, tmp_path: Path) -> None:
    fill(kind, tmp_path)
    assert f"{ {'http': 3, 'websocket': 3, 'channel': 2}[kind] } passed" in run([str(BIN / "pytest"), "-q"], tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_template_has_the_style_of_tools_without_settings(kind: str, tmp_path: Path) -> None:
    fill(kind, tmp_path)
    ruff = str(BIN / "ruff")
    run([ruff, "format", "--check", "--isolated", "--no-cache", "."], tmp_path)
    run([ruff, "check", "--select", "B,E,F,I,RUF,UP,W", "--isolated", "--no-cache", "."], tmp_path)


def test_the_settings_build_the_module_that_they_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill("websocket", tmp_path)
    settings = tomllib.loads((tmp_path / "tidegate.toml").read_text())
    file = "build/tide-pool.wasm"
    assert (settings["build"]["name"], settings["build"]["file"]) == ("tide-pool", file)
    program, *arguments = settings["build"]["command"]
    assert program == "venv/bin/tidegate-sdk"
    called: list[list[str]] = []
    monkeypatch.setattr(command, "_componentize", lambda: lambda: called.append(sys.argv))
    monkeypatch.chdir(tmp_path)
    assert command.main(arguments) == 0
    assert called[0][-3:] == ["app", "-o", file]
    # The place where `tidegate new` says which SDK it is.
    assert "tidegate-sdk==0.0.0\n" in (tmp_path / "requirements.txt").read_text()


@pytest.mark.skipif("TIDEGATE" not in os.environ, reason="TIDEGATE does not name a host")
def test_the_settings_of_the_module_are_valid(tmp_path: Path) -> None:
    fill("http", tmp_path)
    text = (tmp_path / "tidegate.toml").read_text()
    # `[build]` is for the commands that build.
    (tmp_path / "tidegate.toml").write_text(text[text.index("[modules.") :])
    run([os.environ["TIDEGATE"], "check"], tmp_path)


@pytest.mark.skipif("TIDEGATE" not in os.environ, reason="TIDEGATE does not name a host")
def test_a_template_is_built_and_served(host: Host) -> None:
    driver = ServedDriver(host.port)
    page = driver.request(CaseRequest("GET", "/tide-pool", {}, b""))
    assert page.status == 200
    assert b"<title>tide-pool</title>" in page.body
    driver.open("one", CaseHandshake("/tide-pool/socket"))
    for count in (1, 2):
        driver.send("one", "ahoy")
        assert driver.receive("one") == f"{count}: you said ahoy"
    driver.reset()
