/** Users of the test host, let in by the rules of the host. */

import { kind } from "../bytes.js";
import { pack, unpack, isPlain } from "../content.js";
import { textResponse } from "./connection.js";
import { ID_BYTES_MAX, isId, refuse } from "./rules.js";

/** @typedef {import("../types.js").WireUser} WireUser */
/** @typedef {import("../types.js").ClaimValue} ClaimValue */

const CLAIMS_MAX = 4 * 1024;

/**
 * The user of a request or a handshake.
 *
 * @typedef {object} SignedIn
 * @property {string} [signedIn] the id of the user, as a token tells it; nobody if not given
 * @property {Record<string, unknown>} [claims] those of the user
 */

/**
 * @param {SignedIn} options
 * @returns {WireUser | undefined}
 * @throws {TypeError | RangeError} the host would take neither id nor claims of a token
 */
export function readUser({ signedIn, claims }) {
  if (signedIn === undefined) {
    if (claims === undefined) return undefined;
    throw new TypeError("claims are those of a user: give the option signedIn, too");
  }
  if (typeof signedIn !== "string")
    throw new TypeError(`signedIn is ${kind(signedIn)}: give the id of the user`);
  if (!isId(signedIn)) {
    throw new RangeError(
      `${JSON.stringify(signedIn)} is not 1 to ${ID_BYTES_MAX} bytes without control characters`,
    );
  }
  if (claims !== undefined && !isPlain(claims))
    throw new TypeError(`claims is ${kind(claims)}: give an object`);
  const packed = pack(claims ?? {}, "claims");
  if (packed.length > CLAIMS_MAX)
    throw new RangeError(
      `the claims have ${packed.length} bytes; at most ${CLAIMS_MAX} are taken`,
    );
  return { id: signedIn, claims: packed, expires: undefined };
}

/**
 * Checks a user whom a consumer signs in.
 *
 * @param {string} id
 * @param {Uint8Array} claims
 */
export function checkUser(id, claims) {
  if (!isId(id)) {
    const rule = `the id of a user has 1 to ${ID_BYTES_MAX} bytes and no control characters`;
    refuse("invalid", rule);
  }
  if (claims.length > CLAIMS_MAX) {
    const rule = `the claims take ${claims.length} bytes as MessagePack; at most ${CLAIMS_MAX} are taken`;
    refuse("invalid", rule);
  }
}

/**
 * The user as a consumer sees it, or the status in place of a run.
 *
 * @param {import("../app.js").Entry} entry
 * @param {WireUser | undefined} user
 * @returns {{ user: WireUser | undefined } | { status: 401 | 403 }}
 */
export function admit({ access }, user) {
  if (!access) return { user: undefined };
  if (!user) return access.user === "optional" ? { user: undefined } : { status: 401 };
  const found = /** @type {Record<string, unknown>} */ (unpack(user.claims));
  const holds = Object.entries(access.claims).every(([name, values]) => {
    const claim = Object.hasOwn(found, name) ? found[name] : undefined;
    const claims = Array.isArray(claim) ? claim : [claim];
    return claims.some((one) => values.some((value) => isSame(value, one)));
  });
  return holds ? { user } : { status: 403 };
}

/**
 * @param {ClaimValue} value
 * @param {unknown} claim
 */
function isSame(value, claim) {
  const isNumber = (/** @type {unknown} */ it) => typeof it === "number" || typeof it === "bigint";
  // A large integer may be a BigInt on one side alone.
  return isNumber(value) && isNumber(claim) ? value == claim : value === claim;
}

/**
 * The answer to a request whose user is not let in.
 *
 * @param {401 | 403} status
 */
export function userRefusal(status) {
  if (status === 403) return textResponse(status, "this user may not do that\n");
  const field = { name: "www-authenticate", value: Buffer.from("Bearer") };
  return textResponse(status, "sign in first\n", [field]);
}
