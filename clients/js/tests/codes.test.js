import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { advice } from "../src/index.js";
import { cases } from "./cases.js";

test("each close code has its advice", () => {
  for (const [expected, codes] of Object.entries(cases("codes"))) {
    for (const code of codes) assert.equal(advice(code), expected, String(code));
  }
});

test("the README says the same", () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const rows = [...readme.matchAll(/^\| ([0-9, to]+) \| `(\w+)` \|/gm)];
  assert.ok(rows.length >= 4);
  for (const [, codes, expected] of rows) {
    for (const code of codes.match(/\d+/g)) assert.equal(advice(Number(code)), expected, code);
  }
});
