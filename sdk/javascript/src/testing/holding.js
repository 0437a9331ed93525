/** What one run asks for of sessions, in the test host. */

import { Fault } from "../handle.js";
import * as rules from "./rules.js";
import { LIFETIME, setCookie } from "./sessions.js";
import { checkUser } from "./users.js";

/** @typedef {import("../types.js").HoldingHost} HoldingHost */
/** @typedef {import("../types.js").WireUser} WireUser */
/** @typedef {import("./world.js").Item} Item */

/** So often a run ends sessions. */
const ENDS_MAX = 100;
/** Events whose answer can carry a cookie. */
const ANSWERED = ["http-request", "websocket-connect"];

/**
 * What becomes of the session of the connection.
 *
 * @typedef {{ is: "begin", key: string } | { is: "sign-in", key: string, user: WireUser } | { is: "end" }} Own
 *
 * Sessions that end besides: those of a user, or the one with the id `only`, but for one.
 *
 * @typedef {{ user: string, only?: string, but?: string | undefined }} Ends
 */

/** @implements {HoldingHost} */
export class Holding {
  #world;
  #job;
  #storing;
  /** @type {Own | undefined} */
  #own;
  /** @type {Ends[]} */
  #ends = [];

  /**
   * @param {import("./world.js").World} world
   * @param {import("./world.js").Job} job
   * @param {import("./storing.js").Storing} storing knows whether the run has flushed
   */
  constructor(world, job, storing) {
    this.#world = world;
    this.#job = job;
    this.#storing = storing;
  }

  /** Whether the run has asked for something. */
  get hasAsked() {
    return this.#own !== undefined || this.#ends.length > 0;
  }

  get #connection() {
    return this.#world.connections.get(this.#job.connection ?? "");
  }

  /** The id of the session that the connection came with. */
  get #found() {
    return this.#connection?.session?.id;
  }

  /** @param {string} key */
  #begun(key) {
    return { key, expires: this.#world.seconds + LIFETIME };
  }

  #checkCookie() {
    const { tag } = this.#job.event;
    const none = (/** @type {string} */ rule) => rules.refuse("no-session", rule);
    if (tag === "channel-message") none("a message of a channel has no session");
    if (!ANSWERED.includes(tag)) {
      none(
        "a browser takes a cookie with a response and with the acceptance of a handshake; begin the session there",
      );
    }
    if (!this.#connection?.session) {
      none(
        "no session is looked for here: the consumer declares no `user`, or the request has a token",
      );
    }
    if (this.#storing.isFinal) {
      const rule =
        "the run has flushed, and its answer may have left; begin the session before";
      rules.refuse("invalid", rule);
    }
  }

  #checkGrant() {
    const { grantedSessions, module } = this.#world;
    if (grantedSessions) return;
    rules.refuse(
      "forbidden",
      `this module may not sign users in and out; let it be granted: modules.${module}.grants.sessions = true, and in a test new TestHost(app, { grantedSessions: true })`,
    );
  }

  current() {
    if (this.#own) return this.#own.is === "end" ? undefined : this.#begun(this.#own.key);
    const open = this.#world.sessions.get(this.#found);
    return open && { key: open.key, expires: open.expires };
  }

  begin() {
    const open = this.current();
    if (open) return open;
    this.#checkCookie();
    const key = this.#world.nextId();
    this.#own = { is: "begin", key };
    return this.#begun(key);
  }

  /** @type {HoldingHost["signIn"]} */
  signIn(id, claims) {
    this.#checkGrant();
    this.#checkCookie();
    checkUser(id, claims);
    const key = this.#keyFor(id) ?? this.#world.nextId();
    this.#own = { is: "sign-in", key, user: { id, claims, expires: undefined } };
    return this.#begun(key);
  }

  /**
   * What modules keep for one user is not for another.
   *
   * @param {string} id
   * @returns {string | undefined} the key of the session, where it stays
   */
  #keyFor(id) {
    if (this.#own?.is === "begin") return this.#own.key;
    if (this.#own) return this.#own.is === "sign-in" && this.#own.user.id === id ? this.#own.key : undefined;
    const before = this.#connection?.user;
    return before === undefined || before.id === id ? this.current()?.key : undefined;
  }

  signOut() {
    // What the run has begun does not begin.
    this.#own = this.#found === undefined ? undefined : { is: "end" };
  }

  /** @type {HoldingHost["listOf"]} */
  listOf(user) {
    this.#checkGrant();
    return this.#world.sessions.of(user, this.#found, this.#world.seconds);
  }

  /** @type {HoldingHost["end"]} */
  end(user, id) {
    this.#checkGrant();
    if (!/^[0-9a-z]{64}$/.test(id))
      rules.refuse("invalid", "an id of a session is what `list-of` gives");
    this.#put({ user, only: id });
  }

  /** @type {HoldingHost["endAll"]} */
  endAll(user, butOwn) {
    this.#checkGrant();
    this.#put({ user, but: butOwn ? this.#found : undefined });
  }

  /** @param {Ends} ends */
  #put(ends) {
    if (this.#ends.length >= ENDS_MAX)
      rules.refuse("invalid", `a run ends the sessions of at most ${ENDS_MAX} users`);
    this.#ends.push(ends);
  }

  /**
   * Why the run fails although its consumer has returned.
   *
   * @param {Item[]} outbox
   * @returns {Fault | undefined}
   */
  check(outbox) {
    if (!this.#own || this.#own.is === "end" || outbox.some(headersOf)) return undefined;
    const val =
      "it began a session and did not answer, so the browser would get no cookie; return a response, or accept the handshake";
    return new Fault({ tag: "failed", val });
  }

  /**
   * Does what the run has asked for. The answer gets the cookie.
   *
   * @param {Item[]} outbox
   */
  apply(outbox) {
    const { sessions, seconds } = this.#world;
    for (const { user, only, but } of this.#ends) {
      for (const { id } of sessions.of(user, undefined, seconds))
        if (id !== but && (only === undefined || only === id)) this.#world.endSession(id);
    }
    if (!this.#own) return;
    if (this.#found !== undefined) this.#world.endSession(this.#found);
    const id = this.#own.is === "end" ? undefined : this.#open(this.#own);
    outbox.map(headersOf).find(Boolean)?.push(setCookie(id));
  }

  /**
   * @param {Exclude<Own, { is: "end" }>} own
   * @returns {string} the id of the session
   */
  #open(own) {
    const { key, expires } = this.#begun(own.key);
    const { client, headers = [] } = this.#connection?.scope ?? {};
    const agent = headers.find(({ name }) => name === "user-agent")?.value;
    const id = this.#world.nextId().padStart(64, "0");
    this.#world.sessions.put(id, {
      user: own.is === "sign-in" ? { ...own.user, expires } : undefined,
      key,
      created: this.#world.seconds,
      expires,
      address: client?.host ?? "",
      agent: agent ? Buffer.from(agent).toString() : "",
    });
    return id;
  }
}

/**
 * The header fields that an item sends.
 *
 * @param {Item} item
 * @returns {import("../types.js").WireHeader[] | undefined}
 */
function headersOf(item) {
  if (item.is !== "reply") return undefined;
  const { reply } = item;
  if (reply.is === "respond") return reply.response.headers;
  if (reply.is === "start") return reply.head.headers;
  return reply.is === "accept" ? reply.handshake.headers : undefined;
}
