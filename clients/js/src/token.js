/** Tokens of users: asked for before each attempt, and given as an entry of the subprotocols. */

/** The close code of a connection whose token has expired. */
export const EXPIRED = 4401;

/** Begins the entry that is a token. The host takes it out of what its application sees. */
const PREFIX = "tidegate.token.";

/** Offered where nothing else is: a browser closes a connection whose entries are all left aside. */
const PLAIN = "tidegate";

/**
 * Gives the token of the next attempt; nothing for none.
 *
 * @typedef {(how: { fresh: boolean }) => Token | Promise<Token>} TokenSource
 * @typedef {string | null | undefined} Token
 */

/**
 * The subprotocols to offer.
 *
 * @param {string | string[]} protocols those of the application
 * @param {Token} token
 * @param {string} [resume] the entry for resuming
 * @returns {string | string[]}
 * @throws {TypeError} it is no token
 */
export function offered(protocols, token, resume) {
  const entries = resume === undefined ? [] : [resume];
  if (token !== null && token !== undefined) {
    // The characters of a JSON Web Token. An entry may have all of them.
    if (typeof token !== "string" || !/^[\w.-]+$/.test(token)) {
      throw new TypeError("tidegate: a token is a text of A-Z a-z 0-9 . _ -");
    }
    entries.unshift(PREFIX + token);
  }
  if (entries.length === 0) return protocols;
  const own = typeof protocols === "string" ? [protocols] : protocols;
  return [...(own.length > 0 ? own : [PLAIN]), ...entries];
}

/**
 * @typedef {object} Owner
 * @property {(token: Token) => void} answered there is one, or none is needed
 * @property {(error: unknown) => void} failed there is none; said once, and nothing is said after it
 */

/** One question for a token. */
export class Question {
  #platform;
  #timer;
  #isOver = false;

  /**
   * Asks.
   *
   * @param {TokenSource} source
   * @param {boolean} fresh whether the last one may have expired
   * @param {number} timeout how long it may take; 0 waits without end
   * @param {import("./platform.js").Platform} platform
   * @param {Owner} owner
   */
  constructor(source, fresh, timeout, platform, owner) {
    this.#platform = platform;
    const late = () => new Error(`tidegate: no token within ${timeout} ms`);
    if (timeout > 0) {
      this.#timer = platform.setTimeout(() => this.drop() && owner.failed(late()), timeout);
    }
    // One that throws has failed like one whose promise is rejected.
    new Promise((resolve) => resolve(source({ fresh }))).then(
      (token) => this.drop() && owner.answered(/** @type {Token} */ (token)),
      (error) => this.drop() && owner.failed(error),
    );
  }

  /**
   * Asks no longer: the owner hears nothing more.
   *
   * @returns {boolean} whether it was still asked
   */
  drop() {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#platform.clearTimeout(this.#timer);
    return true;
  }
}
