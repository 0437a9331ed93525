/**
 * Queries and forms, which are encoded alike (URL standard, section 5.1).
 *
 * It is the reading half of `URLSearchParams`, which the engine lacks, and whose polyfill would
 * take a megabyte of each instance.
 */

/** The pairs of a query or a form, in order. It has the methods of `URLSearchParams` that read. */
export class Query {
  /** @type {[string, string][]} */
  #pairs;

  /** @param {string} text without a question mark */
  constructor(text) {
    this.#pairs = text
      .split("&")
      .filter((pair) => pair !== "")
      .map((pair) => {
        const at = pair.indexOf("=");
        return at < 0
          ? [decode(pair), ""]
          : [decode(pair.slice(0, at)), decode(pair.slice(at + 1))];
      });
  }

  /** How many pairs there are. */
  get size() {
    return this.#pairs.length;
  }

  /**
   * The first value of a key. `""` for a key without value.
   *
   * @param {string} key
   * @returns {string | null} `null` if it is not there
   */
  get(key) {
    return this.#pairs.find(([name]) => name === key)?.[1] ?? null;
  }

  /**
   * All values of a key.
   *
   * @param {string} key
   * @returns {string[]}
   */
  getAll(key) {
    return this.#pairs.filter(([name]) => name === key).map(([, value]) => value);
  }

  /**
   * @param {string} key
   * @returns {boolean}
   */
  has(key) {
    return this.#pairs.some(([name]) => name === key);
  }

  /** @returns {IterableIterator<string>} */
  keys() {
    return this.#pairs.map(([name]) => name)[Symbol.iterator]();
  }

  /** @returns {IterableIterator<string>} */
  values() {
    return this.#pairs.map(([, value]) => value)[Symbol.iterator]();
  }

  /** @returns {IterableIterator<[string, string]>} */
  entries() {
    return this.#pairs
      .map(([name, value]) => /** @type {[string, string]} */ ([name, value]))
      [Symbol.iterator]();
  }

  [Symbol.iterator]() {
    return this.entries();
  }
}

/** @param {string} text */
function decode(text) {
  const spaced = text.replaceAll("+", " ");
  if (!spaced.includes("%")) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    // What is no escape stands for itself, and bytes that are not UTF-8 become U+FFFD.
    return spaced.replaceAll(/(?:%[0-9A-Fa-f]{2})+/g, (escapes) => {
      const bytes = escapes
        .slice(1)
        .split("%")
        .map((hex) => parseInt(hex, 16));
      return new TextDecoder().decode(Uint8Array.from(bytes));
    });
  }
}
