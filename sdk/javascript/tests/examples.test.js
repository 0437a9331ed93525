/** The examples pass their cases natively. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

import { TestHost, runCases } from "@tidegate/sdk/testing";

import { cases, examples, source } from "./examples.js";

for (const [name, file] of Object.entries(examples)) {
  test(`${name} passes its cases natively`, async () => {
    const { default: app } = await import(pathToFileURL(source(name, file)).href);
    const host = new TestHost(app, { module: name });
    for (const text of await cases(name)) await runCases(text, host);
    assert.deepEqual(host.faults, []);
  });
}

test("the surface passes its cases natively", async () => {
  const { default: app } = await import("./surface.js");
  const host = new TestHost(app, { module: "surface" });
  await runCases(await readFile(new URL("surface.json", import.meta.url), "utf8"), host);
  assert.equal(host.faults.length, 1);
  assert.match(
    host.faults[0]?.text ?? "",
    /^TypeError: not a number \(at tests\/surface\.js:\d+\)$/,
  );
});
