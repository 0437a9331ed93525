/** Presence: the members of groups, and who is told of them. */

import { integer, kind, text } from "./bytes.js";
import { meeting } from "./calls.js";
import { isPlain, pack, unpack, unreadable } from "./content.js";
import { DeclarationError, PresenceError } from "./errors.js";
import { knownOptions } from "./options.js";
import { checkPatterns } from "./pattern.js";
import { readOptions } from "./route.js";

/** @typedef {import("./types.js").MeetingHost} MeetingHost */
/** @typedef {import("./types.js").WirePresence} WirePresence */

/** The most members of a part of a list. */
const MEMBERS_MAX = 1000;
/** Of the numbers, each with what holds without it, its least and its most. Times are in milliseconds. */
const NUMBERS = /** @type {const} */ ({
  leaveAfter: [10_000, 0, 3_600_000],
  interval: [1000, 100, 60_000],
  list: [100, 0, MEMBERS_MAX],
});

/**
 * Reads the option `presence` of a consumer.
 *
 * @param {unknown} presence
 * @param {string} what
 * @returns {WirePresence | undefined}
 * @throws {DeclarationError}
 */
export function readPresence(presence, what) {
  if (presence === undefined) return undefined;
  const of = `${what}: presence`;
  const { groups, ...numbers } = readForm(presence, of);
  if (typeof groups !== "string" && !Array.isArray(groups)) {
    throw new DeclarationError(
      `${of}: its groups are ${kind(groups)}: give the name of a group, such as "room.*", or an array of them`,
    );
  }
  const number = (/** @type {keyof typeof NUMBERS} */ name) => {
    const [usual, least, most] = NUMBERS[name];
    return integer(numbers[name] ?? usual, `${of}: ${name}`, least, most);
  };
  return {
    groups: checkPatterns([groups].flat(), of),
    leaveAfter: number("leaveAfter"),
    interval: number("interval"),
    list: number("list"),
  };
}

/**
 * @param {unknown} presence
 * @param {string} of
 * @returns {Record<string, any>}
 */
function readForm(presence, of) {
  if (typeof presence === "string" || Array.isArray(presence)) return { groups: presence };
  if (isPlain(presence)) return readOptions(presence, ["groups", ...Object.keys(NUMBERS)], of);
  throw new DeclarationError(
    `${of} is ${kind(presence)}: give names of groups, such as "room.*", or { groups: "room.*", leaveAfter: 5000 }`,
  );
}

/**
 * Makes a connection present in a group.
 *
 * @param {MeetingHost} host
 * @param {string} group its whole name
 * @param {string} channel
 * @param {string} key
 * @param {object} facts
 * @throws {PresenceError}
 */
export function present(host, group, channel, key, facts) {
  const name = text(key, "the key of a member");
  if (!isPlain(facts))
    throw new TypeError(`the facts of a member are ${kind(facts)}: give an object such as { colour: "blue" }`);
  const packed = pack(facts, "the facts of a member");
  checkReadable(name, packed);
  meeting(() => host.present(group, channel, name, packed));
}

/**
 * Refuses what no module in JavaScript reads: with one such member nobody could list the members of a group, or tell them
 * to a channel.
 *
 * @param {string} key
 * @param {Uint8Array} facts
 * @throws {PresenceError}
 */
function checkReadable(key, facts) {
  if (key === "__proto__") {
    throw new PresenceError(
      "invalid",
      'the key of a member is "__proto__": put something in front, as in `name:${name}`',
    );
  }
  const problem = unreadable(facts);
  if (problem) throw new PresenceError("invalid", `the facts of a member: ${problem}`);
}

/**
 * Lists members of a group.
 *
 * @param {MeetingHost} host
 * @param {string} group its whole name
 * @param {unknown} options
 * @returns {import("./types.js").Members<any>}
 * @throws {PresenceError}
 */
export function members(host, group, options) {
  const { cursor, limit = MEMBERS_MAX } = knownOptions(options, ["cursor", "limit"], "members");
  const after = cursor === undefined ? undefined : text(cursor, "the cursor of members");
  const most = integer(limit, "the limit of members", 1, MEMBERS_MAX);
  const page = meeting(() => host.members(group, after, most));
  const listed = page.members.map(({ key, facts }) => ({ key, facts: unpack(facts) }));
  return { ...page, members: listed };
}
