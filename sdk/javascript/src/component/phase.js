/**
 * Whether the module is being built or runs.
 *
 * The build evaluates the module once and keeps its memory: a number drawn then, or a time read
 * then, would be the same in every instance for ever. So randomness and clocks are refused until
 * the host calls.
 */

let running = false;

/** The host calls. */
export function enter() {
  running = true;
}

/** @returns {boolean} */
export function isRunning() {
  return running;
}

/**
 * @param {string} what
 * @throws {Error} the module is being built
 */
export function checkRunning(what) {
  if (running) return;
  throw new Error(
    `${what} at the top level of a file: it would be read once, while the module is built, and be the same for every ` +
      "request. Call it within a consumer",
  );
}
