"""Sends to a channel or a group, or prints what is sent to a channel: `python -m tidegate`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

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
        with SyncClient(known.layer, prefix=known.prefix, partitions=known.partitions) as client:
            run(client, known)
    except (ConfigError, InvalidName, InvalidMessage, MessageTooLarge) as error:
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
