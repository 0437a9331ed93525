import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { advice } from "../src/index.js";

test("each close code has its advice", () => {
  const table = {
    end: [1000, 1002, 1003, 1007, 1008, 1009, 1010, 3000, 3999, 4000, 4001, 4400, 4999],
    spread: [1001, 1012],
    backoff: [1005, 1006, 1011, 1014, 1015, 2999, 5000],
    later: [1013],
  };
  for (const [expected, codes] of Object.entries(table)) {
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
