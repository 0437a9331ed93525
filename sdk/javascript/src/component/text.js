/**
 * `TextEncoder` and `TextDecoder` for UTF-8, which the engine lacks.
 *
 * Valid text goes through functions that the engine has in C, which takes a thirtieth of the
 * instructions of a loop. What these refuse goes to the library.
 */

import { TextDecoder as SlowDecoder } from "@kayahr/text-encoding/no-encodings";

const ASCII = /^[\x00-\x7f]*$/;
/** So many arguments fit into one call. */
const CHUNK = 8192;

/**
 * @param {string} text
 * @returns {Uint8Array}
 */
function encode(text) {
  if (text === "") return new Uint8Array();
  const binary = ASCII.test(text) ? text : unescape(encodeURIComponent(text.toWellFormed()));
  return Uint8Array.fromBase64(btoa(binary));
}

/**
 * @param {Uint8Array} bytes
 * @returns {string | undefined} `undefined` where the bytes are not UTF-8
 */
function decode(bytes) {
  let binary = "";
  for (let at = 0; at < bytes.length; at += CHUNK) {
    binary += String.fromCharCode.apply(null, /** @type {any} */ (bytes.subarray(at, at + CHUNK)));
  }
  if (ASCII.test(binary)) return binary;
  try {
    return decodeURIComponent(escape(binary));
  } catch {
    return undefined;
  }
}

/** @param {number | undefined} byte */
function isContinuation(byte = 0) {
  return (byte & 0xc0) === 0x80;
}

class TextEncoder {
  get encoding() {
    return "utf-8";
  }

  encode(text = "") {
    return encode(String(text));
  }

  /**
   * @param {string} text
   * @param {Uint8Array} target
   * @returns {{ read: number, written: number }} units of the text and bytes; both end at a whole
   *   character
   */
  encodeInto(text, target) {
    const all = encode(text);
    if (all.length <= target.length) {
      target.set(all);
      return { read: text.length, written: all.length };
    }
    let written = target.length;
    // A byte that continues a character stands behind the cut.
    while (written > 0 && isContinuation(all[written])) written--;
    target.set(all.subarray(0, written));
    return { read: /** @type {string} */ (decode(all.subarray(0, written))).length, written };
  }
}

class TextDecoder {
  #slow;

  constructor(label = "utf-8", options = {}) {
    this.#slow = new SlowDecoder(label, options);
  }

  get encoding() {
    return this.#slow.encoding;
  }

  get fatal() {
    return this.#slow.fatal;
  }

  get ignoreBOM() {
    return this.#slow.ignoreBOM;
  }

  /**
   * @param {ArrayBuffer | ArrayBufferView} [input]
   * @param {{ stream?: boolean }} [options]
   * @returns {string}
   */
  decode(input, options = {}) {
    if (!options.stream && this.encoding === "utf-8" && input !== undefined) {
      const bytes = ArrayBuffer.isView(input)
        ? new Uint8Array(input.buffer, input.byteOffset, input.byteLength)
        : new Uint8Array(input);
      // The mark at the beginning, and what is left of a stream, are the library's.
      const hasMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
      const text = hasMark || this.#isStreaming ? undefined : decode(bytes);
      if (text !== undefined) return text;
    }
    this.#isStreaming = options.stream ?? false;
    return this.#slow.decode(/** @type {any} */ (input), options);
  }

  #isStreaming = false;
}

for (const [name, value] of Object.entries({ TextEncoder, TextDecoder })) {
  if (!(name in globalThis))
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
}
