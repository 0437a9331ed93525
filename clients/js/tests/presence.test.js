import assert from "node:assert/strict";
import { test } from "node:test";

import { World } from "./world.js";

function open(group) {
  const world = new World();
  const socket = world.connect();
  const presence = socket.presence(group);
  const changes = [];
  presence.addEventListener("change", ({ joined, updated, left }) =>
    changes.push([joined, updated, left].map((keys) => keys.join())),
  );
  world.last.open();
  const tell = (told) => world.last.message(JSON.stringify({ presence: { group: "m.g", ...told } }));
  const members = () => Object.fromEntries(presence.members);
  return { world, socket, presence, changes, tell, members };
}

test("a list, and then what changes", () => {
  const { presence, changes, tell, members } = open();
  assert.equal(presence.current, false);
  tell({ version: 5, count: 1, members: { ada: { n: 1 } } });
  assert.deepEqual([members(), presence.count, presence.current], [{ ada: { n: 1 } }, 1, true]);
  tell({ from: 5, version: 7, count: 2, joined: { bob: {} }, updated: { ada: { n: 2 } } });
  assert.deepEqual(members(), { ada: { n: 2 }, bob: {} });
  tell({ from: 7, version: 8, count: 1, left: ["ada"] });
  assert.deepEqual([members(), presence.count], [{ bob: {} }, 1]);
  assert.deepEqual(changes, [["ada", "", ""], ["bob", "ada", ""], ["", "", "ada"]]);
});

test("what the list has already changes nothing", () => {
  const { changes, tell, members } = open();
  tell({ from: 1, version: 3, count: 1, joined: { ada: {} } });
  tell({ version: 5, count: 1, members: { ada: {} } });
  tell({ from: 3, version: 5, count: 1, joined: { ada: {} } });
  assert.deepEqual([members(), changes.length], [{ ada: {} }, 1]);
  // One that overlaps the list ends in the state of its version.
  tell({ from: 4, version: 6, count: 1, joined: { bob: {} }, left: ["ada"] });
  assert.deepEqual(members(), { bob: {} });
});

test("what follows something that did not come is left to the next list", () => {
  const { presence, tell, members } = open();
  tell({ version: 5, count: 1, members: { ada: {} } });
  tell({ from: 6, version: 7, count: 2, joined: { eve: {} } });
  assert.deepEqual([members(), presence.current], [{ ada: {} }, false]);
  tell({ from: 7, version: 8, count: 2, joined: { bob: {} } });
  assert.deepEqual(members(), { ada: {} });
  tell({ version: 8, count: 3, members: { ada: {}, bob: {}, eve: {} } });
  assert.deepEqual([presence.members.size, presence.current], [3, true]);
});

test("members that are too many are counted", () => {
  const { presence, changes, tell, members } = open();
  tell({ version: 5, count: 1, members: { ada: {} } });
  tell({ version: 9, count: 140 });
  assert.deepEqual([members(), presence.count, presence.listed], [{}, 140, false]);
  tell({ from: 9, version: 10, count: 141, joined: { zoe: {} } });
  assert.equal(presence.count, 140);
  tell({ version: 11, count: 141 });
  tell({ version: 12, count: 1, members: { zoe: {} } });
  assert.deepEqual([members(), presence.listed], [{ zoe: {} }, true]);
  assert.equal(changes.length, 4);
});

test("a message in parts counts as a whole", () => {
  const { changes, tell, members } = open();
  const of = { version: 5, count: 3, parts: 2 };
  tell({ ...of, part: 1, members: { a: {}, __proto__: null, ["__proto__"]: { n: 1 } } });
  assert.deepEqual([members(), changes.length], [{}, 0]);
  tell({ ...of, part: 2, members: { b: {} } });
  assert.deepEqual(Object.keys(members()).sort(), ["__proto__", "a", "b"]);
  assert.equal({}.n, undefined);
  const change = { from: 5, version: 6, count: 2, parts: 2 };
  tell({ ...change, part: 1, joined: { c: {} } });
  tell({ ...change, part: 2, left: ["a", "b"] });
  assert.deepEqual(changes.at(-1), ["c", "", "a,b"]);
  // A part whose beginning did not come.
  tell({ from: 6, version: 7, count: 9, part: 2, parts: 2, left: ["c"] });
  assert.equal(changes.length, 2);
});

test("a new connection brings a list, and only what differs is told", () => {
  const { world, presence, changes, tell, members } = open();
  tell({ version: 50, count: 2, members: { ada: {}, bob: {} } });
  world.last.end(1006);
  assert.deepEqual([presence.current, presence.members.size], [false, 2]);
  world.pass(1000);
  world.last.open();
  // The server may have begun again.
  tell({ version: 5, count: 2, members: { ada: { n: 1 }, eve: {} } });
  assert.deepEqual(members(), { ada: { n: 1 }, eve: {} });
  assert.deepEqual(changes.at(-1), ["eve", "ada", "bob"]);
});

test("each group has its own members, and other messages are messages", () => {
  const { world, socket, presence, tell } = open("m.g");
  const other = socket.presence("m.h");
  assert.equal(socket.presence("m.g"), presence);
  tell({ version: 1, count: 1, members: { ada: {} } });
  tell({ group: "m.h", version: 1, count: 1, members: { bob: {} } });
  assert.deepEqual([[...presence.members.keys()], [...other.members.keys()]], [["ada"], ["bob"]]);
  assert.deepEqual(world.types, ["open"]);
  for (const data of ['{"presence":1}', '{"presence":{"group":"m.i","version":1,"count":0}}', '{"presence":', "hello"]) {
    world.last.message(data);
  }
  assert.deepEqual(world.types, ["open", "message", "message", "message", "message"]);
});

test("without a collection presence is a message like others", () => {
  const world = new World();
  world.connect();
  world.last.open();
  world.last.message('{"presence":{"group":"m.g","version":1,"count":0}}');
  assert.deepEqual(world.types, ["open", "message"]);
});
