/** Groups that are remembered: the option `history`, joining from a position, and reading. */

import { integer, kind, milliseconds, text } from "./bytes.js";
import { remembering } from "./calls.js";
import { isPlain, unpack } from "./content.js";
import { DeclarationError } from "./errors.js";
import { knownOptions } from "./options.js";
import { checkPatterns } from "./pattern.js";
import { readOptions } from "./route.js";
import { lastEventId } from "./sse.js";

/** @typedef {import("./types.js").RememberingHost} RememberingHost */
/** @typedef {import("./types.js").WireHistory} WireHistory */

/** The most messages of a page, and of what a join sends. */
const MESSAGES_MAX = 1000;
/** How long messages may be kept, in milliseconds. */
const [AGE_MIN, AGE_MAX] = [1000, 30 * 24 * 3_600_000];
/** The key of the query in which a client names its positions. */
const QUERY_KEY = "after";

/**
 * Reads the option `history` of a consumer.
 *
 * @param {unknown} history
 * @param {string} what
 * @returns {WireHistory | undefined}
 * @throws {DeclarationError}
 */
export function readHistory(history, what) {
  if (history === undefined) return undefined;
  const of = `${what}: history`;
  if (typeof history === "string" || Array.isArray(history)) {
    const patterns = checkPatterns([history].flat(), of);
    return Object.fromEntries(patterns.map((pattern) => [pattern, readRule({}, of)]));
  }
  if (!isPlain(history)) {
    throw new DeclarationError(
      `${of} is ${kind(history)}: give names of groups, such as "room.*", or { "room.*": { messages: 100, age: 86_400_000 } }`,
    );
  }
  const patterns = checkPatterns(Object.keys(history), of);
  return Object.fromEntries(
    patterns.map((pattern) => [
      pattern,
      readRule(history[pattern], `${of} of ${JSON.stringify(pattern)}`),
    ]),
  );
}

/**
 * @param {unknown} rule
 * @param {string} of
 * @returns {WireHistory[string]}
 */
function readRule(rule, of) {
  const { messages = 100, age = 3_600_000, bytes = 2 ** 18 } = readOptions(
    rule,
    ["messages", "age", "bytes"],
    of,
  );
  const span = milliseconds(age, `${of}: age`);
  if (span < AGE_MIN || span > AGE_MAX) {
    throw new RangeError(
      `${of}: age is ${age}: give milliseconds from ${AGE_MIN} to ${AGE_MAX}, a second to 30 days`,
    );
  }
  return {
    messages: integer(messages, `${of}: messages`, 1, 10_000),
    age: Math.ceil(span / 1000),
    bytes: integer(bytes, `${of}: bytes`, 1024, 2 ** 24),
  };
}

/**
 * Refuses groups that two consumers have remembered: nobody could say how much of them.
 *
 * @param {readonly import("./app.js").Entry[]} entries
 * @throws {DeclarationError}
 */
export function checkOnce(entries) {
  /** @type {Map<string, string>} */
  const known = new Map();
  for (const { name, history = {} } of entries) {
    for (const pattern of Object.keys(history)) {
      const earlier = known.get(pattern);
      if (earlier !== undefined) {
        throw new DeclarationError(
          `consumers \`${earlier}\` and \`${name}\` both have ${JSON.stringify(pattern)} in their history: say it once`,
        );
      }
      known.set(pattern, name);
    }
  }
}

/**
 * The position that a client names: `after=GROUP:POSITION` of the query, else `after=POSITION`, else the id of the
 * last event that it saw.
 *
 * @param {import("./scope.js").Scope} scope
 * @param {string} group its whole name
 * @returns {string | undefined}
 */
export function said(scope, group) {
  let alone;
  for (const value of scope.query.getAll(QUERY_KEY)) {
    const colon = value.indexOf(":");
    if (colon < 0) alone = value;
    else if (value.slice(0, colon) === group) return value.slice(colon + 1);
  }
  return alone ?? lastEventId(scope);
}

/**
 * Makes the event's connection a member that sees positions.
 *
 * @param {RememberingHost} host
 * @param {string} group its whole name
 * @param {unknown} since
 */
export function join(host, group, since) {
  const { after, latest = 0 } = knownOptions(since, ["after", "latest"], "groupJoin");
  const position = after === undefined ? undefined : text(after, "the option `after` of groupJoin");
  const most = integer(latest, "the option `latest` of groupJoin", 0, MESSAGES_MAX);
  remembering(() => host.join(group, position, most));
}

/** The history of a group; see `history` of a `Context`. */
export class History {
  #host;
  #group;

  /**
   * @param {RememberingHost} host
   * @param {string} group its whole name
   */
  constructor(host, group) {
    this.#host = host;
    this.#group = group;
  }

  /**
   * The latest messages, 256 KiB at most.
   *
   * @template [M=any]
   * @param {number} [limit] 1 to 1,000; 1,000 if not given
   * @returns {import("./types.js").HistoryPage<M>}
   * @throws {import("./errors.js").HistoryError} the group is not remembered or not the module's, or the layer cannot
   *   be reached
   * @throws {TypeError | RangeError} the limit is out of range
   */
  latest(limit = MESSAGES_MAX) {
    return this.#read(undefined, limit, "latest");
  }

  /**
   * The messages behind a position, oldest first, 256 KiB at most. Where some of them are gone, and for a text that is no
   * position of the group, the page is not complete and has none.
   *
   * @template [M=any]
   * @param {string} position
   * @param {number} [limit] 1 to 1,000; 1,000 if not given
   * @returns {import("./types.js").HistoryPage<M>}
   * @throws {import("./errors.js").HistoryError} as `latest`
   * @throws {TypeError | RangeError} the position is no text, or the limit is out of range
   */
  after(position, limit = MESSAGES_MAX) {
    return this.#read(text(position, "the position of after"), limit, "after");
  }

  /**
   * @param {string | undefined} position
   * @param {number} limit
   * @param {string} call
   */
  #read(position, limit, call) {
    const most = integer(limit, `the limit of ${call}`, 1, MESSAGES_MAX);
    const page = remembering(() => this.#host.read(this.#group, position, most));
    return {
      messages: page.messages.map(({ position, content }) => ({
        position,
        // One that cannot be read leaves the others alone.
        get message() {
          return /** @type {any} */ (unpack(content));
        },
      })),
      position: page.position,
      isComplete: page.complete,
      hasMore: page.more,
    };
  }
}
