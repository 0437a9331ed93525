import assert from "node:assert/strict";
import { test } from "node:test";

import { decode, encode } from "../src/streams.js";
import { World } from "./world.js";

function open() {
  const world = new World();
  const socket = world.connect();
  world.last.open();
  return { world, socket };
}

function collect(stream) {
  const payloads = [];
  stream.addEventListener("message", ({ data }) => payloads.push(data));
  return payloads;
}

test("each stream hears its own messages", () => {
  const { world, socket } = open();
  const news = collect(socket.stream("news"));
  const chat = collect(socket.stream("chat"));
  world.last.message('{"stream": "news", "payload": {"n": 1}}');
  world.last.message('{"payload": null, "stream": "chat"}');
  assert.deepEqual([news, chat], [[{ n: 1 }], [null]]);
  assert.deepEqual(world.types, ["open"]);
});

test("a stream sends under its name", () => {
  const { world, socket } = open();
  socket.stream('a"b').send([1, "two"]);
  assert.deepEqual(world.last.sent, ['{"stream":"a\\"b","payload":[1,"two"]}']);
  assert.throws(() => socket.stream("a").send(undefined), TypeError);
  assert.throws(() => socket.stream(5), TypeError);
});

test("what belongs to no stream is an error event, and the next message is served", () => {
  const { world, socket } = open();
  const news = collect(socket.stream("news"));
  const wrong = [
    "",
    "{",
    "null",
    "5",
    '"stream"',
    "[]",
    "{}",
    '{"stream": "news"}',
    '{"payload": 1}',
    '{"stream": 5, "payload": 1}',
    '{"stream": "other", "payload": 1}',
    '{"stream": "constructor", "payload": 1}',
    '{"stream": "__proto__", "payload": {"polluted": true}}',
    '{"__proto__": {"stream": "news", "payload": 1}}',
    new ArrayBuffer(2),
  ];
  for (const data of wrong) {
    world.events.length = 0;
    world.last.message(data);
    assert.deepEqual(world.types, ["error"], String(data));
    assert.equal(world.event("error").error.name, "FrameError");
    assert.equal(world.event("error").data, data);
  }
  assert.equal({}.polluted, undefined);
  world.last.message('{"stream": "news", "payload": "still here"}');
  assert.deepEqual(news, ["still here"]);
});

test("a stream may have any name", () => {
  const { world, socket } = open();
  for (const name of ["__proto__", "constructor", "toString", "", "ä"]) {
    const payloads = collect(socket.stream(name));
    const payload = { __proto__: null, ["__proto__"]: { polluted: true } };
    world.last.message(encode(name, payload));
    assert.equal(payloads.length, 1, name);
  }
  assert.equal({}.polluted, undefined);
});

test("a name stands for one stream until that is closed", () => {
  const { world, socket } = open();
  const first = socket.stream("news");
  assert.equal(socket.stream("news"), first);
  const heard = collect(first);
  first.close();
  world.last.message(encode("news", 1));
  assert.equal(world.event("error").error.name, "FrameError");
  const second = socket.stream("news");
  assert.notEqual(second, first);
  first.close();
  const heardBySecond = collect(second);
  world.last.message(encode("news", 2));
  assert.deepEqual([heard, heardBySecond], [[], [2]]);
});

test("streams outlive a connection", () => {
  const { world, socket } = open();
  const news = collect(socket.stream("news"));
  world.last.end(1006);
  world.pass(1000);
  world.last.open();
  world.last.message(encode("news", 1));
  assert.deepEqual(news, [1]);
});

test("a frame is read as it was written", () => {
  for (const payload of [null, 0, "", [], {}, { stream: "x", payload: 1 }]) {
    assert.deepEqual(decode(encode("s", payload)), { stream: "s", payload });
  }
});
