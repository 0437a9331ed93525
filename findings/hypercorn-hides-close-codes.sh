#!/usr/bin/env bash
# Hypercorn tells an application 1006 for every end of a WebSocket, whatever code the client's close frame
# has. Uvicorn passes the code on, but tells 1005, "no code", for a connection that was lost without a
# close frame, for which RFC 6455 has 1006.
set -euo pipefail

work=$(mktemp -d)
trap 'jobs -p | xargs -r kill 2>/dev/null || true; wait; rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check hypercorn==0.18.0 uvicorn==0.54.0 websockets==16.0

cat > app.py <<'PYTHON'
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] != "websocket.disconnect":
        pass
    with open("codes", "a") as codes:
        codes.write(f"{message['code']}\n")
PYTHON
cat > clients.py <<'PYTHON'
import asyncio, os, socket, subprocess, sys
import websockets

async def told(*command):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    open("codes", "w").close()
    command = [part.format(port=port) for part in command]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        for number, end in enumerate([1001, 4000, "lost"], start=1):
            while True:
                try:
                    client = await websockets.connect(f"ws://127.0.0.1:{port}/")
                    break
                except OSError:
                    await asyncio.sleep(0.1)
            if end == "lost":
                client.transport.abort()
            else:
                await client.close(end)
            while len(open("codes").readlines()) < number:
                await asyncio.sleep(0.05)
    finally:
        server.kill()
    return [int(code) for code in open("codes")]

async def main():
    print("clients end with    1001, 4000, and a connection that is lost")
    hypercorn = await told("env/bin/hypercorn", "app:app", "--bind", "127.0.0.1:{port}")
    print("hypercorn 0.18.0:  ", hypercorn)
    uvicorn = await told("env/bin/uvicorn", "app:app", "--port", "{port}")
    print("uvicorn 0.54.0:    ", uvicorn)
    return hypercorn == [1006] * 3 and uvicorn == [1001, 4000, 1005]

sys.exit(0 if asyncio.run(main()) else 1)
PYTHON
if timeout 60 env/bin/python clients.py; then
    echo "as stated: Hypercorn told 1006 three times, uvicorn 1005 for the lost connection"
else
    echo "changed: the codes are others"
    exit 1
fi
