"""A host that serves a component, and connections to it that cases are run over."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from examples import Example
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tidegate_sdk import Close
from tidegate_sdk.testing.cases import CaseError, CaseHandshake, CaseRequest, CaseResponse, CaseUser, Opened

PATIENCE = 30

# The host checks tokens with it, and the tests sign with it.
SECRET = "a secret of 32 bytes, or of more"

# Consumers of a template may have names that those of an example have.
TOGETHER = """
from dataclasses import replace
import {modules}, {template}.app
from tidegate_sdk import Consumers, export

class Template(Consumers):
    entries = tuple(replace(it, name=f"{template}_{{it.name}}") for it in {template}.app.Consumer.entries)

Consumer = export({lists}, Template)
"""

MODULE = "chat"

COMMAND = str(Path(sys.executable).with_name("tidegate-sdk"))


def build(examples: Iterable[Example], into: Path, template: str) -> Path:
    """Builds one component of several modules, which takes one build and one compilation.

    `template` is a directory in `into` that has the files of a new module.
    """
    examples = list(examples)
    paths: list[str] = []
    for example in examples:
        # Each is called `app.py`, so it gets a name of its own beside the files that it imports.
        shutil.copy(example.file, into / f"{example.name}_app.py")
        for directory in example.path:
            paths += ["-p", str(directory)]
    names = [f"{example.name}_app" for example in examples]
    lists = ", ".join(f"{name}.Consumer" for name in names)
    text = TOGETHER.format(modules=", ".join(names), lists=lists, template=template)
    (into / "together.py").write_text(text, encoding="utf-8")
    # Nothing is activated.
    environment = {key: os.environ[key] for key in os.environ if key != "VIRTUAL_ENV"}
    done = subprocess.run(
        [COMMAND, "build", "together", *paths, "-o", "build/together.wasm"],
        cwd=into,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return into / "build/together.wasm"


class Host:
    """A host with one module, on free ports, until the end of a `with`. It keeps its data in a directory.

    `reaching` are the servers outside that are granted to the module.
    """

    def __init__(self, component: Path, directory: Path, *, reaching: Sequence[str] = ()) -> None:
        self.component = component
        self._reaching = list(reaching)
        self._directory = directory
        self._data = directory / "data"

    def __enter__(self) -> Self:
        settings = self._directory / "tidegate.toml"
        (self._directory / "sessions.secret").write_text(SECRET)
        settings.write_text(
            '[upload]\ncompile_time = "5m"\n[layer]\nretry_pause = "10ms"\n'
            # Tests make one fault after the other in a module that is to go on.
            "[breaker]\nenabled = false\n"
            f'[auth.tests]\nalgorithms = ["HS256"]\nsecret = "{SECRET}"\n'
            f'[sessions]\nsecrets = {{ file = "{self._directory}/sessions.secret" }}\n'
            f"[modules.{MODULE}]\ngrants.sessions = true\ngrants.http = {json.dumps(self._reaching)}\n"
            "limits.fuel = 20_000_000_000\n"
        )
        self.log = self._directory / "log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    os.environ["TIDEGATE"], "serve", "--config", str(settings),
                    "--module", f"{MODULE}={self.component}",
                    "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data-dir", str(self._data),
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )  # fmt: skip
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if found := re.match(r"serving http://\S+:(\d+)", line):
                self.port = int(found[1])
            if found := re.match(r"admin +(http://\S+)", line):
                self._admin = found[1]
                return self
        raise AssertionError(f"the host did not start: {self.log.read_text()}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.communicate(timeout=60)

    def routes(self) -> list[str]:
        """The lines of `tidegate routes` for the component, which is compiled already."""
        settings = str(self._directory / "tidegate.toml")
        command = [os.environ["TIDEGATE"], "routes", "--config", settings, "--module", f"{MODULE}={self.component}"]
        done = subprocess.run([*command, "--data-dir", str(self._data)], capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    def logged(self, *texts: str) -> None:
        """Waits until the records of runs have each of these texts."""
        command = [os.environ["TIDEGATE"], "logs", "--json", "--follow", "--limit", "1000", "--admin", self._admin]
        missing = set(texts)
        with subprocess.Popen([*command, "--data-dir", str(self._data)], stdout=subprocess.PIPE, text=True) as logs:
            assert logs.stdout is not None
            for line in logs.stdout:
                missing -= {text for text in missing if text in str(json.loads(line).get("detail"))}
                if not missing:
                    break
            logs.terminate()
        assert not missing, missing

    def records(self, identities: set[str]) -> dict[str, dict[str, Any]]:
        """The records of runs. Waits until they are there."""
        command = [os.environ["TIDEGATE"], "logs", "--json", "--follow", "--limit", "1000", "--admin", self._admin]
        found: dict[str, dict[str, Any]] = {}
        with subprocess.Popen([*command, "--data-dir", str(self._data)], stdout=subprocess.PIPE, text=True) as logs:
            assert logs.stdout is not None
            for line in logs.stdout:
                record = json.loads(line)
                if record["correlation_id"] in identities:
                    found[record["correlation_id"]] = record
                if len(found) == len(identities):
                    break
            logs.terminate()
        return found


def token(user: CaseUser, seconds: int = 3600) -> str:
    """A token that the host takes. It is valid for so many seconds, which may be over."""

    def encode(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    payload = {**user.claims, "sub": user.id, "exp": int(time.time()) + seconds}
    signed = ".".join(encode(json.dumps(part).encode()) for part in ({"alg": "HS256"}, payload))
    return f"{signed}.{encode(hmac.digest(SECRET.encode(), signed.encode(), hashlib.sha256))}"


def signed_in(headers: dict[str, str], user: CaseUser | None) -> dict[str, str]:
    """Header fields, with the token of a user among them."""
    return headers if user is None else {**headers, "authorization": f"Bearer {token(user)}"}


class ServedDriver:
    """Runs cases over connections to a host."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._sockets: dict[str, ClientConnection] = {}

    def request(self, request: CaseRequest) -> CaseResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        try:
            connection.request(
                request.method, request.path, request.body or None, signed_in(request.headers, request.user)
            )
            response = connection.getresponse()
            # Header fields are bytes; those of the cases are UTF-8.
            headers = [(name, value.encode("latin-1").decode()) for name, value in response.getheaders()]
            return CaseResponse(response.status, headers, response.read())
        finally:
            connection.close()

    def open(self, name: str, handshake: CaseHandshake) -> Opened:
        try:
            socket = connect(
                f"ws://127.0.0.1:{self._port}{handshake.path}",
                subprotocols=handshake.subprotocols or None,  # type: ignore[arg-type]
                additional_headers=signed_in(handshake.headers, handshake.user),
                open_timeout=PATIENCE,
                proxy=None,
                legacy=True,
            )
        except InvalidStatus as error:
            return Opened(error.response.status_code)
        self._sockets[name] = socket
        return Opened(subprotocol=socket.subprotocol)

    def send(self, name: str, frame: str | bytes) -> None:
        self._sockets[name].send(frame)

    def receive(self, name: str) -> str | bytes | Close:
        try:
            return self._sockets[name].recv(timeout=PATIENCE)
        except TimeoutError:
            raise CaseError("nothing comes") from None
        except ConnectionClosed as error:
            frame = error.rcvd
            return Close(frame.code, frame.reason) if frame else Close(1006)

    def close(self, name: str, code: int) -> None:
        self._sockets[name].close(code)

    def reset(self) -> None:
        for socket in self._sockets.values():
            socket.close()
        self._sockets.clear()
