"""Runs a file of cases, the same that the host's tests run against a compiled module.

`guest-sdk/src/docs/cases.md` of the project describes the steps.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tidegate_sdk.frame import Close
from tidegate_sdk.testing.clients import Denied, TestSocket
from tidegate_sdk.testing.host import TestHost
from tidegate_sdk.wire import Frame


@dataclass(frozen=True)
class CaseUser:
    """A user of a case, with claims."""

    id: str
    claims: dict[str, Any]


@dataclass(frozen=True)
class CaseRequest:
    """A request of a case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    user: CaseUser | None = None


@dataclass(frozen=True)
class CaseHandshake:
    """A handshake of a case."""

    path: str
    subprotocols: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    user: CaseUser | None = None


@dataclass(frozen=True)
class CaseResponse:
    """The response to a request of a case."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True)
class Opened:
    """The answer to a handshake: a status if it was denied."""

    denied: int | None = None
    subprotocol: str | None = None


class Driver(Protocol):
    """Runs the steps of cases: on a `TestHost`, or over connections to a host.

    Methods raise `CaseError` where a step cannot be done. A wrong answer is no error of theirs.
    """

    def request(self, request: CaseRequest) -> CaseResponse:
        """Sends a request and waits for the whole response."""
        ...

    def open(self, name: str, handshake: CaseHandshake) -> Opened:
        """Asks for a WebSocket and keeps it under a name."""
        ...

    def send(self, name: str, frame: Frame) -> None:
        """Sends a message."""
        ...

    def receive(self, name: str) -> Frame | Close:
        """Waits for what comes next."""
        ...

    def close(self, name: str, code: int) -> None:
        """Closes a connection."""
        ...

    def reset(self) -> None:
        """A case is over: drops the connections that are left."""
        ...


class CaseError(AssertionError):
    """A case does not hold: the text says which, at which step, and how."""


class Cases:
    """The cases of a file."""

    def __init__(self, file: Path) -> None:
        self._cases: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
        if not self._cases:
            raise CaseError(f"{file}: there is no case")

    @property
    def names(self) -> list[str]:
        """The names of the cases."""
        return [case["name"] for case in self._cases]

    def run(self, driver: Driver) -> None:
        """Runs all cases in order. Raises `CaseError` at the first step that goes wrong."""
        for case in self._cases:
            if set(case) != {"name", "steps"}:
                raise CaseError(f"a case has a name and steps, not {sorted(case)}")
            try:
                for number, step in enumerate(case["steps"], 1):
                    try:
                        _run_step(step, driver)
                    except CaseError as error:
                        raise CaseError(f'case "{case["name"]}", step {number}: {error}') from None
            finally:
                driver.reset()


_VERBS = {
    "request": {"expect"},
    "open": {"path", "subprotocols", "headers", "signed_in", "claims", "expect"},
    "send": {"text", "json", "hex"},
    "receive": {"text", "json", "hex"},
    "close": {"code"},
    "expect_close": {"code"},
}
_EXPECT = {"status", "text", "json", "headers", "subprotocol", "denied"}


def _run_step(step: dict[str, Any], driver: Driver) -> None:
    verbs = [verb for verb in _VERBS if verb in step]
    if len(verbs) != 1 or set(step) - _VERBS[verbs[0]] - {verbs[0]}:
        raise CaseError(f"a step has exactly one of {', '.join(_VERBS)}, and what belongs to it: {step}")
    verb = verbs[0]
    about = step[verb]
    expect = step.get("expect", {})
    if set(expect) - _EXPECT:
        raise CaseError(f"`expect` has {sorted(set(expect) - _EXPECT)}, which it does not know")
    match verb:
        case "request":
            _check_response(driver.request(_request(about)), expect)
        case "open":
            handshake = CaseHandshake(step["path"], step.get("subprotocols", []), step.get("headers", {}), _user(step))
            _check_opened(driver.open(about, handshake), expect)
        case "send":
            driver.send(about, _frame(step))
        case "receive":
            _check_frame(driver.receive(about), step)
        case "close":
            driver.close(about, step.get("code", 1000))
        case _:
            got = driver.receive(about)
            if not isinstance(got, Close) or got.code != step["code"]:
                raise CaseError(f"expected a close with code {step['code']}, got {got!r}")


def _request(about: dict[str, Any]) -> CaseRequest:
    unknown = set(about) - {"method", "path", "headers", "body", "json", "signed_in", "claims"}
    if unknown or ("body" in about and "json" in about):
        raise CaseError(f"a request has a method, path, headers, a body or JSON, and a user: {about}")
    headers = dict(about.get("headers", {}))
    body = about.get("body", "")
    if "json" in about:
        headers["content-type"] = "application/json"
        body = _dumps(about["json"])
    return CaseRequest(about.get("method", "GET"), about["path"], headers, body.encode(), _user(about))


def _user(about: dict[str, Any]) -> CaseUser | None:
    if "signed_in" in about:
        return CaseUser(about["signed_in"], about.get("claims", {}))
    if "claims" in about:
        raise CaseError("`claims` are those of a user: `signed_in` has the id")
    return None


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _frame(step: dict[str, Any]) -> Frame:
    given = [key for key in ("text", "json", "hex") if key in step]
    if len(given) != 1:
        raise CaseError("a message has exactly one of text, json and hex")
    value = step[given[0]]
    if given[0] == "hex":
        return bytes.fromhex(value)
    return _dumps(value) if given[0] == "json" else str(value)


def _check_frame(got: Frame | Close, step: dict[str, Any]) -> None:
    if isinstance(got, Close):
        raise CaseError(f"expected a message, got {got!r}")
    if "json" in step:
        if not isinstance(got, str) or not matches(step["json"], _loads(got)):
            raise CaseError(f"expected {step['json']}, got {got!r}")
    elif got != _frame(step):
        raise CaseError(f"expected {_frame(step)!r}, got {got!r}")


def _loads(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise CaseError(f"expected JSON ({error}), got {text!r}") from None


def _check_response(got: CaseResponse, expect: dict[str, Any]) -> None:
    text = got.body.decode(errors="replace")
    is_right = (
        expect.get("status", got.status) == got.status
        and expect.get("text", text) == text
        and ("json" not in expect or matches(expect["json"], _loads(got.body)))
    )
    if not is_right:
        raise CaseError(f"expected {expect}, got status {got.status} with body {text!r}")
    for name, wanted in expect.get("headers", {}).items():
        values = [value for known, value in got.headers if known.lower() == name.lower()]
        if not any(wanted in ("*", value) for value in values):
            raise CaseError(f"expected the header {name}: {wanted}, got {got.headers}")


def _check_opened(got: Opened, expect: dict[str, Any]) -> None:
    if got.denied != expect.get("denied") or expect.get("subprotocol", got.subprotocol) != got.subprotocol:
        raise CaseError(f"expected {expect or 'an open connection'}, got {got}")


def matches(expected: Any, got: Any) -> bool:
    """Whether a value is as expected. The text `"*"` stands for any value, also within lists and maps."""
    if expected == "*":
        return True
    if isinstance(expected, list) and isinstance(got, list):
        return len(expected) == len(got) and all(map(matches, expected, got))
    if isinstance(expected, dict) and isinstance(got, dict):
        return expected.keys() == got.keys() and all(matches(value, got[key]) for key, value in expected.items())
    return type(expected) is type(got) and bool(expected == got)


def _signed_in(user: CaseUser | None) -> dict[str, Any]:
    return {} if user is None else {"signed_in": user.id, "claims": user.claims}


@dataclass
class TestHostDriver:
    """Runs cases on the test host."""

    __test__ = False

    host: TestHost
    sockets: dict[str, TestSocket] = field(default_factory=dict)

    # How long a client waits for the response to a request that is on hold, and for a message, in seconds.
    PATIENCE = 30

    def request(self, request: CaseRequest) -> CaseResponse:
        response = self.host.request(
            request.method, request.path, body=request.body, headers=request.headers, **_signed_in(request.user)
        )
        if response.is_pending:
            self.host.advance(self.PATIENCE)
        if response.is_pending:
            raise CaseError(f"the request is on hold for more than {self.PATIENCE} s")
        return CaseResponse(response.status, response.headers, response.body)

    def open(self, name: str, handshake: CaseHandshake) -> Opened:
        try:
            socket = self.host.websocket(
                handshake.path,
                subprotocols=handshake.subprotocols,
                headers=handshake.headers,
                **_signed_in(handshake.user),
            )
        except Denied as denied:
            return Opened(denied.status)
        self.sockets[name] = socket
        return Opened(subprotocol=socket.subprotocol)

    def send(self, name: str, frame: Frame) -> None:
        if self._socket(name).closed:
            raise CaseError(f"{name} is closed: {self._socket(name).closed}")
        self._socket(name).send(frame)

    def receive(self, name: str) -> Frame | Close:
        socket = self._socket(name)
        # A client waits, as long as it takes for what is to come later.
        for waited in range(self.PATIENCE + 1):
            if waited:
                self.host.advance(1)
            frame = socket.receive()
            if frame is not None:
                return frame
            if socket.closed is not None:
                return socket.closed
        raise CaseError("nothing comes")

    def close(self, name: str, code: int) -> None:
        self._socket(name).close(code)

    def reset(self) -> None:
        for socket in self.sockets.values():
            socket.drop()
        self.sockets.clear()

    def _socket(self, name: str) -> TestSocket:
        if name not in self.sockets:
            raise CaseError(f"there is no connection {name}")
        return self.sockets[name]
