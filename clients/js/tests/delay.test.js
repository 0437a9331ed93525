import assert from "node:assert/strict";
import { test } from "node:test";

import { delay } from "../src/delay.js";
import { settings } from "../src/options.js";
import { cases } from "./cases.js";

test("each delay is drawn from its span", () => {
  const { settings: given, cases: rows } = cases("delays");
  const all = settings(given);
  for (const { advice, failures, drawn, quiet = false, delay: expected } of rows) {
    const wait = delay(advice, failures, quiet, all, () => drawn);
    assert.equal(wait, expected, `${advice} ${failures} ${drawn} ${quiet}`);
  }
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
  assert.throws(() => settings({ resume: "yes" }), /resume is true or false/);
  assert.equal(settings({ first: undefined }).first, 1000);
});
