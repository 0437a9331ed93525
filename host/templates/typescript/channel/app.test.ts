/** Runs the consumers natively, without WebAssembly and without a host. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { TestHost } from "@tidegate/sdk/testing";

import app from "./app.ts";

const newHost = () => new TestHost(app, { module: "module-name" });

test("a job is accepted and done", async () => {
  const host = newHost();
  const job = { text: "high water at noon" };
  const answer = await host.request("POST", "/module-name", { json: job });
  assert.deepEqual([answer.status, answer.text()], [202, "it will be done\n"]);
  assert.equal(host.messages("module-name.count").length, 1);
  assert.equal(host.logs[0]?.text, "4 words");
  assert.deepEqual(host.faults, []);
});

test("what is no job is refused", async () => {
  const host = newHost();
  const answer = await host.request("POST", "/module-name", { body: "many" });
  assert.equal(answer.status, 415);
  assert.deepEqual(host.messages("module-name.count"), []);
});
