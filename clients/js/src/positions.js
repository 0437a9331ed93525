/** Positions in groups that the host remembers: what a message says of them, and what the host is told again. */

/** The start of what the host adds to messages; applications send nothing that begins so. */
const MARK = '{"tidegate":';

/** Groups whose positions are kept: their names go into the address. */
const GROUPS_MAX = 50;

/** The key of the query that names a position. */
const KEY = "after";

/**
 * @typedef {object} Opened
 * @property {string} group
 * @property {string} position the place behind the message, or from where on all messages come
 * @property {string | ArrayBuffer} [data] the message, if it is one
 * @property {boolean} [gap] whether messages before the place are missing
 */

export class Positions {
  /** The group that was heard of last stands last. @type {Map<string, string>} */
  #known = new Map();

  /**
   * Opens what a connection received, and keeps the position.
   *
   * @param {unknown} data
   * @returns {Opened | undefined} undefined for a message without a position
   */
  open(data) {
    if (typeof data !== "string" || !data.startsWith(MARK)) return undefined;
    const { tidegate, group, position, text, base64, complete } = parse(data);
    if (typeof group !== "string" || typeof position !== "string") return undefined;
    if (tidegate === "from" && typeof complete === "boolean") {
      this.#keep(group, position);
      return { group, position, gap: !complete };
    }
    if (tidegate !== "message") return undefined;
    const message = typeof text === "string" ? text : bytes(base64);
    if (message === undefined) return undefined;
    this.#keep(group, position);
    return { group, position, data: message };
  }

  /**
   * @param {string} group
   * @returns {string | undefined}
   */
  get(group) {
    return this.#known.get(group);
  }

  /** @param {string} group */
  forget(group) {
    this.#known.delete(group);
  }

  /**
   * The address with all positions, for the host to go on behind them.
   *
   * @param {string} url
   * @returns {string}
   */
  address(url) {
    if (this.#known.size === 0) return url;
    const address = new URL(url);
    for (const [group, position] of this.#known) {
      address.searchParams.append(KEY, `${group}:${position}`);
    }
    return address.href;
  }

  /**
   * @param {string} group
   * @param {string} position
   */
  #keep(group, position) {
    this.#known.delete(group);
    this.#known.set(group, position);
    if (this.#known.size > GROUPS_MAX) {
      this.#known.delete(/** @type {string} */ (this.#known.keys().next().value));
    }
  }
}

/**
 * @param {string} data
 * @returns {Record<string, unknown>}
 */
function parse(data) {
  try {
    return JSON.parse(data);
  } catch {
    return {};
  }
}

/**
 * @param {unknown} base64
 * @returns {ArrayBuffer | undefined} undefined for anything else than base64
 */
function bytes(base64) {
  if (typeof base64 !== "string") return undefined;
  try {
    return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)).buffer;
  } catch {
    return undefined;
  }
}
