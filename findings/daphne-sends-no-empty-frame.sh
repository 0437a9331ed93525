#!/usr/bin/env bash
# Daphne sends no WebSocket frame that is empty, though the ASGI specification takes an empty text or bytes in
# websocket.send; uvicorn sends it. No error is raised or logged.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet --disable-pip-version-check install \
    daphne==4.2.3 uvicorn==0.54.0 websockets==17.4

cat >"$work/served.py" <<'PYTHON'
async def application(scope, receive, send):
    if scope["type"] != "websocket":
        raise ValueError(scope["type"])
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": ""})
    await send({"type": "websocket.send", "bytes": b""})
    await send({"type": "websocket.send", "text": "last"})
    while (await receive())["type"] != "websocket.disconnect":
        pass
PYTHON

cat >"$work/client.py" <<'PYTHON'
import asyncio, socket, subprocess, sys, time
from importlib.metadata import version
from pathlib import Path
from websockets.asyncio.client import connect

BIN = Path(sys.executable).parent


async def frames(port):
    async with connect(f"ws://127.0.0.1:{port}/") as client:
        got = []
        while not got or got[-1] != "last":
            got.append(await asyncio.wait_for(client.recv(), 20))
        return got


def served_by(name, *command):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(BIN / name), *(str(port) if part == "PORT" else part for part in command), "served:application"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(400):
            try:
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                break
            except OSError:
                time.sleep(0.05)
        got = asyncio.run(frames(port))
    finally:
        process.terminate()
        process.wait()
    print(f"{name} {version(name)} sent {got!r}")
    return got


daphne = served_by("daphne", "-b", "127.0.0.1", "-p", "PORT")
uvicorn = served_by("uvicorn", "--host", "127.0.0.1", "--port", "PORT", "--lifespan", "off")
sys.exit(0 if daphne == ["last"] and uvicorn == ["", b"", "last"] else 3)
PYTHON

status=0
(cd "$work" && "$work/venv/bin/python" client.py) || status=$?
if [ "$status" -eq 0 ]; then
    echo "as stated: Daphne sent none of the two empty frames"
elif [ "$status" -eq 3 ]; then
    echo "changed: Daphne sent an empty frame, or uvicorn did not"
    exit 1
else
    exit "$status"
fi
