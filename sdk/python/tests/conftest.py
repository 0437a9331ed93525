"""The host of the tests that need `TIDEGATE`, the path of the host."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import served
import templates
from examples import ALL


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[served.Host]:
    """A host with two modules, which are built and compiled side by side: all examples, and a template."""
    directory = tmp_path_factory.mktemp("served")
    template = templates.fill("websocket", tmp_path_factory.mktemp("template"))
    builds = {"python": served.build(ALL, directory), "tide-pool": templates.build(template)}
    modules = {name: build.component() for name, build in builds.items()}
    settings = f"[modules.python.limits]\nfuel = 20_000_000_000\n{templates.module_settings(template)}"
    with served.Host(modules, settings, directory) as host:
        yield host
