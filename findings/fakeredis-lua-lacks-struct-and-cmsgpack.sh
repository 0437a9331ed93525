#!/usr/bin/env bash
# fakeredis runs Lua scripts without the libraries `struct` and `cmsgpack`, which each Redis and Valkey has.
# A script that uses one passes on a real server and fails there.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check 'fakeredis[lua]==2.41.0' redis==8.1.0

cat > run.py <<'PYTHON'
import sys
import fakeredis, redis

print(f"fakeredis {fakeredis.__version__}, redis-py {redis.__version__}")
client = fakeredis.FakeRedis()
assert client.eval("return cjson.encode({1})", 0) == b"[1]"
missing = []
for name, script in [
    ("struct", "return struct.pack('>I8', 5)"),
    ("cmsgpack", "return cmsgpack.pack({1})"),
    ("bit", "return bit.band(6, 3)"),
]:
    try:
        print(f"{name}: {client.eval(script, 0)}")
    except redis.ResponseError as error:
        missing.append(name)
        print(f"{name}: {str(error).splitlines()[0]}")
sys.exit(0 if {"struct", "cmsgpack"} <= set(missing) else 1)
PYTHON
if env/bin/python run.py; then
    echo "as stated: scripts of fakeredis have neither struct nor cmsgpack"
else
    echo "changed: scripts of fakeredis have struct or cmsgpack"
    exit 1
fi
