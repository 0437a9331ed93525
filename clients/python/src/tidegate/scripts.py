"""The scripts of the layer, which are a part of its format. They are the host's own files: the build copies them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

NAMES = (
    "close",
    "deliver",
    "join",
    "join_named",
    "later",
    "leave",
    "leave_named",
    "members",
    "promote",
    "put",
    "read_by",
    "receive",
    "send",
    "taken",
    "upkeep",
)


@dataclass(frozen=True)
class Script:
    """A script with the folder's prelude before it."""

    source: str
    sha: str


@cache
def scripts() -> dict[str, Script]:
    """Returns the scripts by name."""
    folder = files(__package__) / "lua"
    prelude = (folder / "prelude.lua").read_text("utf-8")
    found = {}
    for name in NAMES:
        source = f"{prelude}\n\n{(folder / f'{name}.lua').read_text('utf-8')}"
        found[name] = Script(source, hashlib.sha1(source.encode()).hexdigest())
    return found
