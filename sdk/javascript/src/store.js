/** The data of the module: keys and values that outlive connections and versions. */

import { integer, kind, milliseconds, text } from "./bytes.js";
import { storing } from "./calls.js";
import { counted, decode, encode } from "./stored.js";

/** @typedef {import("./types.js").StoringHost} StoringHost */
/** @typedef {import("./types.js").WireValue} WireValue */

/** Keys that are asked for at a time. */
const PAGE = 100;

/**
 * The data of the module: `cx.store`.
 *
 * A run is a transaction. Its writes wait until the consumer returns without fault, or calls
 * `flush`. Then they take effect as a whole, before anything that the run sends. A fault takes back
 * everything since the last flush. If something that the run has read has changed by then, nothing
 * takes effect and nothing is sent: the host runs the consumer again for the same event, in a fresh
 * instance, 10 times at most. So a consumer reads, decides and writes as if it were alone.
 *
 * A run sees its own writes. A key is text of 1 to 512 bytes. A value is what a message may hold:
 * text, a number, a boolean, null, an array, an object or bytes, at most 256 KiB as MessagePack.
 *
 * ```js
 * const book = http("POST /seats/{number}/{name}", ({ params: { number, name } }, cx) => {
 *   const taken = cx.store.get(`seat:${number}`);
 *   if (taken) throw badRequest(`${taken.by} has it\n`);
 *   cx.store.set(`seat:${number}`, { by: name });
 *   cx.store.add("seats-taken", 1);
 *   return "booked\n";
 * });
 * ```
 */
export class Store {
  #host;

  /** @param {StoringHost} host */
  constructor(host) {
    this.#host = host;
  }

  /**
   * Reads a key. `undefined`: nothing is there, or it has expired.
   *
   * @template [T=any]
   * @param {string} key
   * @param {import("./types.js").Shape<T>} [shape] how values of other versions are read
   * @returns {T | undefined}
   * @throws {import("./errors.js").StoreError}
   */
  get(key, shape) {
    return this.getMany([key], shape)[0];
  }

