/** Values of the store: how they are written, and how old ones are read. */

import { kind } from "./bytes.js";
import { narrow, pack, unpack } from "./content.js";
import { StoreError } from "./errors.js";

/** @typedef {import("./types.js").WireValue} WireValue */

const INTEGER_MIN = -(2n ** 63n);
const INTEGER_MAX = 2n ** 63n - 1n;

/**
 * Writes a value. A whole number is kept as one, so that `add` changes it.
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
    const plain = data.tag === "integer" ? narrow(data.val) : unpack(data.val);
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
 * @returns {number | bigint}
 * @throws {StoreError}
 */
export function counted(key, value) {
  if (!value) return 0;
  if (value.data.tag === "integer") return /** @type {number | bigint} */ (narrow(value.data.val));
  throw unreadable(key, "it is not an integer. Read it with `get`");
}

/**
 * @param {unknown} value
 * @param {string} what the argument, for the error
 * @returns {bigint} an integer of 64 bits with sign
 * @throws {TypeError}
 */
export function integer64(value, what) {
  const integer = integerOf(value);
  if (integer !== undefined) return integer;
  throw new TypeError(
    `${what} is ${kind(value)}: give a whole number, up to 2^53 or as a BigInt of 64 bits`,
  );
}

/**
 * @param {unknown} value
 * @returns {bigint | undefined}
 */
function integerOf(value) {
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : undefined;
  if (typeof value !== "bigint") return undefined;
  return value >= INTEGER_MIN && value <= INTEGER_MAX ? value : undefined;
}

/**
 * @param {string} key
 * @param {string} problem
 */
function unreadable(key, problem) {
  return new StoreError("unreadable", `${JSON.stringify(key)}: ${problem}`, key);
}
