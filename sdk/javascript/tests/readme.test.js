/** The README of the project says hello as it stands there. */

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

import { TestHost } from "../src/testing/index.js";

test("the README of the project says hello in JavaScript", async () => {
  const readme = await readFile(new URL("../../../README.md", import.meta.url), "utf8");
  const [, block = ""] = readme.match(/^```js\n(.*?)^```/ms) ?? [];
  const sdk = new URL("../src/index.js", import.meta.url).href;
  const folder = await mkdtemp(join(tmpdir(), "tidegate-readme-"));
  try {
    const file = join(folder, "app.mjs");
    await writeFile(file, block.replace("@tidegate/sdk", sdk));
    const { default: app } = await import(pathToFileURL(file).href);
    const answer = await new TestHost(app, { module: "hello" }).get("/hello/Ada");
    assert.equal(answer.text(), "Hello, Ada!\n");
  } finally {
    await rm(folder, { recursive: true });
  }
});
