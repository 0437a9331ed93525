"""Brings files from elsewhere in the repository into what is built, so that there is one copy of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent
REPOSITORY = ROOT.parents[1]
CONTRACT = REPOSITORY / "wit"

# Where each version of the contract, and what requests need of WASI, is in the package, and where in the repository.
WASI = REPOSITORY / "sdk/javascript/wit/deps"
VERSIONS = {
    "channels": CONTRACT,
    "channels-0.1.1": CONTRACT / "0.1.1",
    "http": WASI / "http",
    "io": WASI / "io",
}


class Hook(BuildHookInterface):  # type: ignore[type-arg]
    """Includes the contract and the licences. An sdist has them, so a wheel made of it needs no repository."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        include: dict[str, str] = build_data["force_include"]
        is_wheel = self.target_name == "wheel"
        folder = "tidegate_sdk/wit/deps" if is_wheel else "src/tidegate_sdk/wit/deps"
        for name, place in VERSIONS.items():
            from_sdist = ROOT / "src/tidegate_sdk/wit/deps" / name
            files = sorted((place if place.is_dir() else from_sdist).glob("*.wit"))
            if not files:
                raise RuntimeError(f"the contract is missing: {place}; build in the repository, or from an sdist")
            for file in files:
                include[str(file)] = f"{folder}/{name}/{file.name}"
        if not is_wheel:
            for licence in ("LICENSE-APACHE", "LICENSE-MIT"):
                include[str(REPOSITORY / licence)] = licence
