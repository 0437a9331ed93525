/** Channels with retries: messages that come again, and what they keep. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { app, channel, http, websocket } from "@tidegate/sdk";
import { TestHost } from "@tidegate/sdk/testing";

const all = app({
  charge: channel("shop.charge", { retries: 2 }, ({ name }, cx) => {
    cx.info(`${name} ${cx.messageId} ${cx.attempt}`);
    if (name === "never" || cx.attempt < 3) throw new Error("busy");
  }),
  dead: channel("shop.charge.dead", (_, cx) => cx.info(`dead ${cx.messageId} ${cx.attempt}`)),
  note: channel("shop.note", (_, cx) => {
    cx.info(`note ${cx.messageId} ${cx.attempt}`);
    throw new Error("lost");
  }),
  facts: http("GET /facts", (_, cx) => `${cx.messageId} ${cx.attempt}`),
  socket: websocket("/facts", { receive: (it) => it.send(`${it.messageId} ${it.attempt}`) }),
});

/** @param {TestHost} host */
const told = (host) =>
  host.logs.filter(({ level }) => level === "info").map(({ text }) => text.split(" "));

test("a message comes again after a pause that doubles, and keeps its id", async () => {
  const host = new TestHost(all);
  await host.send("shop.charge", { name: "late" });
  const [[, id = ""] = []] = told(host);
  assert.match(id, /^[0-9a-f]{32}$/);
  await host.advance(999);
  assert.equal(told(host).length, 1);
  await host.advance(1);
  await host.advance(1999);
  assert.equal(told(host).length, 2);
  await host.advance(3_600_000);
  assert.deepEqual(told(host), [["late", id, "1"], ["late", id, "2"], ["late", id, "3"]]);
  assert.equal(host.messages("shop.charge").length, 1);
  assert.deepEqual(host.messages("shop.charge.dead"), []);
  assert.equal(host.faults.length, 2);
});

test("what cannot be done goes to the dead letters with its id", async () => {
  const host = new TestHost(all);
  await host.send("shop.charge", { name: "never" });
  await host.send("shop.charge", { name: "late" });
  await host.advance(3_600_000);
  const never = told(host).filter(([name]) => name !== "late");
  const id = never[0]?.[1];
  assert.deepEqual(never, [["never", id, "1"], ["never", id, "2"], ["never", id, "3"], ["dead", id, "1"]]);
  assert.deepEqual(host.messages("shop.charge.dead"), [{ name: "never" }]);
  assert.notEqual(told(host).find(([name]) => name === "late")?.[1], id);
});

test("a message without retries is lost, and an event of a connection is no message", async () => {
  const host = new TestHost(all);
  await host.send("shop.note", {});
  await host.advance(3_600_000);
  assert.equal(told(host).length, 1);
  assert.match(String(told(host)[0]?.[1]), /^[0-9a-f]{32}$/);
  assert.equal((await host.get("/facts")).text(), "undefined 1");
  const socket = await host.websocket("/facts");
  await socket.send("which?");
  assert.equal(socket.receive(), "undefined 1");
});

test("a run that is done again for its data is the same attempt", async () => {
  /** @type {[string | undefined, number][]} */
  const seen = [];
  const counting = app({
    count: channel("counts", { retries: 5 }, (_, cx) => {
      seen.push([cx.messageId, cx.attempt]);
      cx.store.set("count", cx.store.counter("count") + 1);
    }),
  });
  const host = new TestHost(counting);
  host.data.set("count", 1);
  host.conflictOnce("count");
  await host.send("counts", {});
  assert.equal(seen.length, 2);
  assert.deepEqual(seen[0], seen[1]);
  assert.equal(seen[0]?.[1], 1);
  assert.deepEqual(host.faults, []);
});
