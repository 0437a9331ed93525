"""Sends to channels and groups, prints what is sent, runs an ASGI application: `python -m tidegate`."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import signal
import sys
from typing import Any

from .asgi.lifespan import StartFailed
from .asgi.worker import Application, Worker
from .content import Message
from .errors import (
    ChannelFull,
    ConfigError,
    InvalidMessage,
    InvalidName,
    MessageTooLarge,
    TidegateError,
)
from .sync import SyncClient

# The exit statuses of the command `tidegate`.
WRONG_SETTING, UNREACHABLE, FULL = 3, 10, 11
URL_VARIABLE = "TIDEGATE_LAYER_URL"


def parser() -> argparse.ArgumentParser:
    """Returns what reads the command line."""
    commands = argparse.ArgumentParser(prog="python -m tidegate", description=__doc__)
    commands.add_argument(
        "--layer",
        metavar="URL",
        default=os.environ.get(URL_VARIABLE),
        help=f"where Redis is, such as redis://127.0.0.1:6379/0 (or the variable {URL_VARIABLE})",
    )
    commands.add_argument("--prefix", default="tidegate", help="the start of all keys")
    commands.add_argument("--partitions", type=int, help="as the application has it")
    each = commands.add_subparsers(dest="command", required=True)
    send = each.add_parser("send", help="send to a channel")
    send.add_argument("name", metavar="CHANNEL")
    send.add_argument("json", metavar="JSON", help="an object")
    send.add_argument("--delay", type=float, metavar="SECONDS", help="send after so many seconds")
    group_send = each.add_parser("group-send", help="send to all members of a group")
    group_send.add_argument("name", metavar="GROUP")
    group_send.add_argument("json", metavar="JSON", help="an object")
    receive = each.add_parser("receive", help="print messages of a channel, one a line")
    receive.add_argument("name", metavar="CHANNEL")
    receive.add_argument("--count", type=int, metavar="N", help="end after so many")
    asgi = each.add_parser("asgi", help="run an ASGI application as the worker of a module")
    asgi.add_argument("application", metavar="MODULE:NAME", help="such as mysite.asgi:application")
    asgi.add_argument("--module", required=True, help="Tidegate's module with its routes")
    asgi.add_argument(
        "--concurrency", type=int, default=32, metavar="N", help="requests at the same time"
    )
    asgi.add_argument(
        "--deadline", type=float, default=30.0, metavar="SECONDS", help="for a request"
    )
    return commands


def message_of(text: str) -> Message:
    """Reads a message of the command line."""
    try:
        message = json.loads(text)
    except ValueError as error:
        raise InvalidMessage(
            f"the message is an object of JSON, and this is not: {error}"
        ) from error
    if not isinstance(message, dict):
        raise InvalidMessage('the message is an object of JSON, such as {"type": "tick"}')
    return message


def run(client: SyncClient, arguments: argparse.Namespace) -> None:
    """Does what the command line says."""
    name = arguments.name
    if arguments.command == "receive":
        received = 0
        while arguments.count is None or received < arguments.count:
            print(json.dumps(client.receive(name), default=_text), flush=True)
            received += 1
    elif arguments.command == "group-send":
        sent = client.group_send(name, message_of(arguments.json))
        print(f"sent to {sent.reached} nodes and channels of {name}; {sent.missed} were full")
    elif arguments.delay is not None:
        client.send_later(name, message_of(arguments.json), arguments.delay)
        print(f"to be sent to {name} in {arguments.delay:g} s")
    elif client.send(name, message_of(arguments.json)):
        print(f"sent to {name}")
    else:
        raise ChannelFull(f"the process of {name} is gone")


def application_of(name: str) -> Application:
    """Imports an application by the name of its module and its own, from the current folder too."""
    module, _, attributes = name.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module)
        for attribute in attributes.split("."):
            found = getattr(found, attribute)
    except (AttributeError, ValueError, ModuleNotFoundError) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else module
        if not f"{module}.".startswith(f"{missing}."):
            # Something that the application imports is missing.
            raise
        raise ConfigError(
            f"{name!r} is no application: {error}; give MODULE:NAME, such as mysite.asgi:application"
        ) from error
    if not callable(found):
        raise ConfigError(f"{name!r} is no application: it cannot be called")
    application: Application = found
    return application


def serve(known: argparse.Namespace) -> None:
    """Runs an application until SIGTERM or SIGINT, and then to the end of its requests."""
    worker = Worker(
        application_of(known.application),
        known.layer,
        module=known.module,
        concurrency=known.concurrency,
        deadline=known.deadline,
        prefix=known.prefix,
        partitions=known.partitions,
    )

    async def live() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, worker.stop)
        await worker.run(lambda: print(f"{known.application} serves {known.module}", flush=True))

    asyncio.run(live())


def _text(value: Any) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command. Returns the exit status."""
    known = parser().parse_args(arguments)
    try:
        if known.layer is None:
            raise ConfigError(
                f"it is not said where Redis is: give --layer URL, or set {URL_VARIABLE}"
            )
        if known.command == "asgi":
            serve(known)
            return 0
        with SyncClient(known.layer, prefix=known.prefix, partitions=known.partitions) as client:
            run(client, known)
    except (ConfigError, InvalidName, InvalidMessage, MessageTooLarge, StartFailed) as error:
        return _fail(error, WRONG_SETTING)
    except ChannelFull as error:
        return _fail(error, FULL)
    except TidegateError as error:
        return _fail(error, UNREACHABLE)
    except KeyboardInterrupt:
        return 130
    return 0


def _fail(error: Exception, status: int) -> int:
    print(f"error: {error}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
