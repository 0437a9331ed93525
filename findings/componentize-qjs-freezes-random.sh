#!/usr/bin/env bash
# componentize-qjs 0.4.5, with its usual options: Math.random gives what it gave when the component was built, in every
# instance, although the component may call wasi:random and clocks are fresh. A module that draws tokens with it hands
# out the same ones again and again.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat >package.json <<'JSON'
{
  "private": true,
  "type": "module",
  "dependencies": {
    "@bytecodealliance/jco": "1.35.0",
    "@bytecodealliance/preview2-shim": "0.26.0",
    "componentize-qjs": "0.4.5"
  },
  "overrides": { "@bytecodealliance/preview2-shim": "0.26.0" }
}
JSON
mkdir wit
cat >wit/world.wit <<'WIT'
package example:chance;
world chance { export draw: func() -> string; }
WIT
cat >build.js <<'JS'
import { writeFile } from "node:fs/promises";
import { componentize } from "componentize-qjs";
const jsSource = "export function draw() { return [Math.random(), Math.random(), Date.now()].join(); }";
const { component } = await componentize({ witPath: "wit", jsSource, world: "chance", sync: true });
await writeFile("chance.wasm", component);
JS
cat >run.js <<'JS'
const { draw } = await import("./made/chance.js");
console.log(draw());
JS

npm install --silent --no-audit --no-fund >&2
node build.js >&2
npx --no-install jco transpile chance.wasm --name chance --out-dir made >&2
version=$(node -p 'JSON.parse(require("fs").readFileSync("node_modules/componentize-qjs/package.json")).version')
echo "node $(node --version), componentize-qjs $version, run by jco $(npx --no-install jco --version)"

# Each run is a process, and so an instance, of its own.
run() {
    node --experimental-wasm-extended-const run.js
}
one=$(run)
other=$(run)
printf 'two draws and the time, in two instances:\n%s\n%s\n' "$one" "$other"
if [ "${one%,*}" = "${other%,*}" ] && [ "${one##*,}" != "${other##*,}" ]; then
    echo "as stated: both instances draw the same numbers, at different times"
else
    echo "changed: the instances draw ${one%,*} and ${other%,*}"
    exit 1
fi
