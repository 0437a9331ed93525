"""The templates of `tidegate new --language python`, filled in."""

from __future__ import annotations

import tomllib
from pathlib import Path

from examples import REPOSITORY
from served import Build

TEMPLATES = REPOSITORY / "host/templates"
COMMON = {"tidegate.toml": "tidegate.toml", "requirements.txt": "requirements.txt", "gitignore": ".gitignore"}


def fill(kind: str, into: Path) -> Path:
    """Writes the files of a module `tide-pool`. The page is that of the template in Rust."""
    files = {TEMPLATES / "python" / file: name for file, name in COMMON.items()}
    files |= {file: file.name for file in (TEMPLATES / "python" / kind).iterdir() if file.is_file()}
    files |= {file: file.name for file in (TEMPLATES / kind).glob("*.html")}
    for file, name in files.items():
        text = file.read_text(encoding="utf-8")
        text = text.replace("module-name", "tide-pool").replace("module_name", "tide_pool")
        (into / name).write_text(text, encoding="utf-8")
    return into


def build(directory: Path) -> Build:
    """Runs the command of the settings, in the environment of these tests, which has what `setup` installs."""
    settings = tomllib.loads((directory / "tidegate.toml").read_text())["build"]
    program, *arguments = settings["command"]
    assert program == "venv/bin/tidegate-sdk"
    return Build(arguments, directory, directory / settings["file"])


def module_settings(directory: Path) -> str:
    """The settings of the module, without those of the build."""
    text = (directory / "tidegate.toml").read_text()
    return text[text.index("[modules.") :]
