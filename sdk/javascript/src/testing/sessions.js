/** Sessions of the test host, kept by the rules of the host. */

import { lossy } from "../bytes.js";

/** @typedef {import("../types.js").WireHeader} WireHeader */
/** @typedef {import("../types.js").WireUser} WireUser */

/** The name of the cookie, as without the setting. */
const COOKIE = "__Host-session";
/** How long a session lasts, in seconds, as without the setting. */
export const LIFETIME = 30 * 24 * 3600;

/**
 * A session that is open. Its key names what the module keeps for it.
 *
 * @typedef {{ user: WireUser | undefined, key: string, created: number, expires: number,
 *   address: string, agent: string }} Open
 *
 * What is found of the session of a connection, where somebody looked.
 *
 * @typedef {{ id: string | undefined }} Lookup
 */

/** The sessions of a test, by their ids. */
export class SessionTable {
  /** @type {Map<string, Open>} */
  #open = new Map();

  /** @param {string | undefined} id */
  get(id) {
    return id === undefined ? undefined : this.#open.get(id);
  }

  /**
   * @param {string} id
   * @param {Open} open
   */
  put(id, open) {
    this.#open.set(id, open);
  }

  /** @param {string} id */
  remove(id) {
    this.#open.delete(id);
  }

  /**
   * Takes the cookie of the session out of a request.
   *
   * @param {WireHeader[]} headers
   * @param {WireUser | undefined} user one that the request has brought besides
   * @param {number} now in seconds
   * @returns {{ headers: WireHeader[], user: WireUser | undefined, session: Lookup | undefined }} the session is one of
   *   nobody who has brought a user
   */
  lookUp(headers, user, now) {
    const { found, others } = takeCookie(headers);
    if (user) return { headers: others, user, session: undefined };
    const open = this.get(found);
    const isOpen = open !== undefined && now < open.expires;
    return {
      headers: others,
      user: isOpen ? open.user : undefined,
      session: { id: isOpen ? found : undefined },
    };
  }

  /**
   * The sessions of a user, the newest first.
   *
   * @param {string} user
   * @param {string | undefined} own
   * @param {number} now in seconds
   * @returns {import("../types.js").WireSignedIn[]}
   */
  of(user, own, now) {
    return [...this.#open]
      .filter(([, open]) => now < open.expires && open.user?.id === user)
      .map(([id, { created, expires, address, agent }]) => ({
        id,
        isOwn: own === id,
        created,
        used: created,
        expires,
        address,
        agent,
      }))
      .sort((one, other) => other.created - one.created || (one.id < other.id ? -1 : 1));
  }
}

/**
 * The cookie of a session among those of a request, which keeps the others.
 *
 * @param {WireHeader[]} headers
 * @returns {{ found: string | undefined, others: WireHeader[] }}
 */
function takeCookie(headers) {
  /** @type {string[]} */
  const found = [];
  const others = headers.flatMap((header) => {
    if (header.name !== "cookie") return [header];
    const pairs = lossy(header.value)
      .split(";")
      .map((pair) => pair.trim());
    const isOwn = (/** @type {string} */ pair) => pair.startsWith(`${COOKIE}=`);
    found.push(...pairs.filter(isOwn).map((pair) => pair.slice(COOKIE.length + 1)));
    const left = pairs.filter((pair) => !isOwn(pair)).join("; ");
    return left === "" ? [] : [{ name: header.name, value: Buffer.from(left) }];
  });
  // Of two none counts.
  return { found: found.length === 1 ? found[0] : undefined, others };
}

/**
 * The field that gives a browser the cookie of a session, or takes it away.
 *
 * @param {string | undefined} id
 * @returns {WireHeader}
 */
export function setCookie(id) {
  const age = id === undefined ? 0 : LIFETIME;
  const text = `${COOKIE}=${id ?? ""}; Path=/; Max-Age=${age}; HttpOnly; SameSite=Lax; Secure`;
  return { name: "set-cookie", value: Buffer.from(text) };
}
