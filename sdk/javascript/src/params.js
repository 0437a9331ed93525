/** Path parameters: the text that the host has captured, or what a reader makes of it. */

import { kind } from "./bytes.js";
import { DeclarationError, HttpError } from "./errors.js";

/** @typedef {Record<string, import("./types.js").Parse> | undefined} Readers */

/**
 * A reader for a path parameter that is a whole number.
 *
 * ```js
 * http("GET /shelf/{number}", { params: { number: integer } }, ({ params }) => `shelf
 * ${params.number + 1}`)
 * ```
 *
 * @param {string} text
 * @returns {number | undefined} `undefined` for other text, and for numbers beyond 2^53
 */
export function integer(text) {
  const number = /^[+-]?[0-9]+$/.test(text) ? Number(text) : NaN;
  return Number.isSafeInteger(number) ? number : undefined;
}

/**
 * @param {unknown} readers
 * @param {string[]} names of the path
 * @param {string} what
 * @returns {Readers}
 * @throws {DeclarationError}
 */
export function checkReaders(readers, names, what) {
  if (readers === undefined) return undefined;
  if (typeof readers !== "object" || readers === null) {
    throw new DeclarationError(`${what}: params is ${kind(readers)}: give an object of functions`);
  }
  for (const [name, read] of Object.entries(readers)) {
    if (!names.includes(name))
      throw new DeclarationError(`${what}: params has \`${name}\`, and the path has no {${name}}`);
    if (typeof read !== "function")
      throw new DeclarationError(`${what}: params.${name} is ${kind(read)}: give a function`);
  }
  return /** @type {Readers} */ (readers);
}

/** A path parameter does not read. */
export class BadParam extends Error {
  /**
   * @param {string} name
   * @param {unknown} cause
   */
  constructor(name, cause) {
    super(`path parameter \`${name}\` does not read`, { cause });
    this.name = "BadParam";
  }
}

/**
 * @param {{ name: string, value: string }[]} captured
 * @param {Readers} readers
 * @returns {Record<string, any>}
 * @throws {BadParam | HttpError}
 */
export function readParams(captured, readers) {
  /** @type {Record<string, any>} */
  const params = {};
  for (const { name, value } of captured) params[name] = value;
  for (const name of Object.keys(readers ?? {}))
    params[name] = read(name, params[name], readers?.[name]);
  return params;
}

/**
 * @param {string} name
 * @param {string | undefined} text
 * @param {import("./types.js").Parse | undefined} reader
 * @returns {unknown}
 */
function read(name, text, reader) {
  let value;
  try {
    value = text === undefined ? undefined : reader?.(text);
  } catch (error) {
    if (error instanceof HttpError) throw error;
    throw new BadParam(name, error);
  }
  if (value === undefined) throw new BadParam(name, undefined);
  return value;
}
