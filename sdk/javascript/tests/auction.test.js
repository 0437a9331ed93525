/** The auction: bids that race, and an end that moves. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

import { TestHost } from "@tidegate/sdk/testing";

import { source } from "./examples.js";

const { default: auction } = await import(pathToFileURL(source("auction", "app.ts")).href);

/** A host with an item that takes bids for a minute. */
async function offered() {
  const host = new TestHost(auction, { module: "auction" });
  const json = { title: "A lamp", start: 100, step: 10, minutes: 1 };
  assert.equal((await host.request("POST", "/auction/items", { json })).status, 201);
  return host;
}

/** @param {TestHost} host @param {string} name @param {number} amount */
const bid = async (host, name, amount) =>
  (await host.request("POST", "/auction/items/00000001/bids", { json: { name, amount } })).status;

/** @param {TestHost} host */
const shown = async (host) => (await host.get("/auction/items")).json()[0];

test("a bid is compared with one that came after it was read", async () => {
  const host = await offered();
  assert.equal(await bid(host, "Ada", 100), 201);
  host.beforeCommit((data) => {
    const item = data.get("item:00000001");
    data.set("item:00000001", { ...item, best: { name: "Eve", amount: 150 }, bids: 2 });
  });
  assert.equal(await bid(host, "Bob", 110), 409);
  const { price, best, bids, least } = await shown(host);
  assert.deepEqual([price, best, bids, least], [150, "Eve", 2, 160]);
  assert.equal(await bid(host, "Bob", 160), 201);
});

test("a bid near the end moves it, and the timer with it", async () => {
  const host = await offered();
  await host.advance(59_000);
  assert.equal(await bid(host, "Ada", 100), 201);
  const told = host.groupMessages("watchers").length;
  await host.advance(29_999);
  assert.equal((await shown(host)).closed, false);
  await host.advance(1);
  assert.equal(await bid(host, "Bob", 500), 409);
  const { best, closed } = await shown(host);
  assert.deepEqual([best, closed], ["Ada", true]);
  assert.equal(host.groupMessages("watchers").length, told + 1);
  await host.fire("sumUp");
  const nights = (await host.get("/auction/nights")).json();
  assert.deepEqual(nights, [{ until: host.data.get("item:00000001").ends, sold: 1, paid: 100 }]);
  assert.deepEqual(host.faults, []);
});
