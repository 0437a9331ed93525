/** Refuses consumers that could not be told apart. */

import { DeclarationError } from "./errors.js";
import { lossy } from "./bytes.js";

/** @typedef {import("./app.js").Entry} Entry */
/** @typedef {import("./types.js").WireGuards} WireGuards */

/**
 * @param {readonly Entry[]} entries
 * @throws {DeclarationError}
 */
export function checkApart(entries) {
  for (const [i, entry] of entries.entries()) {
    for (const earlier of entries.slice(0, i)) checkPair(earlier, entry);
  }
}

/**
 * @param {Entry} one
 * @param {Entry} other
 */
function checkPair(one, other) {
  const both = `consumers \`${one.name}\` and \`${other.name}\``;
  if (one.name === other.name)
    throw new DeclarationError(`two consumers have the name \`${one.name}\`: rename one of them`);
  const [first, second] = [one.trigger, other.trigger];
  if (first.tag === "channel" && second.tag === "channel") {
    if (first.val.name === second.val.name) {
      throw new DeclarationError(
        `${both} declare the channel ${first.val.name}: a channel has one consumer`,
      );
    }
    return;
  }
  if (first.tag === "channel" || second.tag === "channel" || first.tag !== second.tag) return;
  const [path, otherPath] = [first.val.path, second.val.path];
  if (shape(path) !== shape(otherPath)) return;
  if (path !== otherPath) {
    throw new DeclarationError(
      `the paths of ${both} differ only in the names of their parameters: use the same names`,
    );
  }
  if (sharesMethod(first, second) && conflict(first.val.guards, second.val.guards)) {
    throw new DeclarationError(
      `${both} take the same requests: give one of them another path, another method, or guards of its own`,
    );
  }
}

/** @param {string} path */
function shape(path) {
  return path.replaceAll(/\{(\*?)[^}]*\}/g, "{$1}");
}

/**
 * @param {import("./types.js").Trigger} one
 * @param {import("./types.js").Trigger} other
 */
function sharesMethod(one, other) {
  if (one.tag !== "http" || other.tag !== "http") return true;
  return one.val.methods.some((method) => other.val.methods.includes(method));
}

/**
 * Whether a request could be for both and nothing says for which rather.
 *
 * @param {WireGuards} one
 * @param {WireGuards} other
 */
function conflict(one, other) {
  if (hostExactness(one.host) !== hostExactness(other.host)) return false;
  if (one.headers.length !== other.headers.length) return false;
  if (one.host !== other.host) return false;
  const values = new Map(one.headers.map(({ name, value }) => [name, lossy(value)]));
  return other.headers.every(
    ({ name, value }) => !values.has(name) || values.get(name) === lossy(value),
  );
}

/**
 * A name is more exact than a domain, a domain than a shorter one, and that than none.
 *
 * @param {string | undefined} host
 * @returns {number}
 */
export function hostExactness(host) {
  if (host === undefined) return 0;
  return host.startsWith("*") ? host.split(".").length : Infinity;
}
