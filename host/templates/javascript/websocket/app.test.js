/** Runs the consumers natively, without WebAssembly and without a host. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { TestHost } from "@tidegate/sdk/testing";

import app from "./app.js";

const newHost = () => new TestHost(app, { module: "module-name" });

test("each message is answered and counted", async () => {
  const socket = await newHost().websocket("/module-name/socket");
  await socket.send("ahoy");
  await socket.send("again");
  assert.equal(socket.receive(), "1: you said ahoy");
  assert.equal(socket.receive(), "2: you said again");
});

test("connections are counted apart", async () => {
  const host = newHost();
  const one = await host.websocket("/module-name/socket");
  const other = await host.websocket("/module-name/socket");
  await one.send("ahoy");
  await other.send("ahoy");
  assert.equal(one.receive(), "1: you said ahoy");
  assert.equal(other.receive(), "1: you said ahoy");
});

test("the page is there", async () => {
  const page = await newHost().get("/module-name");
  assert.equal(page.status, 200);
  assert.ok(page.text().includes("<title>module-name</title>"));
});
