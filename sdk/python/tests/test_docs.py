"""Code of the documentation runs."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from examples import REPOSITORY

import tidegate_sdk
from tidegate_sdk.testing import TestHost

README = Path(__file__).resolve().parents[1] / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
# They need the bindings of a component.
WITH_BINDINGS = ("tidegate_sdk.component", "tidegate_sdk.outgoing")
WITHOUT_BINDINGS = [
    module.name
    for module in pkgutil.walk_packages(tidegate_sdk.__path__, "tidegate_sdk.")
    if module.name not in WITH_BINDINGS
]


def test_the_readme_of_the_project_says_hello_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    module = ModuleType("readme_of_the_project")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(block, "README.md", "exec"), module.__dict__)
    assert TestHost(module.Consumer).get("/hello/Ada").text == "Hello, Ada!\n"


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_readme_runs(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # A module, as it is in a file: dataclasses look up the one that they are in.
    module = ModuleType(f"readme_{number}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(BLOCKS[number], f"README.md, block {number + 1}", "exec"), module.__dict__)


def test_the_readme_has_an_example_of_each_part() -> None:
    assert len(BLOCKS) == 14


@pytest.mark.parametrize("name", WITHOUT_BINDINGS)
def test_doctests_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_what_is_exported_is_documented() -> None:
    undocumented = [
        name
        for name in tidegate_sdk.__all__
        if inspect.isclass(it := getattr(tidegate_sdk, name)) or inspect.isfunction(it)
        if not (it.__doc__ or "").strip()
    ]
    assert undocumented == []
