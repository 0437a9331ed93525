"""Runs `cases.json` of an example over real sockets, as the documentation of the SDK has them."""

from __future__ import annotations

import asyncio
import http.client
import json
from typing import Any

from conftest import PATIENCE_SECONDS
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus


def matches(expected: Any, found: Any) -> bool:
    """Whether a value is the one that is expected; `*` stands for any."""
    if expected == "*":
        return True
    if isinstance(expected, dict) and isinstance(found, dict):
        return expected.keys() == found.keys() and all(
            matches(expected[k], found[k]) for k in expected
        )
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(map(matches, expected, found))
    return bool(expected == found)


class Runner:
    """Runs the steps of cases against a port."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open: dict[str, ClientConnection] = {}

    async def run(self, cases: list[dict[str, Any]], patience: float = PATIENCE_SECONDS) -> None:
        """Runs cases, each without the connections of the one before."""
        self._patience = patience
        for case in cases:
            for number, step in enumerate(case["steps"], 1):
                try:
                    await self._step(step)
                except Exception as error:
                    raise AssertionError(
                        f"case {case['name']!r}, step {number}: {error!r}"
                    ) from error
            for socket in self._open.values():
                await socket.close()
            self._open.clear()

    async def _step(self, step: dict[str, Any]) -> None:
        if "request" in step:
            await self._request(step["request"], step.get("expect", {}))
        elif "open" in step:
            await self._handshake(step)
        elif "send" in step:
            await self._open[step["send"]].send(_frame(step))
        elif "receive" in step:
            found = await self._next(self._open[step["receive"]])
            if "json" in step:
                assert matches(step["json"], json.loads(found)), found
            else:
                assert found == _frame(step), found
        elif "close" in step:
            await self._open.pop(step["close"]).close(step.get("code", 1000))
        else:
            socket = self._open[step["expect_close"]]
            try:
                raise AssertionError(await self._next(socket))
            except ConnectionClosed:
                assert socket.close_code == step["code"], socket.close_code

    async def _next(self, socket: ClientConnection) -> str | bytes:
        return await asyncio.wait_for(socket.recv(), self._patience)

    async def _request(self, request: dict[str, Any], expected: dict[str, Any]) -> None:
        body, headers = request.get("body", ""), dict(request.get("headers", {}))
        if "json" in request:
            body = json.dumps(request["json"])
            headers.setdefault("content-type", "application/json")
        status, found, text = await asyncio.to_thread(
            self._ask, request.get("method", "GET"), request["path"], headers, body.encode()
        )
        assert status == expected.get("status", status), (status, text)
        assert text == expected.get("text", text), text
        if "json" in expected:
            assert matches(expected["json"], json.loads(text)), text
        for name, value in expected.get("headers", {}).items():
            assert name in found and matches(value, found[name]), (name, found)

    def _ask(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.putrequest(method, path, skip_host="host" in {n.lower() for n in headers})
            for name, value in headers.items():
                connection.putheader(name, value)
            if body:
                connection.putheader("content-length", str(len(body)))
            connection.endheaders(body or None)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return response.status, found, response.read().decode(errors="replace")
        finally:
            connection.close()

    async def _handshake(self, step: dict[str, Any]) -> None:
        expected = step.get("expect", {})
        try:
            socket = await connect(
                f"ws://127.0.0.1:{self._port}{step['path']}",
                subprotocols=step.get("subprotocols") or None,
                additional_headers=step.get("headers"),
                open_timeout=20,
            )
        except InvalidStatus as denied:
            assert denied.response.status_code == expected.get("denied"), denied
            return
        assert "denied" not in expected, "the handshake was accepted"
        if "subprotocol" in expected:
            assert socket.subprotocol == expected["subprotocol"]
        self._open[step["open"]] = socket


def _frame(step: dict[str, Any]) -> str | bytes:
    if "json" in step:
        return json.dumps(step["json"])
    return bytes.fromhex(step["hex"]) if "hex" in step else str(step["text"])
