#!/usr/bin/env bash
# componentize-py 0.25.1 that is run by its path in a virtual environment does not see the packages of that
# environment, although Python that is run so does: the build ends with ModuleNotFoundError. With VIRTUAL_ENV set, as
# `activate` does, or with `-p` for the folder of packages, the same build works.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check componentize-py==0.25.1 msgpack==1.2.4
mkdir wit
cat > wit/world.wit <<'WIT'
package example:app;

world app {
    export greet: func() -> string;
}
WIT
cat > app.py <<'PYTHON'
import msgpack.fallback


class WitWorld:
    def greet(self) -> str:
        return str(msgpack.fallback.Packer().pack("hello"))
PYTHON

build() {
    if env "$@" env/bin/componentize-py --wit-path wit --world app componentize app -o app.wasm >log 2>&1; then
        echo "built"
    else
        grep --max-count 1 --only-matching "ModuleNotFoundError: No module named 'msgpack'" log || cat log
    fi
}

echo "componentize-py $(env/bin/pip show componentize-py | sed -n 's/^Version: //p'), $(env/bin/python --version)"
echo "python by its path: $(env/bin/python -c 'import msgpack; print("finds msgpack")')"
without=$(build -u VIRTUAL_ENV)
with=$(build VIRTUAL_ENV="$work/env")
echo "componentize-py by its path: $without"
echo "with VIRTUAL_ENV: $with"
if [ "$without" = "ModuleNotFoundError: No module named 'msgpack'" ] && [ "$with" = built ]; then
    echo "as stated: only with VIRTUAL_ENV it sees the packages beside it"
else
    echo "changed: the two builds end otherwise" >&2
    exit 1
fi
