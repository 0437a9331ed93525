/** Content of messages, states and stored values: plain values on this side, MessagePack on the other. */

import { decode, encode } from "@msgpack/msgpack";

import { kind } from "./bytes.js";

/** Maps and lists may be nested so deep. */
const DEPTH_MAX = 32;

const INTEGER_MIN = -(2n ** 63n);
const INTEGER_MAX = 2n ** 63n - 1n;

/** The library writes integers beyond 32 bits as floats, unless they are BigInts. */
const NARROW = 2 ** 32;

const OPTIONS = { useBigInt64: true };

/**
 * @param {unknown} value
 * @param {string} what the place, for the error
 * @returns {Uint8Array}
 * @throws {TypeError} MessagePack cannot hold the value
 */
export function pack(value, what) {
  return encode(plain(value, what, 0), OPTIONS);
}

/**
 * Packs the content of a message, which is a map with text keys.
 *
 * @param {unknown} value an object, or a Frame, a Response, a Close or a Chunk
 * @param {string} what the place, for the error
 * @returns {Uint8Array}
 * @throws {TypeError} the value is not such a map
 */
export function packMessage(value, what) {
  const message = hasForm(value) ? value.toMessage() : value;
  if (!isPlain(message)) {
    const fix = "give an object; for connections a Frame, a Response, a Close or a Chunk";
    throw new TypeError(`${what}: a message is ${kind(value)}: ${fix}`);
  }
  return pack(message, what);
}

/**
 * @param {Uint8Array} content
 * @returns {unknown} integers beyond 2^53 are BigInts
 */
export function unpack(content) {
  return narrow(decode(content, OPTIONS));
}

/**
 * Why no module in JavaScript reads it.
 *
 * @param {Uint8Array} content
 * @returns {string | undefined}
 */
export function unreadable(content) {
  try {
    unpack(content);
    return undefined;
  } catch (error) {
    return /** @type {Error} */ (error).message;
  }
}

/**
 * @param {unknown} value
 * @returns {value is { toMessage(): Record<string, unknown> }}
 */
function hasForm(value) {
  return typeof value === "object" && value !== null && "toMessage" in value;
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
export function isPlain(value) {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype = Object.getPrototypeOf(value);
  return (
    prototype === null || prototype === Object.prototype || prototype.constructor?.name === "Object"
  );
}

/**
 * @param {unknown} value
 * @param {string} at
 * @param {number} depth
 * @returns {unknown}
 */
function plain(value, at, depth) {
  switch (typeof value) {
    case "string":
      return value.toWellFormed();
    case "boolean":
      return value;
    case "number":
      return Number.isSafeInteger(value) && Math.abs(value) >= NARROW ? BigInt(value) : value;
    case "bigint":
      if (value < INTEGER_MIN || value > INTEGER_MAX) {
        throw new RangeError(`${at}: the integer ${value} is beyond 64 bits with sign`);
      }
      return value;
    case "object":
      return value === null ? null : nested(value, at, depth + 1);
    case "undefined":
      return null;
    default:
      throw new TypeError(`${at} is ${kind(value)}, which a message cannot hold`);
  }
}

/**
 * @param {object} value
 * @param {string} at
 * @param {number} depth
 * @returns {unknown}
 */
function nested(value, at, depth) {
  if (value instanceof Uint8Array) return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) {
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }
  if (depth > DEPTH_MAX)
    throw new TypeError(`${at}: objects and arrays are nested deeper than ${DEPTH_MAX}`);
  if (Array.isArray(value)) return value.map((item, i) => plain(item, `${at}[${i}]`, depth));
  if (value instanceof Map) return plainMap(value, at, depth);
  if ("toJSON" in value && typeof value.toJSON === "function")
    return plain(value.toJSON(), at, depth);
  if (value instanceof Set) {
    throw new TypeError(`${at} is a Set, which a message cannot hold: give [...set]`);
  }
  /** @type {Record<string, unknown>} */
  const fields = {};
  for (const [key, field] of Object.entries(value)) {
    if (field !== undefined)
      define(fields, key.toWellFormed(), plain(field, `${at}.${key}`, depth));
  }
  return fields;
}

/**
 * @param {Map<unknown, unknown>} map
 * @param {string} at
 * @param {number} depth
 */
function plainMap(map, at, depth) {
  /** @type {Record<string, unknown>} */
  const fields = {};
  for (const [key, field] of map) {
    if (typeof key !== "string")
      throw new TypeError(`${at} has the key ${kind(key)}: keys are text`);
    define(fields, key.toWellFormed(), plain(field, `${at}.${key}`, depth));
  }
  return fields;
}

/**
 * Sets a key as data, also `__proto__`.
 *
 * @param {Record<string, unknown>} object
 * @param {string} key
 * @param {unknown} value
 */
function define(object, key, value) {
  if (key !== "__proto__") object[key] = value;
  else
    Object.defineProperty(object, key, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    });
}

/**
 * Turns BigInts into numbers, as far as numbers are exact.
 *
 * @param {unknown} value
 * @returns {unknown}
 */
function narrow(value) {
  if (typeof value === "bigint") {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) value[i] = narrow(value[i]);
    return value;
  }
  const fields = /** @type {Record<string, unknown>} */ (value);
  for (const key of Object.keys(fields)) fields[key] = narrow(fields[key]);
  return value;
}
