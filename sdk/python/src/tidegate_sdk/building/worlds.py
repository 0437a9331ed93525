"""The world of a component: one that exports `declarations` for a module that declares something, or one without."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from tidegate_sdk.building.places import Places

PLAIN = "tidegate-module"
DECLARING = "tidegate-declaring-module"

ENTRY = "tidegate_declaring_entry"
"""Names the module that componentize-py gets for the world `DECLARING`. It has what both exports need."""

_PACKAGE = "tidegate_sdk"
_DECLARING = {"schedule", "user", "claims", "*"}
"""Names of the package by which a module declares something."""


def write_entry(app: str, into: Path) -> None:
    """Writes the module `ENTRY` for the module `app` into a directory."""
    text = f"from importlib import import_module\n\nConsumer = Declarations = import_module({app!r}).Consumer\n"
    (into / f"{ENTRY}.py").write_text(text, encoding="utf-8")


def names_declaration(app: str, places: Places) -> bool:
    """Says whether `app`, or a file of the author's that it imports, imports `schedule`, `user` or `claims`.

    The component itself checks the world that is chosen by it, and raises a `WorldError` if it does not fit.
    """
    wanted, seen = [app], set[str]()
    while wanted:
        module = wanted.pop()
        if module in seen:
            continue
        seen.add(module)
        if (tree := _parsed(module, places)) is None:
            continue
        for source, names in _imports(*tree):
            if source.split(".")[0] == _PACKAGE and _DECLARING & names:
                return True
            wanted += [source, *(f"{source}.{name}" for name in names)]
    return False


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
