/** Patterns of groups in options of consumers. The host checks them once more. */

import { kind } from "./bytes.js";
import { DeclarationError } from "./errors.js";

/** The most patterns of one option. */
const MOST = 32;
const PATTERN = /^(?:[A-Za-z0-9._-]{1,99}|(?:[A-Za-z0-9._-]{0,98}\.)?\*)$/;

/**
 * @param {readonly unknown[]} patterns
 * @param {string} of the option, for the error
 * @returns {string[]}
 * @throws {DeclarationError}
 */
export function checkPatterns(patterns, of) {
  if (patterns.length < 1 || patterns.length > MOST)
    throw new DeclarationError(
      `${of} names ${patterns.length} groups: give 1 to ${MOST} names, as in "room.*"`,
    );
  return patterns.map((pattern) => {
    if (typeof pattern === "string" && PATTERN.test(pattern)) return pattern;
    const given = typeof pattern === "string" ? JSON.stringify(pattern) : kind(pattern);
    throw new DeclarationError(
      `${of} names ${given}: give the name of a group without the module's in front, or end it with \`*\` behind a dot, as in "room.*"`,
    );
  });
}

/**
 * How exactly a pattern means a group; `undefined` where it does not.
 *
 * @param {string} pattern
 * @param {string} name without the module's part
 */
export function exactness(pattern, name) {
  if (!pattern.endsWith("*")) return pattern === name ? Infinity : undefined;
  return name.startsWith(pattern.slice(0, -1)) ? pattern.length : undefined;
}
