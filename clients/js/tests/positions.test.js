import assert from "node:assert/strict";
import { test } from "node:test";

import { Positions } from "../src/positions.js";
import { cases } from "./cases.js";
import { World } from "./world.js";

const from = (group, position, complete = true) =>
  JSON.stringify({ tidegate: "from", group, position, complete });
const message = (group, position, text) =>
  JSON.stringify({ tidegate: "message", group, position, text });

/** A socket that is open. */
function open(options, url) {
  const world = new World();
  const socket = world.connect(options, url);
  world.last.open();
  return { world, socket };
}

/** Ends the connection, and waits for the next one. */
function comeBack(world) {
  world.last.end(1006);
  world.pass(world.event("reconnecting").delay);
  world.last.open();
}

test("messages are unwrapped, and the next connection names the last positions", () => {
  const { world, socket } = open({}, "ws://host/path?room=a&after=mine");
  world.last.message(from("m.a", "e-0"));
  world.last.message(message("m.a", "e-1", "one"));
  world.last.message("plain");
  world.last.message(message("m.b", "f-7", '{"n":1}'));
  const heard = world.events.filter(({ type }) => type === "message");
  assert.deepEqual(
    heard.map(({ data, group, position }) => [data, group, position]),
    [
      ["one", "m.a", "e-1"],
      ["plain", undefined, undefined],
      ['{"n":1}', "m.b", "f-7"],
    ],
  );
  assert.equal(socket.position("m.a"), "e-1");
  assert.equal(socket.position("m.c"), undefined);
  comeBack(world);
  const { searchParams } = new URL(world.last.url);
  assert.deepEqual(searchParams.getAll("after"), ["mine", "m.a:e-1", "m.b:f-7"]);
  assert.equal(searchParams.get("room"), "a");
  assert.equal(socket.url, "ws://host/path?room=a&after=mine", "the address stays what it was");
});

test("a first connection names none, and what was forgotten is not named", () => {
  const { world, socket } = open();
  assert.equal(world.last.url, "ws://host/path");
  world.last.message(message("m.a", "e-1", "one"));
  socket.forget("m.a");
  comeBack(world);
  assert.equal(world.last.url, "ws://host/path");
});

test("messages that are gone fire gap once, before those that follow", () => {
  const { world } = open();
  world.last.message(from("m.a", "e-5"));
  assert.ok(!world.types.includes("gap"));
  world.last.message(from("m.a", "f-3", false));
  world.last.message(message("m.a", "f-4", "four"));
  assert.deepEqual(world.types.slice(-2), ["gap", "message"]);
  const { group, position } = world.event("gap");
  assert.deepEqual([group, position], ["m.a", "f-3"]);
});

test("bytes come as bytes, and streams get what is inside", () => {
  const { world, socket } = open();
  const data = JSON.stringify({ tidegate: "message", group: "m.a", position: "e-1", base64: "/wA=" });
  world.last.message(data);
  assert.deepEqual([...new Uint8Array(world.event("message").data)], [255, 0]);
  const heard = [];
  socket.stream("news").addEventListener("message", ({ data }) => heard.push(data));
  world.last.message(message("m.a", "e-2", '{"stream":"news","payload":7}'));
  assert.deepEqual(heard, [7]);
  assert.equal(socket.position("m.a"), "e-2");
});

test("each frame opens to its group, position and content", () => {
  for (const { frame, opens } of cases("frames")) {
    const positions = new Positions();
    const opened = positions.open(frame);
    if (opens === null) {
      assert.equal(opened, undefined, frame);
      continue;
    }
    const { group, position, data, gap } = opened;
    assert.equal(positions.get(group), position);
    const inside = data instanceof ArrayBuffer ? { bytes: [...new Uint8Array(data)] } : { text: data };
    assert.deepEqual({ group, position, ...(data === undefined ? { gap } : inside) }, opens, frame);
  }
  assert.equal(new Positions().open(new ArrayBuffer(1)), undefined);
});

test("an address has the positions of all groups", () => {
  for (const { name, url, heard, forget = [], address } of cases("addresses")) {
    const positions = new Positions();
    for (const [group, position] of heard) positions.open(message(group, position, ""));
    for (const group of forget) positions.forget(group);
    assert.equal(positions.address(url), address, name);
  }
});

test("so many groups are kept, those heard of last", () => {
  const positions = new Positions();
  for (let number = 0; number <= 60; number += 1) {
    positions.open(message(`g.${number}`, `e-${number}`, ""));
    positions.open(message("g.0", "e-1", ""));
  }
  const kept = new URL(positions.address("ws://host/")).searchParams.getAll("after");
  assert.equal(kept.length, 50);
  assert.deepEqual([kept[0], kept.at(-1)], ["g.12:e-12", "g.0:e-1"]);
});
