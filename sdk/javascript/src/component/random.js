/** Randomness from the host. The engine's own would begin alike in every instance. */

import { getRandomBytes } from "wasi:random/random@0.2.0";

import { checkRunning } from "./phase.js";

/** So many bytes are asked for at once: each call of the host counts. */
const POOL = 1024;
/** The host gives so many bytes in one call. */
const CALL_MAX = 65_536;

let pool = new Uint8Array();
let used = 0;

/**
 * @param {number} count at most `POOL`
 * @param {string} what
 * @returns {Uint8Array}
 */
function take(count, what) {
  checkRunning(what);
  if (used + count > pool.length) {
    pool = getRandomBytes(POOL);
    used = 0;
  }
  used += count;
  return pool.subarray(used - count, used);
}

function random() {
  const bytes = take(8, "Math.random()");
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const high = view.getUint32(0) >>> 5;
  const low = view.getUint32(4) >>> 6;
  return (high * 2 ** 26 + low) / 2 ** 53;
}

const crypto = {
  /**
   * @template {ArrayBufferView} View
   * @param {View} view
   * @returns {View}
   */
  getRandomValues(view) {
    checkRunning("crypto.getRandomValues()");
    if (!ArrayBuffer.isView(view))
      throw new TypeError("crypto.getRandomValues takes a typed array");
    if (view.byteLength > CALL_MAX)
      throw new RangeError(`crypto.getRandomValues gives at most ${CALL_MAX} bytes`);
    const target = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    target.set(getRandomBytes(view.byteLength));
    return view;
  },

  /** @returns {string} a UUID of version 4 */
  randomUUID() {
    const bytes = take(16, "crypto.randomUUID()").slice();
    const [version = 0, variant = 0] = [bytes[6], bytes[8]];
    bytes[6] = (version & 0x0f) | 0x40;
    bytes[8] = (variant & 0x3f) | 0x80;
    const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return [
      hex.slice(0, 8),
      hex.slice(8, 12),
      hex.slice(12, 16),
      hex.slice(16, 20),
      hex.slice(20),
    ].join("-");
  },
};

Math.random = random;
Object.defineProperty(globalThis, "crypto", { value: crypto, configurable: true, writable: true });
