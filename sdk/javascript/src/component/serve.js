/** The export of a module. */

import { kind } from "../bytes.js";
import { fault, handle, neverSettles } from "../handle.js";
import { isPromise } from "../settle.js";
import { checkWorld } from "./declarations.js";
import { host } from "./host.js";
import { enter } from "./phase.js";
import { locator } from "./places.js";
import { drain, forget } from "./promise.js";

/** @typedef {import("../app.js").App} App */

let locate = locator({ sources: [], places: [] });

/**
 * The build calls it at the end of the file.
 *
 * @param {import("./places.js").Places} table
 */
function setPlaces(table) {
  locate = locator(table);
}

/**
 * @param {App} app the default export of the application
 * @param {readonly import("./declarations.js").Decided[]} decided what the world has of what the consumers decide
 */
export function serve(app, decided) {
  if (!(app?.byName instanceof Map)) {
    throw new TypeError(
      `the default export is ${kind(app)}: write \`export default app({ ... })\``,
    );
  }
  checkWorld(app, decided);
  Object.defineProperty(globalThis, "__tidegate", { value: { setPlaces } });
  // What the top level of the application left to do is done here, and not in each instance.
  drain();
  return {
    routes() {
      enter();
      return app.entries.map(({ name, trigger }) => ({ consumer: name, trigger }));
    },

    /**
     * @param {import("../types.js").Invocation} invocation
     * @param {import("../types.js").WireEvent} event
     */
    handle(invocation, event) {
      enter();
      try {
        settle(handle(app, host, invocation, event, locate));
      } catch (error) {
        throw fault(host, error, locate).failure;
      } finally {
        forget();
      }
    },
  };
}

/**
 * Waits for a promise, without a clock: nothing outside can settle it.
 *
 * @param {unknown} outcome
 * @throws what the promise is rejected with, or an error where it is still open
 */
function settle(outcome) {
  if (!isPromise(outcome)) return drain();
  let isOpen = true;
  let rejection;
  outcome.then(
    () => (isOpen = false),
    (error) => {
      isOpen = false;
      rejection = { error };
    },
  );
  drain();
  if (rejection) throw /** @type {{ error: unknown }} */ (rejection).error;
  if (isOpen) throw neverSettles();
}
