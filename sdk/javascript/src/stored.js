/** Values of the store: how they are written, and how old ones are read. */

import { pack, unpack } from "./content.js";
import { StoreError } from "./errors.js";

/** @typedef {import("./types.js").WireValue} WireValue */

/**
 * Writes a value. A whole number up to 2^53 is kept as one, so that `add` changes it; the bindings of
 * the engine would round a larger one.
 *
 * @param {string} key
 * @param {unknown} value
 * @param {number} schema
 * @returns {WireValue}
 * @throws {TypeError} the store cannot keep the value
 */
export function encode(key, value, schema) {
  if (value === undefined) {
    throw new TypeError(`the value of ${JSON.stringify(key)} is undefined: delete the key instead`);
  }
  const integer = integerOf(value);
  const data = /** @type {WireValue["data"]} */ (
    integer === undefined
      ? { tag: "bytes", val: pack(value, `the value of ${JSON.stringify(key)}`) }
      : { tag: "integer", val: integer }
  );
  return { data, schema };
}

/**
 * Reads a value that `encode` wrote, also in another version of the module.
 *
 * @param {string} key
 * @param {WireValue} value
 * @param {import("./types.js").Shape<any>} shape
 * @returns {any}
 * @throws {StoreError}
 */
export function decode(key, { data, schema: found }, { schema: known, migrate }) {
  if (known !== undefined && found > known) {
    throw new StoreError(
      "newer-schema",
      `newer-schema: ${JSON.stringify(key)} has schema ${found}, and this version of the module reads up to ${known}. Deploy the version that wrote it, or delete the key`,
      key,
    );
  }
  try {
    const plain = data.tag === "integer" ? exact(data.val) : unpack(data.val);
    if (known === undefined || found === known) return plain;
    if (migrate) return migrate(found, plain);
  } catch (error) {
    throw unreadable(key, /** @type {Error} */ (error).message);
  }
  throw unreadable(
    key,
    `it has schema ${found}, and this version reads schema ${known}. Write \`migrate\``,
  );
}

/**
 * Reads an integer. 0 without one.
 *
 * @param {string} key
 * @param {WireValue | undefined} value
 * @returns {number}
 * @throws {StoreError}
 */
export function counted(key, value) {
  if (!value) return 0;
  if (value.data.tag === "bytes")
    throw unreadable(key, "it is not an integer. Read it with `get`");
  try {
    return exact(value.data.val);
  } catch (error) {
    throw unreadable(key, /** @type {Error} */ (error).message);
  }
}

/**
 * @param {unknown} value
 * @returns {number | undefined}
 */
function integerOf(value) {
  const number = typeof value === "bigint" ? Number(value) : value;
  return Number.isSafeInteger(number) ? /** @type {number} */ (number) : undefined;
}

/**
 * @param {number} integer as the bindings of the engine have it, which round
 * @returns {number}
 */
function exact(integer) {
  if (Number.isSafeInteger(integer)) return integer;
  throw new RangeError(`it is an integer beyond 2^53, about ${integer}, which is not read exactly`);
}

/**
 * @param {string} key
 * @param {string} problem
 */
function unreadable(key, problem) {
  return new StoreError("unreadable", `${JSON.stringify(key)}: ${problem}`, key);
}
