/** Runs the consumers natively, without WebAssembly and without a host. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { TestHost } from "@tidegate/sdk/testing";

import app from "./app.ts";

const newHost = () => new TestHost(app, { module: "module-name" });

test("the name in the path is greeted", async () => {
  assert.equal((await newHost().get("/module-name/Ada")).text(), "Hello, Ada!\n");
});

test("JSON is answered with JSON", async () => {
  const response = await newHost().request("POST", "/module-name", { json: { name: "Ada" } });
  assert.equal(response.text(), '{"text":"Hello, Ada!"}');
});

test("a body without a name is refused", async () => {
  const response = await newHost().request("POST", "/module-name", { json: {} });
  assert.equal(response.status, 400);
});
