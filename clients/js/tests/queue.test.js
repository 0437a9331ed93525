import assert from "node:assert/strict";
import { test } from "node:test";

import { Queue, size } from "../src/queue.js";

test("a queue is bounded in messages", () => {
  const queue = new Queue(2, 100);
  queue.push("a");
  queue.push("b");
  assert.throws(() => queue.push("c"), { name: "SendError", reason: "queue-full" });
  assert.deepEqual(queue.take(), ["a", "b"]);
  assert.equal(queue.bytes, 0);
});

test("a queue is bounded in bytes, as they are on the wire", () => {
  const queue = new Queue(100, 10);
  queue.push("äöü");
  assert.equal(queue.bytes, 6);
  assert.throws(() => queue.push(new Uint8Array(5)), { reason: "queue-full" });
  queue.push(new Uint8Array(4));
  assert.equal(queue.bytes, 10);
  assert.throws(() => queue.push("x"), { reason: "queue-full" });
  assert.equal(queue.shift(), "äöü");
  queue.push("room");
});

test("without a queue nothing waits", () => {
  assert.throws(() => new Queue(0, 100).push("a"), { reason: "not-open" });
});

test("what waits is what was sent, whatever becomes of its buffer", () => {
  const queue = new Queue(2, 100);
  const bytes = new Uint8Array([0, 1, 2, 3]);
  queue.push(bytes.subarray(1, 3));
  queue.push(bytes.buffer);
  bytes.fill(9);
  assert.deepEqual(queue.shift(), new Uint8Array([1, 2]));
  assert.deepEqual(new Uint8Array(queue.shift()), new Uint8Array([0, 1, 2, 3]));
  assert.equal(queue.shift(), undefined);
});

test("only text and bytes have a size", () => {
  assert.equal(size(new Blob(["abc"])), 3);
  for (const wrong of [{}, [1], 5, null, undefined]) assert.throws(() => size(wrong), TypeError);
});
