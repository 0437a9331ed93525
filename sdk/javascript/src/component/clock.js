/** Clocks that cannot be read while the module is built, and timers that say what to use instead. */

import { checkRunning } from "./phase.js";

const Native = Date;
const now = Native.now;

/**
 * @this {unknown}
 * @param {any[]} fields
 */
function GuardedDate(...fields) {
  if (new.target === undefined) {
    checkRunning("Date()");
    return Native();
  }
  if (fields.length === 0) checkRunning("new Date()");
  const target = /** @type {Function} */ (new.target);
  return Reflect.construct(Native, fields, target === GuardedDate ? Native : target);
}

Object.defineProperties(GuardedDate, {
  name: { value: "Date" },
  length: { value: 7 },
  prototype: { value: Native.prototype, writable: false },
  parse: { value: Native.parse, writable: true, configurable: true },
  UTC: { value: Native.UTC, writable: true, configurable: true },
  now: {
    value: () => {
      checkRunning("Date.now()");
      return now();
    },
    writable: true,
    configurable: true,
  },
});
Object.defineProperty(Native.prototype, "constructor", {
  value: GuardedDate,
  writable: true,
  configurable: true,
});
Object.defineProperty(globalThis, "Date", {
  value: GuardedDate,
  writable: true,
  configurable: true,
});

const ticks = globalThis.performance?.now.bind(globalThis.performance) ?? now;
const performance = {
  /** @returns {number} milliseconds from an arbitrary beginning */
  now() {
    checkRunning("performance.now()");
    return ticks();
  },
};
Object.defineProperty(globalThis, "performance", {
  value: performance,
  writable: true,
  configurable: true,
});

for (const name of ["setTimeout", "setInterval", "setImmediate"]) {
  const refuse = () => {
    throw new Error(
      `${name}: a consumer has no timers, since it ends when it returns; to go on later, use cx.sendLater`,
    );
  };
  Object.defineProperty(globalThis, name, { value: refuse, writable: true, configurable: true });
}
