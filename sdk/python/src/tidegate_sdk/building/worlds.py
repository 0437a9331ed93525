"""The world of a component: what its module exports and imports beyond what all modules do."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tidegate_sdk.building.places import Places

PLAIN = "tidegate-module"
DECLARING = "tidegate-declaring-module"
WAITING = "tidegate-waiting-module"
DECLARING_AND_WAITING = "tidegate-declaring-waiting-module"

ENTRY = "tidegate_declaring_entry"
"""Names the module that componentize-py gets for a world with `declarations`. It has what both exports need."""

_PACKAGE = "tidegate_sdk"
_DECLARING = {"schedule", "user", "claims", "presence", "history", "*"}
"""Names of the package by which a module declares something."""
_RESUME = "resume"
"""The option of a consumer of WebSockets that is a declaration."""
_WAITING = "fetch_now"
"""The method of a context by which a run waits for a server outside."""


@dataclass(frozen=True)
class Needs:
    """What the code of a module needs of its world, as far as its files tell."""

    is_declaring: bool = False
    """It imports a decorator of `_DECLARING`, or names an option `_RESUME`. The component checks that it declares
    something, and raises a `WorldError` if it does not."""
    is_waiting: bool = False
    """It names `fetch_now`. A host refuses such a module without a grant."""

    @property
    def world(self) -> str:
        """The name of the world."""
        if self.is_waiting:
            return DECLARING_AND_WAITING if self.is_declaring else WAITING
        return DECLARING if self.is_declaring else PLAIN


def write_entry(app: str, into: Path) -> None:
    """Writes the module `ENTRY` for the module `app` into a directory."""
    text = f"from importlib import import_module\n\nConsumer = Declarations = import_module({app!r}).Consumer\n"
    (into / f"{ENTRY}.py").write_text(text, encoding="utf-8")


def needs(app: str, places: Places) -> Needs:
    """Looks into `app`, and into the files of the author's that it imports."""
    wanted, seen = [app], set[str]()
    found = Needs()
    while wanted:
        module = wanted.pop()
        if module in seen:
            continue
        seen.add(module)
        if (tree := _parsed(module, places)) is None:
            continue
        if any(isinstance(node, ast.Attribute) and node.attr == _WAITING for node in ast.walk(tree[0])):
            found = replace(found, is_waiting=True)
        if any(isinstance(node, ast.keyword) and node.arg == _RESUME for node in ast.walk(tree[0])):
            found = replace(found, is_declaring=True)
        for source, names in _imports(*tree):
            if source.split(".")[0] == _PACKAGE and _DECLARING & names:
                found = replace(found, is_declaring=True)
            wanted += [source, *(f"{source}.{name}" for name in names)]
    return found


def _parsed(module: str, places: Places) -> tuple[ast.Module, str] | None:
    """Parses a file of the author's. Returns it with the package that its relative imports begin from."""
    spec = places.find(module)
    if spec is None or spec.origin is None or not places.is_own(spec.origin):
        return None
    try:
        tree = ast.parse(Path(spec.origin).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None  # The build says so.
    return tree, module if spec.submodule_search_locations is not None else module.rpartition(".")[0]


def _imports(tree: ast.Module, package: str) -> Iterator[tuple[str, set[str]]]:
    """Yields the modules that a file imports, each with the names that it takes from it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, set()
        elif isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names}
            try:
                yield importlib.util.resolve_name("." * node.level + (node.module or ""), package), names
            except ImportError:
                continue  # It leads out of the package, which the build says.
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield node.value.id, {node.attr}