  /**
   * Reads up to 1,000 keys as they are at one moment, in their order.
   *
   * @template [T=any]
   * @param {readonly string[]} keys
   * @param {import("./types.js").Shape<T>} [shape]
   * @returns {(T | undefined)[]}
   * @throws {import("./errors.js").StoreError}
   */
  getMany(keys, shape) {
    return decoded(keys, (names) => this.#host.getMany(names), shape);
  }

  /**
   * Sets a key.
   *
   * @param {string} key
   * @param {unknown} value a whole number up to 2^53 is kept so that `add` changes it
   * @param {{ timeToLive?: number, schema?: number }} [options] `timeToLive`: it is gone so many
   *   milliseconds after the commit, at most ten years. `schema`: the number of the value's shape, 0
   *   if not given
   * @throws {import("./errors.js").StoreError}
   * @throws {TypeError | RangeError} the store cannot keep the value
   */
  set(key, value, { timeToLive, schema = 0 } = {}) {
    const name = text(key, "the key of set");
    const span = timeToLive === undefined ? undefined : milliseconds(timeToLive, "timeToLive");
    const written = encode(name, value, integer(schema, "schema", 0, 0xffff_ffff));
    storing(() => this.#host.set(name, written, span));
  }

  /**
   * Deletes a key. Without one, it does nothing.
   *
   * @param {string} key
   * @throws {import("./errors.js").StoreError}
   */
  delete(key) {
    const name = text(key, "the key of delete");
    storing(() => this.#host.remove(name));
  }

  /**
   * Adds to an integer without reading it: runs that add to one key do not disturb each other. A
   * key that is not there counts as 0. If it holds anything but an integer at the commit, the run
   * fails.
   *
   * @param {string} key
   * @param {number} [delta] a whole number, 1 if not given
   * @throws {import("./errors.js").StoreError}
   * @throws {TypeError | RangeError} it is no whole number up to 2^53
   */
  add(key, delta = 1) {
    const name = text(key, "the key of add");
    const by = integer(
      delta,
      "the number of add",
      Number.MIN_SAFE_INTEGER,
      Number.MAX_SAFE_INTEGER,
    );
    storing(() => this.#host.add(name, by));
  }

  /**
   * Reads an integer. 0 if nothing is there.
   *
   * @param {string} key
   * @returns {number}
   * @throws {import("./errors.js").StoreError} also for an integer beyond 2^53
   */
  counter(key) {
    const name = text(key, "the key of counter");
    return counted(name, storing(() => this.#host.getMany([name]))[0]);
  }

  /**
   * The keys that begin with a prefix, with their values, in the order of the keys' bytes. An empty
   * prefix lists all keys of the module. The host is asked for 100 keys at a time, as the loop goes
   * on.
   *
   * ```js
   * for (const [key, score] of cx.store.list("score:")) cx.info(`${key} has ${score}`);
   * ```
   *
   * @template [T=any]
   * @param {string} prefix
   * @param {import("./types.js").Shape<T>} [shape]
   * @returns {Generator<[string, T], void, void>}
   * @throws {import("./errors.js").StoreError}
   */
  list(prefix, shape = {}) {
    const entries = this.#entries(text(prefix, "the prefix of list"));
    return (function* () {
      for (const { key, value } of entries)
        yield /** @type {[string, T]} */ ([key, decode(key, value, shape)]);
    })();
  }

  /**
   * The keys that begin with a prefix, as `list` finds them.
   *
   * @param {string} prefix
   * @returns {Generator<string, void, void>}
   * @throws {import("./errors.js").StoreError}
   */
  keys(prefix) {
    const entries = this.#entries(text(prefix, "the prefix of keys"));
    return (function* () {
      for (const { key } of entries) yield key;
    })();
  }

  /** @param {string} prefix */
  *#entries(prefix) {
    /** @type {string | undefined} */
    let cursor;
    do {
      const page = storing(() => this.#host.list(prefix, cursor, PAGE));
      yield* page.entries;
      cursor = page.cursor;
    } while (cursor !== undefined);
  }

  /**
   * The keys of another module, to be read. An operator grants them with `grants.data`. They are no
   * part of the transaction: the run is not done again if they change.
   *
   * @param {string} module
   */
  of(module) {
    return new StoreView(this.#host, text(module, "the module of of"));
  }
}

/** The keys of another module, to be read. Without a grant calls throw a StoreError with the code `forbidden`. */
export class StoreView {
  #host;
  #module;

  /**
   * @param {StoringHost} host
   * @param {string} module
   */
  constructor(host, module) {
    this.#host = host;
    this.#module = module;
  }

  /**
   * Reads a key. `undefined`: nothing is there, or it has expired.
   *
   * @template [T=any]
   * @param {string} key
   * @param {import("./types.js").Shape<T>} [shape]
   * @returns {T | undefined}
   * @throws {import("./errors.js").StoreError}
   */
  get(key, shape) {
    return this.getMany([key], shape)[0];
  }

  /**
   * Reads up to 1,000 keys as they are at one moment, in their order.
   *
   * @template [T=any]
   * @param {readonly string[]} keys
   * @param {import("./types.js").Shape<T>} [shape]
   * @returns {(T | undefined)[]}
   * @throws {import("./errors.js").StoreError}
   */
  getMany(keys, shape) {
    return decoded(keys, (names) => this.#host.getManyOf(this.#module, names), shape);
  }

  /**
   * Reads an integer. 0 if nothing is there.
   *
   * @param {string} key
   * @returns {number}
   * @throws {import("./errors.js").StoreError} also for an integer beyond 2^53
   */
  counter(key) {
    const name = text(key, "the key of counter");
    return counted(name, storing(() => this.#host.getManyOf(this.#module, [name]))[0]);
  }
}

/**
 * @param {readonly string[]} keys
 * @param {(names: string[]) => (WireValue | undefined)[]} read
 * @param {import("./types.js").Shape<any>} [shape]
 */
function decoded(keys, read, shape = {}) {
  if (!Array.isArray(keys)) throw new TypeError(`the keys are ${kind(keys)}: give an array`);
  const names = keys.map((key) => text(key, "a key"));
  const values = storing(() => read(names));
  return values.map((value, i) => value && decode(names[i] ?? "", value, shape));
}
