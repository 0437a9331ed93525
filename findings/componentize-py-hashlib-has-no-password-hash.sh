#!/usr/bin/env bash
# hashlib has neither scrypt nor pbkdf2_hmac in a component of componentize-py 0.25.1, so no function that hashes
# passwords: its Python is built without OpenSSL. Code that calls them works in Python outside and builds without a
# word; the call ends with AttributeError. hmac and all of algorithms_guaranteed, md5 and blake2b among them, are there.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check componentize-py==0.25.1 wasmtime==50.0.1
mkdir wit
cat >wit/world.wit <<'WIT'
package example:app;

world app {
    export report: func() -> string;
}
WIT
# scrypt and pbkdf2_hmac get examples of RFC 7914.
cat >app.py <<'PYTHON'
import hashlib
import hmac
import platform

CALLS = {
    "scrypt": lambda: hashlib.scrypt(b"password", salt=b"NaCl", n=1024, r=8, p=16),
    "pbkdf2_hmac": lambda: hashlib.pbkdf2_hmac("sha256", b"passwd", b"salt", 1),
    "hmac": lambda: hmac.digest(b"key", b"text", "sha512"),
    "md5": lambda: hashlib.new("md5", b"text").digest(),
    "blake2b": lambda: hashlib.blake2b(b"text", key=b"key").digest(),
}


def tried(call) -> str:
    try:
        return call().hex()[:16]
    except AttributeError as error:
        return f"AttributeError: {error}"


class WitWorld:
    def report(self) -> str:
        guaranteed = [hashlib.new(name, b"text").name for name in hashlib.algorithms_guaranteed]
        return "\n".join(
            [
                f"Python {platform.python_version()}",
                *(f"{name}: {tried(call)}" for name, call in CALLS.items()),
                f"algorithms_guaranteed: {len(guaranteed)} work",
            ]
        )
PYTHON
cat >run.py <<'PYTHON'
from wasmtime import Config, Engine, Store, WasiConfig
from wasmtime.component import Component, Linker

config = Config()
config.cranelift_opt_level = "none"
engine = Engine(config)
store = Store(engine)
store.set_wasi(WasiConfig())
linker = Linker(engine)
linker.add_wasip2()
app = linker.instantiate(store, Component.from_file(engine, "app.wasm"))
print(app.get_func(store, "report")(store))
PYTHON

version() {
    env/bin/pip show "$1" | sed -n 's/^Version: //p'
}
echo "componentize-py $(version componentize-py), run by wasmtime $(version wasmtime)"
outside=$(env/bin/python -c 'import app; print(app.WitWorld().report())')
env/bin/componentize-py --wit-path wit --world app componentize app -o app.wasm >&2
inside=$(env/bin/python run.py)
printf '%s\n' "outside:" "$outside" "" "in the component:" "$inside"

# What Python outside says, but for the two functions.
lacks="AttributeError: module 'hashlib' has no attribute"
expected=$(sed -E "1d; s/^(scrypt|pbkdf2_hmac): .*/\1: $lacks '\1'/" <<<"$outside")
if [ "$(sed 1d <<<"$inside")" = "$expected" ] && ! grep --quiet AttributeError <<<"$outside"; then
    echo "as stated: in a component hashlib lacks scrypt and pbkdf2_hmac, and nothing else that was tried"
else
    echo "changed: a component has other functions of hashlib, or Python outside lacks some" >&2
    exit 1
fi
