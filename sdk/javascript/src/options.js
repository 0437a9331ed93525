/** Options of the calls of a context. */

import { kind } from "./bytes.js";

/**
 * Refuses an option that does not exist, which is a slip of the pen.
 *
 * @param {unknown} options
 * @param {readonly string[]} known
 * @param {string} what
 * @returns {Record<string, any>}
 * @throws {TypeError}
 */
export function knownOptions(options, known, what) {
  if (typeof options !== "object" || options === null)
    throw new TypeError(`the options of ${what} are ${kind(options)}: give an object`);
  const other = Object.keys(options).find((name) => !known.includes(name));
  if (other !== undefined)
    throw new TypeError(`${what} has no option \`${other}\`; there are ${known.join(", ")}`);
  return options;
}
