"""The host of the tests that need `TIDEGATE`, the path of the host."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import served
import templates
from examples import ALL


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[served.Host]:
    """A host with all examples and a template in one component."""
    directory = tmp_path_factory.mktemp("served")
    (directory / "tide_pool").mkdir()
    templates.fill("websocket", directory / "tide_pool")
    with served.Host(served.build(ALL, directory, "tide_pool"), directory) as host:
        yield host
