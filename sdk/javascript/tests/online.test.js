/** The connections of users. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Denied, TestHost } from "@tidegate/sdk/testing";

import online from "./online.js";

const host = () => new TestHost(online, { module: "online", granted: ["_user.ada"] });
const ada = { signedIn: "ada" };

/**
 * Calls methods of the connections of a user.
 *
 * @param {TestHost} it
 * @param {unknown} user
 * @param {...[string, ...unknown[]]} calls
 * @returns {Promise<any>}
 */
async function calls(it, user, ...calls) {
  return (await it.request("POST", "/online/call", { json: { user, calls } })).json();
}

const count = async (/** @type {TestHost} */ it, user = "ada") =>
  (await calls(it, user, ["count"])).returned[0];
/** @param {string} name */
const message = (name) => ({ message: name });

test("all connections of a user are reached and no other", async () => {
  const it = host();
  const tabs = [await it.websocket("/online/room", ada), await it.websocket("/online/room", ada)];
  const others = [
    await it.websocket("/online/room", { signedIn: "bob" }),
    await it.websocket("/online/room"),
    await it.websocket("/online/open", ada),
  ];
  await it.send("online.told", { user: "ada" });
  for (const tab of tabs) assert.deepEqual(tab.receiveJson(), { tide: "high" });
  for (const other of others) assert.equal(other.receive(), undefined);
  await it.send("online.told", { user: "eve" });
  assert.deepEqual([it.faults, it.drops], [[], []]);
});

test("a connection is one of its user from its handshake on", async () => {
  const it = host();
  const tab = await it.websocket("/online/room?greet", ada);
  assert.equal(tab.receive(), "greet");
  await assert.rejects(it.websocket("/online/room?deny", ada), Denied);
  assert.equal(tab.receive(), "deny");
  assert.equal(await count(it), 1);
});

test("what is sent keeps its order with the answers", async () => {
  const tab = await host().websocket("/online/room", ada);
  await tab.send("ada");
  assert.deepEqual([tab.receive(), tab.receive(), tab.receive()], ["before", "from a friend", "after"]);
});

test("connections that are over are not counted", async () => {
  const it = host();
  assert.equal(await count(it), 0);
  const [one, other] = [await it.websocket("/online/room", ada), await it.websocket("/online/room", ada)];
  const held = await it.get("/online/hold/none", ada);
  await it.websocket("/online/room", { signedIn: "bob" });
  assert.equal(await count(it), 3);
  await one.close(1000);
  assert.equal(await count(it), 2);
  await other.drop();
  await held.leave();
  assert.equal(await count(it), 0);
  await it.get("/online/hold/none", ada);
  assert.equal(await count(it), 1);
  await it.advance(600_000);
  assert.equal(await count(it), 0);
});

test("what a run closes is not seen by its own count before it is sent", async () => {
  const it = host();
  const tab = await it.websocket("/online/room", ada);
  const answer = await calls(it, "ada", ["close", 4000, "signed out"], ["count"], ["flush"], ["count"]);
  assert.deepEqual(answer.returned, [null, 1, null, 0]);
  assert.deepEqual(tab.closed, { code: 4000, reason: "signed out" });
});

test("a run that fails sends and closes nothing", async () => {
  const it = host();
  const tab = await it.websocket("/online/room", ada);
  const json = { user: "ada", calls: [["send", message("text")], ["close"]], fails: true };
  assert.equal((await it.request("POST", "/online/call", { json })).status, 500);
  assert.equal(tab.receive(), undefined);
  assert.equal(await count(it), 1);
});

test("a close ends a request on hold as if its time were over", async () => {
  for (const close of [["close", 4000], ["send", message("close")]]) {
    const it = host();
    const held = [];
    for (const kind of ["fallback", "none", "stream"]) held.push(await it.get(`/online/hold/${kind}`, ada));
    assert.deepEqual(held.map(({ isPending }) => isPending), [true, true, true]);
    await calls(it, "ada", /** @type {[string]} */ (close));
    const [fallback, none, stream] = held;
    assert.deepEqual(held.map(({ isPending }) => isPending), [false, false, false]);
    assert.deepEqual([fallback?.status, fallback?.text()], [200, "nothing\n"]);
    assert.equal(none?.status, 504);
    assert.equal(stream?.text(), "first;");
    assert.deepEqual([it.faults, it.drops], [[], []]);
  }
});

test("a request on hold is answered by a message to its user", async () => {
  const it = host();
  const held = await it.get("/online/hold/none", ada);
  await calls(it, "ada", ["send", message("response")]);
  assert.deepEqual([held.status, held.text()], [203, "news\n"]);
});

/** @type {[user: unknown, call: string, args: unknown[], threw: string, message: RegExp][]} */
const refused = [
  [7, "count", [], "TypeError", /^the user of connectionsOf is the number 7: give text$/],
  [null, "count", [], "TypeError", /^the user of connectionsOf is null: give text$/],
  ["", "send", [message("text")], "invalid", /^the id of a user has 1 to 256 bytes and no control characters$/],
  ["ä".repeat(129), "close", [], "invalid", /^the id of a user has 1 to 256 bytes/],
  ["a\u0085", "count", [], "invalid", /no control characters$/],
  ["ada", "send", [7], "TypeError", /^send: a message is the number 7: give an object; for connections a Frame/],
  ["ada", "send", ["text"], "TypeError", /^send: a message is text/],
  ["ada", "send", [], "TypeError", /^send: a message is undefined/],
  ["ada", "send", [message("array")], "TypeError", /^send: a message is an array/],
  ["ada", "send", [message("nothing")], "TypeError", /^send\.a is a function, which a message cannot hold$/],
  ["ada", "send", [message("large")], "invalid", /1114112/],
  ["ada", "close", [1001], "invalid", /^close code 1001 is neither 1000 nor from 3000 to 4999$/],
  ["ada", "close", [999], "RangeError", /^a close code is 999: give a whole number from 1000 to 4999$/],
  ["ada", "close", [4000.5], "RangeError", /^a close code is 4000\.5/],
  ["ada", "close", ["4000"], "TypeError", /^a close code is text: give a number$/],
  ["ada", "close", [4000, "ä".repeat(62)], "invalid", /^a close reason of 124 bytes is over 123$/],
  ["ada", "close", [4000, 7], "TypeError", /^the reason of a close is the number 7: give text$/],
];

for (const [user, call, args, threw, text] of refused) {
  test(`refused: ${call}(${JSON.stringify([user, ...args]).slice(1, 50)})`, async () => {
    const it = host();
    const tab = await it.websocket("/online/room", ada);
    const answer = await calls(it, user, [call, ...args]);
    assert.equal(answer.code ?? answer.threw, threw, JSON.stringify(answer));
    if (answer.code) assert.equal(answer.threw, "OnlineError");
    assert.match(answer.message, text);
    assert.equal(tab.receive(), undefined);
    assert.deepEqual(it.faults, []);
  });
}

test("a group of the host's own is refused with the call that reaches users", async () => {
  const answer = await host().request("POST", "/online/trespass/_user.ada");
  assert.match(answer.text(), /^forbidden: group _user\.ada is one of the host's own; connectionsOf reaches users\n$/);
});

test("an outbox that is too large is a fault", async () => {
  const it = host();
  const tab = await it.websocket("/online/room", ada);
  const json = { user: "ada", calls: Array(1001).fill(["send", message("text")]) };
  assert.equal((await it.request("POST", "/online/call", { json })).status, 500);
  assert.match(it.faults[0]?.text ?? "", /an outbox of 1001 entries, and the limit is 1000/);
  assert.equal(tab.receive(), undefined);
});
