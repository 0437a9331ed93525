/** A bound on how often something is tried. */

import { integer, milliseconds, text } from "./bytes.js";
import { knownOptions } from "./options.js";

/** Before the keys of throttles in the store of the module. */
const KEY_PREFIX = "throttle:";
/** The longest start of a subject that is in its key, in bytes. */
const SUBJECT_BYTES_MAX = 256;

const encoder = new TextEncoder();

/** @typedef {{ count: number, until: number }} Tries and when their window ends, in milliseconds since 1970 */

/**
 * Bounds how often something is tried, such as signing in, by a subject, such as an address or the name of a
 * user: `cx.throttle("login", { limit: 10, window: 900_000 })`.
 *
 * The first try opens a window; beyond `limit` tries in it the others are too many, until it ends. The count is
 * in the store of the module and part of the run's transaction: tries at the same time are all counted, in
 * whatever process they run, and a run that fails counts nothing. So count before the password is looked at, and
 * answer a wrong one with a response, not with a fault.
 */
export class Throttle {
  #store;
  #name;
  #limit;
  #window;
  #now;

  /**
   * @param {import("./store.js").Store} store
   * @param {number} now milliseconds since 1970
   * @param {string} name
   * @param {unknown} bound
   */
  constructor(store, now, name, bound) {
    const { limit, window } = knownOptions(bound, ["limit", "window"], "throttle");
    this.#store = store;
    this.#now = now;
    this.#name = text(name, "the name of a throttle");
    this.#limit = integer(limit, "the limit of a throttle", 0, 0xffff_ffff);
    this.#window = milliseconds(window, "the window of a throttle");
  }

  /**
   * Counts a try of a subject. Where it is one too many it is not counted.
   *
   * @param {string} subject
   * @returns {number} how long to wait if it is one too many, in milliseconds; else 0
   * @throws {import("./errors.js").StoreError}
   */
  count(subject) {
    const key = this.#key(subject);
    /** @type {Tries | undefined} */
    const found = this.#store.get(key);
    const isOpen = found !== undefined && found.until > this.#now;
    const tries = isOpen ? found : { count: 0, until: this.#now + this.#window };
    const left = Math.max(tries.until - this.#now, 1);
    if (tries.count >= this.#limit) return left;
    this.#store.set(key, { ...tries, count: tries.count + 1 }, { timeToLive: left });
    return 0;
  }

  /**
   * Forgets the tries of a subject, as after a sign-in that went well.
   *
   * @param {string} subject
   * @throws {import("./errors.js").StoreError}
   */
  forget(subject) {
    this.#store.delete(this.#key(subject));
  }

  /**
   * A subject that is too long for a key counts together with others that begin like it.
   *
   * @param {string} subject
   */
  #key(subject) {
    let start = "";
    let size = 0;
    for (const character of text(subject, "the subject of a throttle")) {
      size += encoder.encode(character).length;
      if (size > SUBJECT_BYTES_MAX) break;
      start += character;
    }
    return `${KEY_PREFIX}${this.#name}:${start}`;
  }
}
