"""Sends to a channel or to a group, or prints what is sent to a channel.

    python peer.py REDIS send CHANNEL JSON
    python peer.py REDIS group-send GROUP JSON
    python peer.py REDIS receive CHANNEL
"""

from __future__ import annotations

import asyncio
import json
import sys

from layer import Layer


async def receive(layer: Layer, channel: str) -> None:
    """Prints each message as a line, for ever."""
    print(f"reading {channel}", flush=True)
    async for content in layer.receive(channel):
        print(json.dumps(content, default=repr), flush=True)


async def run(url: str, command: str, name: str, *rest: str) -> int:
    """Does what the arguments say. Returns the exit status."""
    layer = Layer(url)
    await layer.renew(layer.partition_of(name))
    match command, rest:
        case "send", [text]:
            if not await layer.send(name, json.loads(text)):
                print(f"{name} is full or gone", file=sys.stderr)
                return 11
        case "group-send", [text]:
            reached = await layer.group_send(name, json.loads(text))
            print(f"reached {reached}")
        case "receive", []:
            await receive(layer, name)
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    sys.exit(asyncio.run(run(*sys.argv[1:])))
