/** The data of a module, seen and changed by a test. */

import { integer, milliseconds, text } from "../bytes.js";
import { storing } from "../calls.js";
import { counted, decode, encode } from "../stored.js";
import { checkKey, checkTimeToLive, checkValue } from "./store-rules.js";

/** @typedef {import("./world.js").World} World */

/** The data of a module in the store: `host.data`. */
export class TestData {
  #world;
  #module;

  /**
   * @param {World} world
   * @param {string} module
   */
  constructor(world, module) {
    this.#world = world;
    this.#module = module;
  }

  /**
   * Reads a key. `undefined`: nothing is there.
   *
   * @template [T=any]
   * @param {string} key
   * @param {import("../types.js").Shape<T>} [shape]
   * @returns {T | undefined}
   */
  get(key, shape = {}) {
    const value = this.#entry(key)?.value;
    return value && decode(key, value, shape);
  }

  /**
   * Reads an integer. 0 if nothing is there.
   *
   * @param {string} key
   */
  counter(key) {
    return counted(key, this.#entry(key)?.value);
  }

  /** The keys that are there, in their order. */
  get keys() {
    const { data, now } = this.#world;
    return [...data.range(this.#module, "", undefined, now)].map(([key]) => key);
  }

  /**
   * Sets a key, as another run would.
   *
   * @param {string} key
   * @param {unknown} value
   * @param {{ timeToLive?: number, schema?: number }} [options] as of `cx.store.set`
   * @throws {import("../errors.js").StoreError} the store does not take the key or the value
   */
  set(key, value, { timeToLive, schema = 0 } = {}) {
    const name = text(key, "the key of set");
    const written = encode(name, value, integer(schema, "schema", 0, 0xffff_ffff));
    const span = timeToLive === undefined ? undefined : milliseconds(timeToLive, "timeToLive");
    const { data, now } = this.#world;
    storing(() => {
      checkKey(name);
      checkValue(written);
      if (span !== undefined) checkTimeToLive(span);
      data.put(this.#module, name, written, span === undefined ? undefined : now + span);
    });
  }

  /**
   * Deletes a key.
   *
   * @param {string} key
   */
  delete(key) {
    this.#world.data.remove(this.#module, key);
  }

  /**
   * Writes a key anew with the value that it has.
   *
   * @param {string} key
   * @throws {Error} nothing is there
   */
  touch(key) {
    const entry = this.#entry(key);
    if (!entry) throw new Error(`nothing is below the key ${JSON.stringify(key)}: set it before`);
    this.#world.data.put(this.#module, key, entry.value, entry.expires);
  }

  /** @param {string} key */
  #entry(key) {
    return this.#world.data.live(this.#module, key, this.#world.now);
  }
}
