/** Signing in and out, and what is kept for a session. */

import { kind, text } from "./bytes.js";
import { holding } from "./calls.js";
import { isPlain, pack, unreadable } from "./content.js";
import { SessionError } from "./errors.js";
import { knownOptions } from "./options.js";
import { isPromise } from "./settle.js";

/** @typedef {import("./types.js").HoldingHost} HoldingHost */
/** @typedef {import("./types.js").SignedIn} SignedIn */

/** Before the keys of sessions in the store of the module. */
const KEY_PREFIX = "session:";

/**
 * Signs users in and out of their browsers: `cx.sessions()`.
 *
 * What a run asks for is done when it has committed and before its answer leaves, and not if it fails. A
 * run that has asked for something cannot `flush`. The consumer needs the option `user`, mostly
 * `user: "optional"`: without it the host looks for no session.
 *
 * An operator lets the module sign users in and end their sessions, `grants.sessions = true` in its
 * settings. To end the session of the connection, `signOut`, it needs no grant.
 */
export class Sessions {
  #host;

  /** @param {HoldingHost} host */
  constructor(host) {
    this.#host = host;
  }

  /**
   * Signs a user in on the browser of the request or handshake. The session gets another id, so an id that
   * somebody knew before lets nobody in. The answer carries the cookie.
   *
   * @param {string} user 1 to 256 bytes without control characters
   * @param {object} [claims] an object of at most 4 KiB, which `cx.user.claims` has from the next request on
   * @throws {import("./errors.js").SessionError} the module has no grant, there can be no session here, or the id or
   *   the claims break a rule
   * @throws {TypeError} a value has the wrong type
   */
  signIn(user, claims = {}) {
    const id = text(user, "the user of signIn");
    if (!isPlain(claims))
      throw new TypeError(`the claims of signIn are ${kind(claims)}: give an object such as { role: "member" }`);
    const packed = pack(claims, "the claims of signIn");
    const problem = unreadable(packed);
    if (problem) throw new SessionError("invalid", `the claims of signIn: ${problem}`);
    holding(() => this.#host.signIn(id, packed));
  }

  /**
   * Ends the session of the connection, and closes its WebSockets. Without one, it does nothing.
   *
   * @throws {import("./errors.js").SessionError} the host keeps no sessions
   */
  signOut() {
    holding(() => this.#host.signOut());
  }

  /**
   * The sessions in which a user is signed in, at most 100, the last used first. What the run has asked for is
   * not seen.
   *
   * @param {string} user
   * @returns {SignedIn[]}
   * @throws {import("./errors.js").SessionError} the module has no grant, or the sessions cannot be read now
   */
  of(user) {
    const id = text(user, "the user of of");
    return holding(() => this.#host.listOf(id)).map(({ created, used, expires, ...others }) => ({
      ...others,
      created: moment(created),
      used: moment(used),
      expires: moment(expires),
    }));
  }

  /**
   * Ends one session of a user, by the `id` that `of` gives. Without one, it does nothing.
   *
   * @param {string} user
   * @param {string} id
   * @throws {import("./errors.js").SessionError} the module has no grant, or the id is not one of a session
   */
  end(user, id) {
    const [of, session] = [text(user, "the user of end"), text(id, "the id of end")];
    holding(() => this.#host.end(of, session));
  }

  /**
   * Ends all sessions of a user, also that of the connection: for a user who is banned, from wherever.
   *
   * @param {string} user
   * @throws {import("./errors.js").SessionError} the module has no grant
   */
  endAll(user) {
    const of = text(user, "the user of endAll");
    holding(() => this.#host.endAll(of, false));
  }

  /**
   * Ends all sessions of a user but that of the connection: "sign out elsewhere", and after a change of the
   * password.
   *
   * @param {string} user
   * @throws {import("./errors.js").SessionError} the module has no grant
   */
  endOthers(user) {
    const of = text(user, "the user of endOthers");
    holding(() => this.#host.endAll(of, true));
  }
}

/** @param {number} seconds since 1970 */
function moment(seconds) {
  return new Date(seconds * 1000);
}

/**
 * What the module keeps for the session of a browser, such as a basket: `cx.session()`.
 *
 * It stands in the store of the module, below a key of the session, and is part of the run's transaction. A
 * session can begin before anybody signs in, and keeps its data when somebody does. Another user on the same
 * browser gets a session without data. The data is gone when the session reaches its lifetime, at the latest.
 *
 * @template [T=any]
 */
export class Session {
  #host;
  #store;
  #shape;
  #now;

  /**
   * @param {HoldingHost} host
   * @param {import("./store.js").Store} store
   * @param {number} now milliseconds since 1970
   * @param {import("./types.js").Shape<T>} shape
   */
  constructor(host, store, now, shape) {
    this.#host = host;
    this.#store = store;
    this.#now = now;
    this.#shape = knownOptions(shape, ["schema", "migrate"], "session");
  }

  /**
   * Reads the data. `undefined`: there is none. It begins no session.
   *
   * @returns {T | undefined}
   * @throws {import("./errors.js").StoreError}
   */
  get() {
    const session = this.#host.current();
    return session && this.#store.get(keyOf(session), this.#shape);
  }

  /**
   * Writes the data. Begins a session where there is none: then the answer of the run, a response or the
   * acceptance of a handshake, carries the cookie.
   *
   * @param {T} data what a value of the store may be
   * @throws {import("./errors.js").SessionError} there is no session and none can begin
   * @throws {import("./errors.js").StoreError}
   */
  set(data) {
    if (data === undefined) throw new TypeError("the data of a session is undefined: use clear()");
    const session = holding(() => this.#host.begin());
    // A session that ends now leaves nothing behind.
    const timeToLive = Math.max(session.expires * 1000 - this.#now, 1);
    const { schema } = this.#shape;
    const options = schema === undefined ? { timeToLive } : { timeToLive, schema };
    this.#store.set(keyOf(session), data, options);
  }

  /**
   * Reads the data, and writes what a function makes of it: as one step, whatever other requests of the session
   * do.
   *
   * ```js
   * cx.session().update((basket = []) => [...basket, item]);
   * ```
   *
   * @param {(data: T | undefined) => T} change gets `undefined` where there is none
   * @returns {T} what it returned
   * @throws {import("./errors.js").SessionError} as `set`
   * @throws {import("./errors.js").StoreError}
   * @throws {TypeError} it returned nothing, or a promise
   */
  update(change) {
    if (typeof change !== "function")
      throw new TypeError(`the change of update is ${kind(change)}: give a function`);
    const data = change(this.get());
    if (data === undefined || isPromise(data)) {
      throw new TypeError(
        `the change of update returned ${kind(data)}: return the data that is to be kept, and await before`,
      );
    }
    this.set(data);
    return data;
  }

  /**
   * Forgets the data. The session stays.
   *
   * @throws {import("./errors.js").StoreError}
   */
  clear() {
    const session = this.#host.current();
    if (session) this.#store.delete(keyOf(session));
  }
}

/** @param {import("./types.js").WireSession} session */
function keyOf({ key }) {
  return KEY_PREFIX + key;
}
