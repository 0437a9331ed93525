"""Real servers for tests: each on a free port of the loopback, ended with the test."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# How long a server may take to answer. One that compiles modules takes long.
START_SECONDS = 60.0


def free_port(most: int = 65_535) -> int:
    """Returns a port that nobody listens on."""
    while True:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = int(listener.getsockname()[1])
        if port <= most:
            return port


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Waits until somebody listens on a port."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        time.sleep(0.02)
    raise RuntimeError(f"{process.args!r} does not listen on {port}")


@contextlib.contextmanager
def running(
    command: list[str], port: int, cwd: Path | None = None, env: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a server until the end of the block. What it prints is shown where it does not start."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            try:
                wait_for_port(port, process)
            except RuntimeError as error:
                output.seek(0)
                raise RuntimeError(f"{error}: {output.read().decode(errors='replace')}") from None
            yield process
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends a server and what it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def tidegate() -> Path | None:
    """Returns the command `tidegate`: one that is named, or one that was built."""
    named = os.environ.get("TIDEGATE")
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    kinds = ("debug", "release")
    places = [Path(named)] if named else [target / kind / "tidegate" for kind in kinds]
    return next((place for place in places if place.exists()), None)


def tidegate_env(**settings: str) -> dict[str, str]:
    """Returns the environment of a `tidegate` that finds what was compiled before."""
    compiled = ROOT / "target/test-data/compiled"
    compiled.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.environ | {"TIDEGATE_COMPILED_DIR": str(compiled)} | settings


class Redis:
    """A Redis server that keeps nothing, and that can be stopped and started again."""

    def __init__(self, *arguments: str) -> None:
        # Another one may be named, such as that of Valkey.
        program = os.environ.get("REDIS_SERVER") or shutil.which("redis-server")
        if program is None:
            raise RuntimeError("there is no redis-server: apt-get install redis-server")
        # The nodes of a Cluster speak to each other at a port that is 10,000 higher.
        self.port = free_port(55_535)
        self._folder = tempfile.TemporaryDirectory()
        self._command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self._command += ["--dir", self._folder.name, *arguments]
        self.start()

    def start(self) -> None:
        """Starts it, empty."""
        self._context = running(self._command, self.port)
        self._context.__enter__()

    def stop(self) -> None:
        """Ends it."""
        self._context.__exit__(None, None, None)

    def close(self) -> None:
        """Ends it for good."""
        self.stop()
        self._folder.cleanup()

    def url(self, database: int = 0) -> str:
        """Returns where it is."""
        return f"redis://127.0.0.1:{self.port}/{database}"
