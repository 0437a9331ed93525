/** Text and bytes on their way to the host, checked before the bindings see them. */

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** @typedef {string | Uint8Array | ArrayBuffer | ArrayBufferView} Bytes text stands for its UTF-8 */

/**
 * A value as error messages name it.
 *
 * @param {unknown} value
 * @returns {string}
 */
export function kind(value) {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return "an array";
  switch (typeof value) {
    case "string":
      return "text";
    case "object":
    case "function": {
      const name =
        typeof value === "function" ? "Function" : Object.getPrototypeOf(value)?.constructor?.name;
      if (name === "Function") return "a function";
      return name && name !== "Object" ? `a ${name}` : "an object";
    }
    case "bigint":
    case "number":
      return `the number ${value}`;
    default:
      return `the ${typeof value} ${String(value)}`;
  }
}

/**
 * Text as the contract takes it: half of a surrogate pair is not a character, and becomes U+FFFD.
 *
 * @param {unknown} value
 * @param {string} what the argument, for the error
 * @returns {string}
 * @throws {TypeError} the value is not text
 */
export function text(value, what) {
  if (typeof value === "string") return value.toWellFormed();
  throw new TypeError(`${what} is ${kind(value)}: give text`);
}

/**
 * @param {unknown} value
 * @param {string} what the argument, for the error
 * @returns {Uint8Array}
 * @throws {TypeError} the value is neither text nor bytes
 */
export function bytes(value, what) {
  if (typeof value === "string") return encoder.encode(value);
  if (value instanceof Uint8Array) return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) {
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }
  throw new TypeError(`${what} is ${kind(value)}: give text, a Uint8Array or an ArrayBuffer`);
}

/**
 * @param {Uint8Array} value
 * @returns {string} with U+FFFD where the bytes are not UTF-8
 */
export function lossy(value) {
  return decoder.decode(value);
}

/**
 * @param {Uint8Array} value
 * @returns {string | undefined} `undefined` where the bytes are not UTF-8
 */
export function utf8(value) {
  try {
    return strict.decode(value);
  } catch {
    return undefined;
  }
}

/**
 * @param {unknown} value
 * @param {string} what the argument, for the error
 * @param {number} least
 * @param {number} most
 * @returns {number}
 * @throws {TypeError | RangeError}
 */
export function integer(value, what, least, most) {
  if (typeof value !== "number") throw new TypeError(`${what} is ${kind(value)}: give a number`);
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`${what} is ${value}: give a whole number from ${least} to ${most}`);
  }
  return value;
}

/**
 * @param {unknown} value
 * @param {string} what the argument, for the error
 * @returns {number} whole milliseconds
 * @throws {TypeError | RangeError}
 */
export function milliseconds(value, what) {
  if (typeof value !== "number") {
    throw new TypeError(`${what} is ${kind(value)}: give a number of milliseconds`);
  }
  if (!(value >= 0) || value > Number.MAX_SAFE_INTEGER) {
    throw new RangeError(`${what} is ${value}: give milliseconds, 0 or more`);
  }
  return Math.ceil(value);
}

/**
 * The lines of a text. An expression would look at each letter by itself, which takes the engine seconds for some
 * megabytes.
 *
 * @param {string} text
 * @returns {string[]}
 */
export function linesOf(text) {
  const ends = text.includes("\r") ? text.replaceAll("\r\n", "\n").replaceAll("\r", "\n") : text;
  return ends.split("\n");
}
