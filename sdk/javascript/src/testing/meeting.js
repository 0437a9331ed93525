/** Presence as one run asks for it, in the test host. */

import { unpack } from "../content.js";
import * as rules from "./rules.js";

/** @typedef {import("../types.js").MeetingHost} MeetingHost */

const FACTS_BYTES_MAX = 1024;
const MEMBERS_PER_READ_MAX = 1000;
const READS_PER_RUN_MAX = 100;

/** @implements {MeetingHost} */
export class Meeting {
  #world;
  #mayUse;
  #put;
  #reads = 0;

  /**
   * @param {import("./world.js").World} world
   * @param {(group: string) => void} mayUse
   * @param {(item: import("./world.js").Item) => void} put
   */
  constructor(world, mayUse, put) {
    this.#world = world;
    this.#mayUse = (/** @type {string} */ group) => rules.asInvalid(() => mayUse(group));
    this.#put = put;
  }

  /** @type {MeetingHost["present"]} */
  present(group, channel, key, facts) {
    this.#mayUse(group);
    checkConnection(channel);
    if (!rules.isId(key)) {
      const rule = `the key of a member has 1 to ${rules.ID_BYTES_MAX} bytes and no control characters`;
      rules.refuse("invalid", rule);
    }
    checkFacts(facts);
    this.#put({ is: "present", group, channel, key, facts });
  }

  /** @type {MeetingHost["members"]} */
  members(group, cursor, limit) {
    this.#mayUse(group);
    if (limit < 1 || limit > MEMBERS_PER_READ_MAX) {
      const rule = `a part of a list has 1 to ${MEMBERS_PER_READ_MAX} members, not ${limit}`;
      rules.refuse("invalid", rule);
    }
    this.#reads += 1;
    if (this.#reads > READS_PER_RUN_MAX) {
      const rule = `a run reads ${READS_PER_RUN_MAX} parts of lists of members; leave the rest to another run`;
      rules.refuse("invalid", rule);
    }
    if (cursor !== undefined && !rules.isId(cursor))
      rules.refuse("invalid", "the cursor is none that a list of members returned");
    return this.#world.groups.presence.page(group, cursor, limit);
  }

  /** @type {MeetingHost["memberCount"]} */
  memberCount(group) {
    return this.members(group, undefined, 1).count;
  }
}

/** @param {string} channel */
function checkConnection(channel) {
  try {
    rules.checkChannel(channel);
    if (channel.includes("!")) return;
  } catch {
    // The rule below says it.
  }
  rules.refuse(
    "invalid",
    `${JSON.stringify(channel)} is no reply channel, and connections are present; give the reply channel of one`,
  );
}

/** @param {Uint8Array} facts */
function checkFacts(facts) {
  const size = facts.length;
  if (size > FACTS_BYTES_MAX) {
    const rule = `the facts of a member take ${size} bytes; at most ${FACTS_BYTES_MAX} are taken`;
    rules.refuse("invalid", rule);
  }
  rules.asInvalid(() => rules.checkContent(facts), "the facts of a member: ");
  const read = /** @type {Record<string, unknown>} */ (unpack(facts));
  const wrong = Object.keys(read).find((name) => !isJson(read[name]));
  if (wrong === undefined) return;
  rules.refuse(
    "invalid",
    `the fact ${JSON.stringify(wrong)} has bytes, or a number that is not finite; clients get facts as JSON, so send text in its place`,
  );
}

/**
 * @param {unknown} value
 * @returns {boolean}
 */
function isJson(value) {
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object" || value === null) return true;
  return !ArrayBuffer.isView(value) && Object.values(value).every(isJson);
}
