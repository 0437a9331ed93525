/**
 * Who is in a group. The host tells it by text frames `{"presence": {...}}`: a list of the members to who joins, then
 * what changes, or only how many there are where they are too many to list.
 */

import { SocketEvent } from "./events.js";

/** All frames of the host begin so. */
const START = '{"presence":';

/**
 * Reads a frame. None: it is another message.
 *
 * @param {unknown} data
 * @returns {any}
 */
export function decode(data) {
  if (typeof data !== "string" || !data.startsWith(START)) return undefined;
  try {
    const { presence } = JSON.parse(data);
    const known = typeof presence?.group === "string" && Number.isInteger(presence.version);
    return known ? presence : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The members of a group: a collection that follows the group. Fires `change`, with `joined`, `updated` and `left`, the
 * keys of members, whenever the collection is another one than before.
 */
export class Presence extends EventTarget {
  /** @type {Map<string, unknown>} */
  #members = new Map();
  #count = 0;
  #version = -1;
  #current = false;
  #isConnected = true;
  #listed = false;
  /** Parts of a message that is not complete. @type {any[]} */
  #parts = [];

  /** The members by key, with their facts. Empty while they are too many to be listed. */
  get members() {
    return new Map(this.#members);
  }

  /** How many members there are. */
  get count() {
    return this.#count;
  }

  /** Whether this is how it is, as far as the host has told: false while no connection is open, and until the list has come. */
  get current() {
    return this.#isConnected && this.#current;
  }

  /** Whether the members are listed, and not only counted. */
  get listed() {
    return this.#listed;
  }

  /** The connection is over. */
  lose() {
    this.#isConnected = false;
  }

  /**
   * There is a connection. If it does not go on with the one before, it brings a list.
   *
   * @param {boolean} resumed
   */
  find(resumed) {
    this.#isConnected = true;
    if (resumed) return;
    this.#current = false;
    this.#version = -1;
    this.#parts = [];
  }

  /**
   * Takes what the host tells.
   *
   * @param {any} told
   */
  receive(told) {
    const whole = this.#join(told);
    if (!whole) return;
    const { from, version, count, members, joined, updated, left } = whole;
    if (from !== undefined) {
      // What the list has already; or what follows something that did not come, until the next list comes.
      if (!this.#current || !this.#listed || version <= this.#version) return;
      if (from > this.#version) {
        this.#current = false;
        return;
      }
      const next = new Map(this.#members);
      for (const [key, facts] of entries({ ...joined, ...updated })) next.set(key, facts);
      for (const key of left ?? []) next.delete(key);
      this.#become(next, true, count, version);
    } else if (version >= this.#version) {
      this.#become(new Map(entries(members)), members !== undefined || count === 0, count, version);
    }
  }

  /**
   * Puts the parts of a message together. None: it is not complete.
   *
   * @param {any} told
   */
  #join(told) {
    const { part = 1, parts = 1 } = told;
    if (part === 1) this.#parts = [];
    if (part !== this.#parts.length + 1) return undefined;
    this.#parts.push(told);
    if (part < parts) return undefined;
    const all = this.#parts;
    this.#parts = [];
    if (all.length === 1) return told;
    const whole = { ...told };
    for (const word of ["members", "joined", "updated"]) {
      const some = all.filter((it) => it[word]);
      if (some.length) whole[word] = Object.fromEntries(some.flatMap((it) => entries(it[word])));
    }
    whole.left = all.flatMap((it) => it.left ?? []);
    return whole;
  }

  /**
   * @param {Map<string, unknown>} next
   * @param {boolean} listed
   * @param {number} count
   * @param {number} version
   */
  #become(next, listed, count, version) {
    const before = this.#members;
    const same = (/** @type {string} */ key) => JSON.stringify(before.get(key)) === JSON.stringify(next.get(key));
    const joined = [...next.keys()].filter((key) => !before.has(key));
    const updated = [...next.keys()].filter((key) => before.has(key) && !same(key));
    const left = [...before.keys()].filter((key) => !next.has(key));
    const differs =
      joined.length + updated.length + left.length > 0 ||
      this.#count !== count ||
      this.#listed !== listed ||
      !this.#current;
    this.#members = next;
    this.#count = count;
    this.#listed = listed;
    this.#version = version;
    this.#current = true;
    if (differs) this.dispatchEvent(new SocketEvent("change", { joined, updated, left }));
  }
}

/**
 * The entries of an object of JSON. `__proto__` is a key like any other.
 *
 * @param {any} object
 * @returns {[string, unknown][]}
 */
function entries(object) {
  return typeof object === "object" && object !== null ? Object.entries(object) : [];
}
