/** `console`, which writes lines into the invocation's record. */

import inspect from "object-inspect";

import { linesOf } from "../bytes.js";
import { isRunning } from "./phase.js";
import { log } from "tidegate:channels/log@0.1.0";

/** @param {unknown} value */
function show(value) {
  if (typeof value === "string") return value;
  if (value instanceof Error)
    return value.stack ? `${value.name}: ${value.message}\n${value.stack}` : String(value);
  return inspect(value, { depth: 6, maxStringLength: 10_000 });
}

/** @param {import("../types.js").Level} level */
function writer(level) {
  return (/** @type {unknown[]} */ ...values) => {
    // While the module is built there is no record.
    if (!isRunning()) return;
    for (const line of linesOf(values.map(show).join(" "))) log(level, line.toWellFormed());
  };
}

const console = {
  trace: writer("trace"),
  debug: writer("debug"),
  log: writer("info"),
  info: writer("info"),
  warn: writer("warn"),
  error: writer("error"),
  /** @param {unknown} holds @param {unknown[]} values */
  assert(holds, ...values) {
    if (!holds) console.error("Assertion failed:", ...values);
  },
};

Object.defineProperty(globalThis, "console", {
  value: console,
  writable: true,
  configurable: true,
});
