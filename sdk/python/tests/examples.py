"""The examples in Python, and the guest of these tests: where their files and their cases are."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

TESTS = Path(__file__).resolve().parent
REPOSITORY = TESTS.parents[2]
EXAMPLES = REPOSITORY / "examples"


@dataclass(frozen=True)
class Example:
    """A module, its files of cases, and the directories that its build has on the path besides its own."""

    name: str
    file: Path
    cases: tuple[Path, ...]
    directories: tuple[Path, ...] = ()

    @property
    def path(self) -> list[Path]:
        return [self.file.parent, *self.directories]

    def load(self) -> ModuleType:
        """Imports the module under a name of its own: each file is called `app.py`."""
        for directory in self.path:
            if str(directory) not in sys.path:
                sys.path.append(str(directory))
        name = f"{self.name}_app"
        if name not in sys.modules:
            spec = importlib.util.spec_from_file_location(name, self.file)
            assert spec is not None and spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module
            spec.loader.exec_module(module)
        return sys.modules[name]


def _example(name: str, *directories: Path, more: tuple[str, ...] = ()) -> Example:
    cases = tuple(EXAMPLES / name / file for file in ("cases.json", *more))
    return Example(name, EXAMPLES / "python" / name / "app.py", cases, directories)


ALL = [
    _example("hello"),
    _example("echo"),
    _example("chat", EXAMPLES / "chat/src", REPOSITORY / "clients/js", more=("tests/remembered.json",)),
    _example("cursors", EXAMPLES / "cursors", EXAMPLES / "python/chat", REPOSITORY / "clients/js"),
    _example("jobs", EXAMPLES / "jobs/src"),
    _example("auction", EXAMPLES / "auction/src"),
    _example("members"),
    _example("account", EXAMPLES / "account"),
    Example("rooms", EXAMPLES / "python/rooms/app.py", (EXAMPLES / "django-chat/cases.json",)),
    Example("surface", TESTS / "guest/surface.py", (TESTS / "guest/cases.json",)),
]
