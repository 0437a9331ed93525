/** What to do after a connection ended, by its close code. */

/**
 * - `end`: nothing more; the same again would end the same way.
 * - `spread`: connect again soon. Many were closed at once, so each waits for another time.
 * - `backoff`: connect again, after pauses that grow.
 * - `later`: the same, but not before some seconds; the server has too much to do.
 *
 * @typedef {"end" | "spread" | "backoff" | "later"} Advice
 */

/** @type {ReadonlyMap<number, Advice>} */
const ADVICE = new Map([
  [1000, "end"],
  [1001, "spread"],
  [1002, "end"],
  [1003, "end"],
  [1007, "end"],
  [1008, "end"],
  [1009, "end"],
  [1010, "end"],
  [1012, "spread"],
  [1013, "later"],
]);

/**
 * The default for a close code. 3000 to 4999 are the application's own and end it: only the
 * application knows what they mean, and says so with `shouldReconnect`.
 *
 * @param {number} code
 * @returns {Advice}
 */
export function advice(code) {
  if (code >= 3000 && code <= 4999) return "end";
  return ADVICE.get(code) ?? "backoff";
}
