#!/usr/bin/env bash
# jco componentize --disable all: Math.random, crypto.randomUUID and Date.now give what they gave when
# the component was built, in every instance. The flag is the usual way to be rid of WASI imports.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat >package.json <<'JSON'
{
  "private": true,
  "type": "module",
  "dependencies": { "@bytecodealliance/jco": "1.35.0", "@bytecodealliance/preview2-shim": "0.26.0" },
  "overrides": { "@bytecodealliance/preview2-shim": "0.26.0" }
}
JSON
cat >world.wit <<'WIT'
package example:chance;
world chance { export draw: func() -> string; }
WIT
cat >chance.js <<'JS'
export function draw() {
  return JSON.stringify([Math.random(), crypto.randomUUID(), Date.now()]);
}
JS
cat >run.js <<'JS'
import { pathToFileURL } from "node:url";
const { draw } = await import(pathToFileURL(`${process.argv[2]}/chance.js`));
console.log(draw());
JS

npm install --silent --no-audit --no-fund >&2
echo "node $(node --version), jco $(npx --no-install jco --version)"

# Each run is a process, and so an instance, of its own.
build() {
    local name=$1
    shift
    npx --no-install jco componentize chance.js --wit world.wit --world-name chance \
        --out "$name.wasm" "$@" >&2
    npx --no-install jco transpile "$name.wasm" --name chance --out-dir "$name" >&2
}
build frozen --disable all
build usual --disable http --disable fetch-event
frozen=("$(node run.js frozen)" "$(node run.js frozen)")
usual=("$(node run.js usual)" "$(node run.js usual)")
printf '%s\n' "--disable all, two instances:" "${frozen[@]}" \
    "--disable http --disable fetch-event, two instances:" "${usual[@]}"

if [ "${frozen[0]}" = "${frozen[1]}" ] && [ "${usual[0]}" != "${usual[1]}" ]; then
    echo "as stated: with --disable all each instance draws the same; without, they differ"
else
    echo "changed: with --disable all instances draw ${frozen[*]}; without, ${usual[*]}"
    exit 1
fi
