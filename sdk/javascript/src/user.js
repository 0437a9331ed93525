/** The user of a connection. */

import { unpack } from "./content.js";

/**
 * The user of a connection, as the host found out before the consumer ran. There is one only where the
 * consumer asks for it, with the option `user` or `claims`.
 *
 * ```js
 * http("GET /me", { user: "required" }, (_, cx) => `You are ${cx.user?.id}.`)
 * ```
 *
 * @template {object} [Claims=Record<string, any>]
 */
export class User {
  #claims;
  /** @type {Claims | undefined} */
  #read;

  /** @param {import("./types.js").WireUser} wire */
  constructor({ id, claims, expires }) {
    this.#claims = claims;
    /** The id: `sub` of a token. It is the same for each connection of the user. @type {string} */
    this.id = id;
    /** When it is no longer known that this is the user; `undefined`: always. @type {Date | undefined} */
    this.expires = expires === undefined ? undefined : date(expires);
  }

  /** The claims, an object. Integers beyond 2^53 are BigInts. @returns {Claims} */
  get claims() {
    return (this.#read ??= /** @type {Claims} */ (unpack(this.#claims)));
  }
}

/**
 * @param {number} seconds since 1970
 * @returns {Date | undefined} none where no Date is so late
 */
function date(seconds) {
  const found = new Date(seconds * 1000);
  return Number.isNaN(found.getTime()) ? undefined : found;
}
