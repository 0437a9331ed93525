/** The data of all modules in the test host. */

/** @typedef {import("../types.js").WireValue} WireValue */

/**
 * A value with its version and the time when it is gone.
 *
 * @typedef {{ version: number, expires: number | undefined, value: WireValue }} Entry
 */

export class Data {
  /** @type {Map<string, Map<string, Entry>>} */
  #modules = new Map();
  #versions = 0;

  /**
   * @param {string} module
   * @param {string} key
   * @param {number} now
   * @returns {Entry | undefined}
   */
  live(module, key, now) {
    const entry = this.#modules.get(module)?.get(key);
    return entry && (entry.expires === undefined || entry.expires > now) ? entry : undefined;
  }

  /**
   * The entries of a prefix that are behind a key, in their order.
   *
   * @param {string} module
   * @param {string} prefix
   * @param {string | undefined} after
   * @param {number} now
   * @returns {Generator<[string, Entry], void>}
   */
  *range(module, prefix, after, now) {
    for (const key of [...(this.#modules.get(module)?.keys() ?? [])].sort(compare)) {
      if (!key.startsWith(prefix) || (after !== undefined && compare(key, after) <= 0)) continue;
      const entry = this.live(module, key, now);
      if (entry) yield [key, entry];
    }
  }

  /**
   * @param {string} module
   * @param {string} key
   * @param {WireValue} value
   * @param {number | undefined} expires
   */
  put(module, key, value, expires) {
    const keys = this.#modules.get(module) ?? new Map();
    this.#modules.set(module, keys.set(key, { version: ++this.#versions, expires, value }));
  }

  /**
   * @param {string} module
   * @param {string} key
   */
  remove(module, key) {
    this.#modules.get(module)?.delete(key);
  }
}

/**
 * Keys are ordered by their bytes.
 *
 * @param {string} a
 * @param {string} b
 */
export function compare(a, b) {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** The data as a run of a module sees it. */
export class View {
  /**
   * @param {Data} data
   * @param {string} module
   * @param {number} now
   */
  constructor(data, module, now) {
    this.data = data;
    this.module = module;
    this.now = now;
  }

  /** @param {string} key */
  entry(key) {
    return this.data.live(this.module, key, this.now);
  }

  /**
   * @param {string} prefix
   * @param {string | undefined} after
   */
  range(prefix, after) {
    return this.data.range(this.module, prefix, after, this.now);
  }
}
