"""Brings files from elsewhere in the repository into what is built, so that there is one copy of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent
REPOSITORY = ROOT.parents[1]
SCRIPTS = REPOSITORY / "host/src/layer/redis/scripts"


class Hook(BuildHookInterface):  # type: ignore[type-arg]
    """Includes the scripts and the licences. An sdist has them, so a wheel made of it needs no repository."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if not SCRIPTS.is_dir():
            if not (ROOT / "src/tidegate/lua/prelude.lua").is_file():
                raise RuntimeError(
                    "the scripts are missing: build in the repository, or from an sdist"
                )
            return
        is_wheel = self.target_name == "wheel"
        folder = "tidegate/lua" if is_wheel else "src/tidegate/lua"
        include: dict[str, str] = build_data["force_include"]
        for script in sorted(SCRIPTS.glob("*.lua")):
            include[str(script)] = f"{folder}/{script.name}"
        if not is_wheel:
            for licence in ("LICENSE-APACHE", "LICENSE-MIT"):
                include[str(REPOSITORY / licence)] = licence
