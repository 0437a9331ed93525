"""Connections to Redis servers. Commands that wait together go out together, and none runs twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from redis.asyncio.connection import Connection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    NoScriptError,
    RedisError,
    ResponseError,
)

from . import tasks
from .errors import Closed, LayerUnavailable, TidegateError, UnsuitableServer
from .scripts import Script, scripts
from .topology import Address

Command = tuple[str | bytes | int, ...]

# Commands that go out at once.
MOST_AT_ONCE = 256
# An idle connection may have ended meanwhile; it is looked at before it is used again.
IDLE_SECONDS = 0.5
LEAST_VERSION = (7, 0)


class Line:
    """One connection. It does not try again: a script that may have run must not run again."""

    def __init__(self, address: Address, timeout: float) -> None:
        self.address = address
        usual: dict[str, Any] = {
            "retry": Retry(NoBackoff(), 0),
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            "protocol": 2,
        }
        pool = ConnectionPool(**(usual | address.settings))
        self._connection: Connection = pool.make_connection()  # type: ignore[no-untyped-call]
        self._used = 0.0

    async def run(self, commands: Sequence[Command], wait: float | None = None) -> list[Any]:
        """Returns the answers; an error that the server answers with is one of them.

        `wait` is how long an answer may take beyond the usual. Cancellation ends the connection.
        """
        connection = self._connection
        try:
            await self._open()
            await connection.send_packed_command(connection.pack_commands(commands))
            answers = [await self._answer(wait) for _ in commands]
        except (RedisError, OSError, TimeoutError) as error:
            await self.close()
            raise unavailable(self.address, error) from error
        except BaseException:
            # Answers would come to somebody else.
            await self.close()
            raise
        self._used = time.monotonic()
        return answers

    async def _open(self) -> None:
        connection = self._connection
        if connection.is_connected and time.monotonic() - self._used > IDLE_SECONDS:
            try:
                is_over = await connection.can_read()
            except (RedisError, OSError):
                is_over = True
            if is_over:
                await connection.disconnect()
        await connection.connect()  # type: ignore[no-untyped-call]

    async def _answer(self, wait: float | None) -> Any:
        try:
            if wait is None:
                return await self._connection.read_response()
            return await self._connection.read_response(timeout=wait)
        except ResponseError as error:
            return error

    async def close(self) -> None:
        """Ends the connection; the next command opens it again."""
        await self._connection.disconnect(nowait=True)


class Server:
    """A server: one connection for commands, and as many as are asked for to wait on."""

    def __init__(self, address: Address, timeout: float) -> None:
        self.address = address
        self.timeout = timeout
        self._line = Line(address, timeout)
        self._waiting: list[tuple[Command, asyncio.Future[Any]]] = []
        self._sending: asyncio.Task[None] | None = None
        self._is_checked = False
        self._is_closed = False

    def line(self) -> Line:
        """Returns a connection of its own, for commands that block."""
        return Line(self.address, self.timeout)

    async def script(self, script: Script, base: str, *arguments: str | bytes | int) -> Any:
        """Runs a script. Cancellation before it is sent means that it does not run."""
        answer = await self.command("EVALSHA", script.sha, 1, base, *arguments)
        if isinstance(answer, NoScriptError):
            # It did not run, so it may be sent again.
            await self.command("SCRIPT", "LOAD", script.source)
            answer = await self.command("EVALSHA", script.sha, 1, base, *arguments)
        return answer

    async def command(self, *command: str | bytes | int) -> Any:
        """Runs a command. An error of the server is returned, not raised."""
        if self._is_closed:
            raise Closed("the client is closed; make another one")
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, answer))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())
        return await answer

    async def _send(self) -> None:
        try:
            while self._waiting:
                batch = [one for one in self._waiting[:MOST_AT_ONCE] if not one[1].done()]
                del self._waiting[:MOST_AT_ONCE]
                if batch:
                    await self._send_batch(batch)
        finally:
            self._sending = None

    async def _send_batch(self, batch: list[tuple[Command, asyncio.Future[Any]]]) -> None:
        answers: Sequence[Any]
        try:
            await self._check()
            answers = await self._line.run([command for command, _ in batch])
        except TidegateError as error:
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
            return
        except BaseException:
            for _, answer in batch:
                answer.cancel()
            raise
        for (_, answer), result in zip(batch, answers, strict=True):
            if not answer.done():
                answer.set_result(result)

    async def _check(self) -> None:
        if self._is_checked:
            return
        answers = await self._line.run(
            [("INFO",), *(("SCRIPT", "LOAD", script.source) for script in scripts().values())]
        )
        for answer in answers:
            if isinstance(answer, ResponseError):
                raise refused(self.address, answer)
        check_server(self.address, _facts(answers[0]))
        self._is_checked = True

    async def close(self) -> None:
        """Ends the connection for commands."""
        self._is_closed = True
        if self._sending is not None:
            await tasks.end([self._sending])
        await self._line.close()


def _facts(info: bytes | str) -> dict[str, str]:
    text = info.decode() if isinstance(info, bytes) else info
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name: value for name, value in pairs}


def check_server(address: Address, facts: dict[str, str]) -> None:
    """Refuses a server that the layer cannot work on, by what it says of itself."""
    if "valkey_version" not in facts:
        version = facts.get("redis_version", "0")
        numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
        if numbers < LEAST_VERSION:
            raise UnsuitableServer(
                f"the server at {address} is Redis {version}, and the layer needs 7.0 or later, or"
                " Valkey; update it, or give another server"
            )
    if facts.get("role", "master") != "master":
        raise UnsuitableServer(
            f"the server at {address} is a replica, and the layer writes; give its master, or"
            " redis+sentinel:// to have it found"
        )
    policy = facts.get("maxmemory_policy", "noeviction")
    if facts.get("maxmemory", "0") != "0" and policy != "noeviction":
        raise UnsuitableServer(
            f"the server at {address} has the policy {policy}, which may drop keys that are in use;"
            " set `maxmemory-policy noeviction`"
        )


def unavailable(address: Address, error: BaseException) -> LayerUnavailable:
    """Says that a server is not reached, and what to do."""
    text = str(error) or type(error).__name__
    fix = ""
    if isinstance(error, AuthenticationError | NoPermissionError) or "AUTH" in text.upper():
        fix = "; give user and password in the URL, redis://USER:PASSWORD@HOST"
    elif "refused" in text or "Connect call failed" in text:
        fix = "; start Redis there, or correct the address"
    return LayerUnavailable(f"Redis at {address}: {text}{fix}")


def refused(address: Address, error: ResponseError) -> LayerUnavailable:
    """Says that a server refuses a command, and what to do."""
    text = str(error)
    if isinstance(error, NoPermissionError) or "NOPERM" in text:
        text += "; give the user the commands that docs/redis.md lists"
    elif "OOM" in text or "maxmemory" in text:
        text += "; Redis is out of memory: raise maxmemory, or wait until messages are read"
    return LayerUnavailable(f"Redis at {address}: {text}")
