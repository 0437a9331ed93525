"""The templates of `tidegate new --language python`, filled in."""

from __future__ import annotations

from pathlib import Path

from examples import REPOSITORY

TEMPLATES = REPOSITORY / "host/templates"
COMMON = {"tidegate.toml": "tidegate.toml", "requirements.txt": "requirements.txt", "gitignore": ".gitignore"}


def fill(kind: str, into: Path) -> Path:
    """Writes the files of a module `tide-pool`. The page is that of the template in Rust."""
    files = {TEMPLATES / "python" / file: name for file, name in COMMON.items()}
    files |= {file: file.name for file in (TEMPLATES / "python" / kind).iterdir() if file.is_file()}
    files |= {file: file.name for file in (TEMPLATES / "rust" / kind).glob("*.html")}
    for file, name in files.items():
        text = file.read_text(encoding="utf-8")
        text = text.replace("module-name", "tide-pool").replace("module_name", "tide_pool")
        (into / name).write_text(text, encoding="utf-8")
    return into
