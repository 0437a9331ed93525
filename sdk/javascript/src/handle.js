/** Runs a consumer for an event. */

import { failure, lines } from "./fault.js";
import { after } from "./settle.js";

/** @typedef {import("./types.js").Failure} Failure */

/** A consumer failed, and its error is in the record. */
export class Fault {
  /** @param {Failure} failure */
  constructor(failure) {
    this.failure = failure;
  }
}

/**
 * Runs the consumer that the invocation names. Whatever it throws is logged line by line, and
 * thrown as a `Fault`.
 *
 * @param {import("./app.js").App} app
 * @param {import("./types.js").Host} host
 * @param {import("./types.js").Invocation} invocation
 * @param {import("./types.js").WireEvent} event
 * @param {import("./fault.js").Locate} locate
 * @returns {unknown} a promise, where the consumer made one
 * @throws {Fault}
 */
export function handle(app, host, invocation, event, locate) {
  return after(
    () => {
      const entry = app.byName.get(invocation.consumer);
      if (!entry) throw new Error(`the module has no consumer \`${invocation.consumer}\``);
      return entry.run({ host, invocation, prefix: entry.prefix }, event);
    },
    () => undefined,
    (error) => {
      throw fault(host, error, locate);
    },
  );
}

/**
 * @param {import("./types.js").Host} host
 * @param {unknown} error
 * @param {import("./fault.js").Locate} locate
 * @returns {Fault}
 */
export function fault(host, error, locate) {
  if (error instanceof Fault) return error;
  for (const line of lines(error, locate)) host.log("error", line);
  return new Fault(failure(error, locate));
}

/** @returns {Error} for a promise that cannot settle any more */
export function neverSettles() {
  return new Error(
    "the consumer waits for a promise that never settles: a consumer has no timers and no network; to go on later, use cx.sendLater",
  );
}
