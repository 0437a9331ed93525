#!/usr/bin/env bash
# componentize-qjs 0.4.5 with `sync`, which a host without WASI 0.3 needs: what stands behind `then` or `await` never
# runs, neither before the exported function returns nor in any later call. Nothing is said of it. So code with promises
# needs an implementation of its own, with its own queue.
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
package example:jobs;
world jobs {
    export begin: func();
    export state: func() -> string;
}
WIT
cat >build.js <<'JS'
import { writeFile } from "node:fs/promises";
import { componentize } from "componentize-qjs";
const jsSource = `
let seen = "begun";
export function begin() { Promise.resolve().then(() => { seen = "done"; }); }
export function state() { return seen; }
`;
const { component } = await componentize({ witPath: "wit", jsSource, world: "jobs", sync: true });
await writeFile("jobs.wasm", component);
JS
cat >run.js <<'JS'
const { begin, state } = await import("./made/jobs.js");
begin();
console.log(`in the next call: ${state()}`);
await new Promise((resolve) => setTimeout(resolve, 200));
console.log(`after a while: ${state()}`);
begin();
console.log(`after another job: ${state()}`);
JS

npm install --silent --no-audit --no-fund >&2
node build.js >&2
npx --no-install jco transpile jobs.wasm --name jobs --out-dir made >&2
version=$(node -p 'JSON.parse(require("fs").readFileSync("node_modules/componentize-qjs/package.json")).version')
echo "node $(node --version), componentize-qjs $version, run by jco $(npx --no-install jco --version)"
output=$(node --experimental-wasm-extended-const run.js)
echo "$output"
if (($(grep -c ': begun$' <<<"$output") == 3)); then
    echo "as stated: the job of the promise has not run"
else
    echo "changed: the job of the promise has run" >&2
    exit 1
fi
