import assert from "node:assert/strict";
import { test } from "node:test";

import { delay } from "../src/delay.js";
import { settings } from "../src/options.js";

const options = settings({ first: 100, longest: 1000, factor: 2, spread: 500, later: 300 });
const drawn = (what, failures, random, quiet = false) =>
  delay(what, failures, quiet, options, () => random);

test("a pause is drawn from zero to a span that grows to the longest", () => {
  const spans = [1, 2, 3, 4, 5, 6, 5000].map((failures) => drawn("backoff", failures, 1));
  assert.deepEqual(spans, [100, 200, 400, 800, 1000, 1000, 1000]);
  assert.equal(drawn("backoff", 3, 0), 0);
  assert.equal(drawn("backoff", 3, 0.25), 100);
});

test("clients that were closed together are spread, and no less so when it goes on", () => {
  assert.equal(drawn("spread", 1, 0.5), 250);
  assert.equal(drawn("spread", 4, 1), 800);
});

test("a server with too much to do is given time", () => {
  assert.equal(drawn("later", 1, 0), 300);
  assert.equal(drawn("later", 1, 1), 400);
});

test("nobody hurries when nobody looks", () => {
  assert.equal(drawn("backoff", 1, 0, true), 500);
  assert.equal(drawn("spread", 1, 1, true), 1000);
});

test("options that would make a client hammer are refused", () => {
  const wrong = [
    { first: 0 },
    { first: -1 },
    { first: Number.NaN },
    { first: 2000, longest: 1000 },
    { factor: 0.5 },
    // A browser takes such a time for none.
    { longest: 2 ** 31 },
    { spread: Infinity },
    { later: 2 ** 31 - 1 },
    { longest: "30000" },
    { queueMessages: -1 },
  ];
  for (const option of wrong) {
    assert.throws(() => settings(option), RangeError, JSON.stringify(option));
  }
});

test("an option that is not there is refused by name", () => {
  assert.throws(() => settings({ maxDelay: 5 }), /maxDelay/);
  assert.throws(() => settings({ toString: 5 }), /toString/);
  assert.equal(settings({ first: undefined }).first, 1000);
});
