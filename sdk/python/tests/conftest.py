"""The host of the tests that need `TIDEGATE`, the path of the host."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import served
import templates
from examples import ALL
from outside import Outside


@pytest.fixture(scope="session")
def outside() -> Iterator[Outside]:
    """A server outside that is granted to the component."""
    with Outside() as server:
        yield server


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory, outside: Outside) -> Iterator[served.Host]:
    """A host with all examples and a template in one component."""
    directory = tmp_path_factory.mktemp("served")
    (directory / "tide_pool").mkdir()
    templates.fill("websocket", directory / "tide_pool")
    component = served.build(ALL, directory, "tide_pool")
    with served.Host(component, directory, reaching=[outside.address]) as host:
        yield host
