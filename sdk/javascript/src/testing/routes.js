/** Which consumer a request belongs to, by the rules of the host. */

import { hostExactness } from "../apart.js";

/** @typedef {import("../app.js").Entry} Entry */
/** @typedef {import("../types.js").WireHeader} WireHeader */
/** @typedef {{ rawPath: string, headers: WireHeader[] }} Asked */

/**
 * @typedef {{ is: "route", entry: Entry, params: { name: string, value: string }[] }
 *   | { is: "wrong-method", allowed: string[] }
 *   | { is: "nothing" }
 *   | { is: "bad-path" }} Found
 */

/**
 * @param {readonly Entry[]} entries
 * @param {string} method
 * @param {Asked} asked
 * @returns {Found}
 */
export function findHttp(entries, method, asked) {
  const candidates = best(entries, asked, "http");
  for (const wanted of method === "HEAD" ? ["HEAD", "GET"] : [method]) {
    const found = candidates.find(({ entry }) => methods(entry).includes(wanted));
    if (found) return decoded(found);
  }
  const allowed = [...new Set(candidates.flatMap(({ entry }) => methods(entry)))].sort();
  if (allowed.length === 0) return { is: "nothing" };
  if (allowed.includes("GET") && !allowed.includes("HEAD")) allowed.push("HEAD");
  return { is: "wrong-method", allowed };
}

/**
 * @param {readonly Entry[]} entries
 * @param {Asked} asked
 * @returns {Found}
 */
export function findWebsocket(entries, asked) {
  const [found] = best(entries, asked, "websocket");
  return found ? decoded(found) : { is: "nothing" };
}

/** @param {Entry} entry */
function methods({ trigger }) {
  return trigger.tag === "http" ? trigger.val.methods : [];
}

/** @typedef {{ entry: Entry, captured: [string, string][], rank: string, exactness: number[] }} Candidate */

/**
 * Those of the best path whose guards hold, the more exact guards first.
 *
 * @param {readonly Entry[]} entries
 * @param {Asked} asked
 * @param {"http" | "websocket"} tag
 * @returns {Candidate[]}
 */
function best(entries, asked, tag) {
  /** @type {Candidate[]} */
  const ranked = [];
  for (const entry of entries) {
    const { trigger } = entry;
    if (trigger.tag !== tag) continue;
    const { path, guards } =
      /** @type {{ path: string, guards: import("../types.js").WireGuards }} */ (trigger.val);
    const captured = capture(path, asked.rawPath);
    const exactness = [hostExactness(guards.host), guards.headers.length];
    if (captured) ranked.push({ entry, captured, rank: rank(path), exactness });
  }
  // The path is chosen first, as on the host: one whose guards do not hold hides the others.
  const first = ranked.map(({ rank }) => rank).sort()[0];
  return ranked
    .filter((candidate) => candidate.rank === first && holds(candidate.entry, asked.headers))
    .sort((a, b) => compare(b.exactness, a.exactness));
}

/**
 * @param {number[]} a
 * @param {number[]} b
 */
function compare(a, b) {
  const i = a.findIndex((value, i) => value !== b[i]);
  if (i < 0) return 0;
  return /** @type {number} */ (a[i]) < /** @type {number} */ (b[i]) ? -1 : 1;
}

/**
 * @param {Entry} entry
 * @param {WireHeader[]} headers
 */
function holds({ trigger }, headers) {
  if (trigger.tag === "channel") return false;
  const field = (/** @type {string} */ name) =>
    headers.find((header) => header.name === name)?.value;
  const { host, headers: wanted } = trigger.val.guards;
  const asked = field("host");
  if (host !== undefined && !(asked && isFor(host, Buffer.from(asked).toString()))) return false;
  return wanted.every(({ name, value }) => {
    const found = field(name);
    return found !== undefined && Buffer.compare(found, value) === 0;
  });
}

/**
 * Whether a host, with or without a port, is the one of a guard.
 *
 * @param {string} wanted
 * @param {string} host
 */
function isFor(wanted, host) {
  const name = host
    .replace(/:[0-9]*$/, "")
    .replace(/\.$/, "")
    .toLowerCase();
  if (!wanted.startsWith("*")) return name === wanted;
  const domain = wanted.slice(1);
  return name.length > domain.length && name.endsWith(domain);
}

/**
 * Which of two paths that match is meant: the one with the earlier literal segment.
 *
 * @param {string} path
 */
function rank(path) {
  return path
    .split("/")
    .map((segment) => (segment.startsWith("{*") ? "2" : segment.startsWith("{") ? "1" : "0"))
    .join("");
}

/**
 * @param {string} path
 * @param {string} rawPath
 * @returns {[string, string][] | undefined}
 */
function capture(path, rawPath) {
  const wanted = path.split("/");
  const given = rawPath.split("/");
  /** @type {[string, string][]} */
  const captured = [];
  for (const [i, segment] of wanted.entries()) {
    const here = given[i];
    if (here === undefined) return undefined;
    const [, rest, name] = /^\{(\*?)(.*)\}$/.exec(segment) ?? [];
    if (name !== undefined && rest) {
      const left = given.slice(i).join("/");
      return left === "" ? undefined : [...captured, [name, left]];
    }
    if (name === undefined ? !same(segment, here) : here === "") return undefined;
    if (name !== undefined) captured.push([name, here]);
  }
  return given.length === wanted.length ? captured : undefined;
}

/**
 * Whether two spellings of a segment mean the same.
 *
 * @param {string} one
 * @param {string} other
 */
function same(one, other) {
  return one === other || percentDecode(one).equals(percentDecode(other));
}

/**
 * @param {string} text
 * @returns {Buffer}
 */
export function percentDecode(text) {
  const bytes = Buffer.from(text);
  const decoded = [];
  for (let i = 0; i < bytes.length; i++) {
    const hex = bytes.toString("latin1", i + 1, i + 3);
    if (bytes[i] === 0x25 && /^[0-9A-Fa-f]{2}$/.test(hex)) {
      decoded.push(parseInt(hex, 16));
      i += 2;
    } else {
      decoded.push(/** @type {number} */ (bytes[i]));
    }
  }
  return Buffer.from(decoded);
}

/**
 * @param {Candidate} candidate
 * @returns {Found}
 */
function decoded({ entry, captured }) {
  const params = [];
  for (const [name, raw] of captured) {
    const bytes = percentDecode(raw);
    const value = bytes.toString();
    if (!Buffer.from(value).equals(bytes)) return { is: "bad-path" };
    params.push({ name, value });
  }
  return { is: "route", entry, params };
}
