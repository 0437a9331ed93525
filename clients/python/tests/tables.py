"""The cases that hold for all clients, `clients/cases` of the repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CASES = Path(__file__).resolve().parents[2] / "cases"


def table(name: str) -> Any:
    """Returns a table by the name of its file."""
    return json.loads((CASES / f"{name}.json").read_text(encoding="utf-8"))
