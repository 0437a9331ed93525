/** The rules of the store and of timers for calls, with the texts of the host. */

import { refuse } from "./rules.js";

/** @typedef {import("../types.js").WireValue} WireValue */

export const WRITES_MAX = 4_096;
export const WRITTEN_BYTES_MAX = 16 * 1024 * 1024;
/** A page ends with the entry that brings it to so many bytes of values. */
export const PAGE_BYTES = 1024 * 1024;

const READ_KEYS_MAX = 1_000;
const READS_MAX = 10_000;
const MODULE_BYTES_MAX = 63;
const KEY_BYTES_MAX = 512;
const VALUE_BYTES_MAX = 256 * 1024;
const TIMER_AHEAD_MAX = 365 * 24 * 3600 * 1000;
const TIME_TO_LIVE_MAX = 10 * TIMER_AHEAD_MAX;
const INTEGER_MIN = -(2n ** 63n);
const INTEGER_MAX = 2n ** 63n - 1n;

/**
 * @param {string} text
 * @returns {never}
 */
export function invalid(text) {
  return /** @type {never} */ (refuse("invalid", text));
}

/** @param {string} module */
export function checkModule(module) {
  const wrong = (/** @type {string} */ what) =>
    invalid(`module ${JSON.stringify(module)}: ${what}`);
  const bytes = Buffer.byteLength(module);
  if (bytes === 0) wrong("a name has at least 1 byte; this one is empty");
  if (bytes > MODULE_BYTES_MAX)
    wrong(`a name has at most ${MODULE_BYTES_MAX} bytes; this one has ${bytes}`);
  const bad = /[^a-z0-9-]/u.exec(module);
  if (bad) {
    const at = Buffer.byteLength(module.slice(0, bad.index));
    wrong(`'${bad[0]}' at byte ${at} is not one of a-z 0-9 -`);
  }
}

/** @param {string} key */
export function checkKey(key) {
  if (key === "") invalid("a key has at least 1 byte; this one is empty. Name the value");
  checkPrefix(key);
}

/** @param {string} prefix */
export function checkPrefix(prefix) {
  const bytes = Buffer.byteLength(prefix);
  if (bytes > KEY_BYTES_MAX) {
    invalid(
      `a key has at most ${KEY_BYTES_MAX} bytes; this one has ${bytes}. Shorten it, or use a digest of it`,
    );
  }
}

/** @param {WireValue} value */
export function checkValue({ data }) {
  if (data.tag === "bytes" && data.val.length > VALUE_BYTES_MAX) {
    invalid(
      `a value has at most ${VALUE_BYTES_MAX} bytes; this one has ${data.val.length}. Divide it among several keys`,
    );
  }
}

/** @param {number} span in milliseconds */
export function checkTimeToLive(span) {
  if (span < 1 || span > TIME_TO_LIVE_MAX) {
    invalid(
      `a time to live is 1 to ${TIME_TO_LIVE_MAX} ms; this one is ${span} ms. Leave it out for a value that stays, and delete a key that is to go`,
    );
  }
}

/**
 * How many keys one call reads.
 *
 * @param {number} asked
 */
export function checkCount(asked) {
  if (asked < 1 || asked > READ_KEYS_MAX) {
    invalid(
      `a call reads 1 to ${READ_KEYS_MAX} keys; this one asks for ${asked}. Ask in several calls`,
    );
  }
}

/**
 * How many keys a run reads.
 *
 * @param {number} read
 */
export function checkReads(read) {
  if (read > READS_MAX) {
    invalid(
      `a run reads at most ${READS_MAX} keys. Read fewer, or raise \`store.reads\` of the module`,
    );
  }
}

/**
 * A cursor: the length of the prefix, which is the start of the last key, and that key.
 *
 * @param {string} prefix
 * @param {string} last
 */
export function writeCursor(prefix, last) {
  return `${prefix.length}:${last}`;
}

/**
 * The last key out of a cursor of the same prefix.
 *
 * @param {string} prefix
 * @param {string} cursor
 * @returns {string}
 */
export function readCursor(prefix, cursor) {
  const [, length, last = ""] = /^(\d+):([^]+)$/.exec(cursor) ?? [];
  if (length === undefined)
    return invalid("the text is not a cursor. Pass a cursor as `list` returned it, or none");
  const own = last.slice(0, Number(length));
  if (own === prefix) return last;
  return invalid(
    `the cursor continues a listing of the prefix ${JSON.stringify(own)}, not of ${JSON.stringify(prefix)}. Begin the listing of this prefix without a cursor`,
  );
}

/**
 * The integer that `add` leaves.
 *
 * @param {string} key
 * @param {WireValue["data"] | undefined} stored
 * @param {number} delta
 * @returns {number}
 */
export function sum(key, stored, delta) {
  if (stored?.tag === "bytes") {
    return invalid(
      `${JSON.stringify(key)} is not an integer, and \`add\` changes integers only. Use another key for the counter, or delete this one first`,
    );
  }
  const after = BigInt(stored?.val ?? 0) + BigInt(delta);
  if (after >= INTEGER_MIN && after <= INTEGER_MAX) return Number(after);
  return invalid(
    `${JSON.stringify(key)} would leave the range of 64-bit integers. Set it to a smaller value first`,
  );
}

/**
 * @param {import("../types.js").WireMoment} due
 * @param {number} now milliseconds since 1970
 */
export function checkDue({ tag, val }, now) {
  const ahead = tag === "after" ? val : val - now;
  if (ahead <= TIMER_AHEAD_MAX) return;
  const found = tag === "after" ? `in ${val} ms` : `at ${val} ms since 1970`;
  invalid(
    `a timer is due in ${TIMER_AHEAD_MAX} ms at most; this one is ${found}. Set one that is due earlier, and let its consumer set the next`,
  );
}
