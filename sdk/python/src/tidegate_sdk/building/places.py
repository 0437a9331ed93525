"""The directories that a build reads modules from."""

from __future__ import annotations

import importlib
import re
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import ExtensionFileLoader, ModuleSpec, PathFinder
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """The path of a build, in its order: componentize-py mounts each directory below its number."""

    own: Sequence[str]
    """The directories of the module: the current one, and those that `-p` names."""
    installed: Sequence[str]
    """The directories of the packages that this interpreter has."""

    @property
    def all(self) -> list[str]:
        return [*self.own, *self.installed]

    def own_file(self, mounted: str) -> str | None:
        """A file of the module where it is here, or None for files of packages and of Python.

        >>> places = Places([".", "../pages"], ["/venv/site-packages"])
        >>> places.own_file("/0/app.py"), places.own_file("/1/page.py"), places.own_file("/2/msgpack/ext.py")
        ('app.py', '../pages/page.py', None)
        """
        found = re.match(r"/(\d+)/(.+)", mounted)
        if found is None or int(found[1]) >= len(self.own) or "/site-packages/" in mounted:
            return None
        return str(Path(self.own[int(found[1])], found[2]))

    def is_own(self, file: str) -> bool:
        """Says whether a file is the author's, and not one of an installed package."""
        around = [place for place in self.all if Path(file).is_relative_to(Path(place).resolve())]
        return max(around, key=lambda place: len(Path(place).resolve().parts), default="") in self.own

    def find(self, module: str) -> ModuleSpec | None:
        """Where a module is, without importing anything."""
        importlib.invalidate_caches()
        spec: ModuleSpec | None = None
        # Finders are kept by the name of their directory, and `.` may have been another.
        path: list[str] | None = [str(Path(place).resolve()) for place in self.all]
        parts = module.split(".")
        for depth in range(1, len(parts) + 1):
            if path is None:
                return None
            spec = PathFinder.find_spec(".".join(parts[:depth]), path)
            if spec is None:
                return None
            path = None if spec.submodule_search_locations is None else list(spec.submodule_search_locations)
        return spec

    def native_file(self, module: str) -> str | None:
        """The file of a module that is machine code."""
        spec = self.find(module)
        return spec.origin if spec is not None and isinstance(spec.loader, ExtensionFileLoader) else None


def installed() -> list[str]:
    """The directories of packages on the path of this interpreter, with those that `.pth` files add."""
    standard = {sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "scripts")}
    standard |= {sysconfig.get_config_var("DESTSHARED"), str(Path.cwd())}
    return [place for place in sys.path if place and place not in standard and Path(place).is_dir()]
