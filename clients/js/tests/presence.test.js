import assert from "node:assert/strict";
import { test } from "node:test";

import { Presence, decode } from "../src/presence.js";
import { cases } from "./cases.js";
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
  return { world, socket, presence, changes, tell };
}

test("a collection follows the frames of its group", () => {
  for (const { name, steps } of cases("presence").cases) {
    const presence = new Presence();
    let change = null;
    presence.addEventListener("change", ({ joined, updated, left }) => {
      change = [joined, updated, left].map((keys) => [...keys].sort());
    });
    for (const [at, step] of steps.entries()) {
      const where = `${name}, step ${at + 1}`;
      change = null;
      if (step.tell) presence.receive(step.tell);
      else if (step.lose) presence.lose();
      else presence.find(step.find === "resumed");
      const { count, listed } = presence;
      const { count: counts = count, listed: lists = listed } = step;
      assert.deepEqual(presence.members, new Map(Object.entries(step.members)), where);
      assert.deepEqual([count, listed, presence.current], [counts, lists, step.current ?? true], where);
      assert.deepEqual(change, step.change ?? null, where);
    }
  }
  assert.equal({}.n, undefined);
});

test("frames of presence are told from messages", () => {
  for (const { frame, group } of cases("presence").decodes) {
    assert.equal(decode(frame)?.group ?? null, group, frame);
  }
});

test("a collection is not current between connections", () => {
  const { world, presence, changes, tell } = open();
  assert.equal(presence.current, false);
  tell({ version: 50, count: 1, members: { ada: {} } });
  assert.equal(presence.current, true);
  world.last.end(1006);
  assert.equal(presence.current, false);
  world.pass(1000);
  world.last.open();
  assert.equal(presence.current, false);
  tell({ version: 5, count: 1, members: { eve: {} } });
  assert.deepEqual(changes, [["ada", "", ""], ["eve", "", "ada"]]);
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
