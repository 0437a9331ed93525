/** What consumers ask of the user: the options `user` and `claims`. */

import { kind } from "./bytes.js";
import { isPlain } from "./content.js";
import { DeclarationError } from "./errors.js";
import { readOptions } from "./route.js";

/** @typedef {import("./types.js").Access} Access */
/** @typedef {import("./types.js").WireAccess} WireAccess */
/** @typedef {import("./types.js").ClaimValue} ClaimValue */

/** The options of a consumer that say what it asks of the user. */
export const ACCESS_OPTIONS = /** @type {const} */ (["user", "claims"]);

/** The most claims that a consumer may ask for, and values of one. */
const MOST = 32;
const INTEGER_MAX = 2n ** 63n - 1n;

/** Consumers, and what all of them ask of the user. `guarded` makes it. */
export class Guarded {
  /**
   * @param {WireAccess} access
   * @param {import("./types.js").Consumers} consumers
   */
  constructor(access, consumers) {
    /** @type {WireAccess} */
    this.access = access;
    /** @type {import("./types.js").Consumers} */
    this.consumers = consumers;
  }
}

/**
 * Says once what several consumers ask of the user: all of a module, or those below a prefix.
 *
 * ```js
 * export default app({
 *   home,
 *   "/app": guarded({ user: "required" }, { me, room }),
 * });
 * ```
 *
 * A consumer among them can ask for more, with `claims`, and not for less.
 *
 * @param {Access} access
 * @param {import("./types.js").Consumers} consumers
 * @returns {Guarded}
 * @throws {DeclarationError} an option is wrong
 */
export function guarded(access, consumers) {
  const read = readAccess(readOptions(access, ACCESS_OPTIONS, "guarded()"), "guarded()");
  if (!read)
    throw new DeclarationError('guarded() asks for nothing: give { user: "required" } or { claims }');
  return new Guarded(read, consumers);
}

/**
 * @param {Access} options
 * @param {string} what
 * @returns {WireAccess | undefined} `undefined` where it asks for nothing
 * @throws {DeclarationError}
 */
export function readAccess({ user, claims }, what) {
  if (user === undefined && claims === undefined) return undefined;
  if (user !== undefined && user !== "required" && user !== "optional") {
    const given = typeof user === "string" ? JSON.stringify(user) : kind(user);
    throw new DeclarationError(`${what}: user is "required" or "optional", and not ${given}`);
  }
  return checked({ user, claims: claims === undefined ? {} : readClaims(claims, what) }, what);
}

/**
 * What a consumer asks for together with what stands before its prefix.
 *
 * @param {WireAccess | undefined} outer
 * @param {WireAccess | undefined} own
 * @param {string} what
 * @returns {WireAccess | undefined}
 * @throws {DeclarationError}
 */
export function joined(outer, own, what) {
  if (!outer || !own) return outer ?? own;
  if (outer.user && own.user)
    throw new DeclarationError(`${what}: what it asks of the user is said already, by guarded()`);
  const twice = Object.keys(own.claims).find((name) => Object.hasOwn(outer.claims, name));
  if (twice !== undefined)
    throw new DeclarationError(`${what}: the claim \`${twice}\` is there already, by guarded()`);
  const claims = { ...outer.claims, ...own.claims };
  return checked({ user: outer.user ?? own.user, claims }, what);
}

/**
 * @param {WireAccess} access
 * @param {string} what
 */
function checked(access, what) {
  if (access.user === "optional" && Object.keys(access.claims).length > 0) {
    throw new DeclarationError(
      `${what}: claims are those of a user: give user: "required", or nothing beside them`,
    );
  }
  return access;
}

/**
 * @param {unknown} claims
 * @param {string} what
 * @returns {Record<string, ClaimValue[]>}
 */
function readClaims(claims, what) {
  if (!isPlain(claims)) {
    throw new DeclarationError(
      `${what}: claims is ${kind(claims)}: give an object such as { role: ["admin", "owner"] }`,
    );
  }
  const entries = Object.entries(claims);
  if (entries.length < 1 || entries.length > MOST) {
    throw new DeclarationError(
      `${what}: claims has ${entries.length} names: give 1 to ${MOST}, as in { role: "admin" }`,
    );
  }
  return Object.fromEntries(entries.map(([name, given]) => [name, values(given, name, what)]));
}

/**
 * @param {unknown} given
 * @param {string} name
 * @param {string} what
 * @returns {ClaimValue[]}
 */
function values(given, name, what) {
  const listed = Array.isArray(given) ? given : [given];
  if (listed.length < 1 || listed.length > MOST) {
    throw new DeclarationError(
      `${what}: the claim ${name} has ${listed.length} values: give 1 to ${MOST}, of which one is enough`,
    );
  }
  const wrong = listed.findIndex((value) => !isValue(value));
  if (wrong >= 0) {
    throw new DeclarationError(
      `${what}: the claim ${name} is compared with text, an integer or a boolean, and not with ${kind(listed[wrong])}`,
    );
  }
  return listed;
}

/** @param {unknown} value */
function isValue(value) {
  if (typeof value === "bigint") return value >= -INTEGER_MAX - 1n && value <= INTEGER_MAX;
  return typeof value === "string" || typeof value === "boolean" || Number.isSafeInteger(value);
}
