/**
 * Promises whose jobs the SDK runs itself. The engine has a queue of jobs of its own, and nothing
 * runs it before a consumer has returned. The build turns async functions into code that takes this
 * class.
 */

import "./clock.js";
import Settling from "promise-polyfill";

/** @type {(() => void)[]} */
let jobs = [];

/** @param {() => void} job */
function queue(job) {
  jobs.push(job);
}

const Class = /** @type {any} */ (Settling);
Class._immediateFn = queue;
// An error that nobody handles stays with its promise, as in the engine.
Class._unhandledRejectionFn = () => undefined;
Class.withResolvers ??= () => {
  const parts = /** @type {any} */ ({});
  parts.promise = new Class((/** @type {unknown} */ resolve, /** @type {unknown} */ reject) =>
    Object.assign(parts, { resolve, reject }),
  );
  return parts;
};
Class.try ??= (/** @type {Function} */ run, /** @type {any[]} */ ...rest) =>
  new Class((/** @type {Function} */ resolve) => resolve(run(...rest)));
Object.defineProperty(Class.prototype, Symbol.toStringTag, {
  value: "Promise",
  configurable: true,
});

Object.defineProperty(globalThis, "Promise", { value: Class, writable: true, configurable: true });
Object.defineProperty(globalThis, "queueMicrotask", {
  value: queue,
  writable: true,
  configurable: true,
});
// The engine's would return a promise of its own.
Reflect.deleteProperty(Array, "fromAsync");

/** Runs jobs until none is left. */
export function drain() {
  for (let job = jobs.shift(); job; job = jobs.shift()) job();
}

/** Forgets what is left, so that no event runs code of another one. */
export function forget() {
  jobs = [];
}
