/** Groups that are remembered, by the rules of the host. */

import { exactness } from "../pattern.js";

/** @typedef {import("../types.js").WirePage} WirePage */
/** @typedef {import("../types.js").WireHistory[string]} Rule */

/** The most messages of a page, and of what a join catches up with. */
export const MESSAGES_MAX = 1000;
/** The most bytes of them. */
const PAGE_BYTES_MAX = 256 * 1024;
/** What it takes to keep a message beside its content. */
const MESSAGE_OVERHEAD_BYTES = 64;

/** @param {Uint8Array} content */
function cost(content) {
  return content.length + MESSAGE_OVERHEAD_BYTES;
}

/** What a group was sent: messages with the time of each. */
class Log {
  /** @type {{ since: number, content: Uint8Array }[]} */
  #messages = [];
  #epoch;
  #last = 0;
  #bytes = 0;

  /** @param {number} epoch */
  constructor(epoch) {
    this.#epoch = epoch.toString(16).padStart(16, "0");
  }

  /**
   * Forgets what the rule does not keep.
   *
   * @param {Rule} rule
   * @param {number} now
   */
  trim({ messages, age, bytes }, now) {
    for (let first = this.#messages[0]; first; first = this.#messages[0]) {
      const fits = this.#messages.length <= messages && this.#bytes <= bytes;
      if (fits && now - first.since < age * 1000) return;
      this.#messages.shift();
      this.#bytes -= cost(first.content);
    }
  }

  /**
   * @param {Uint8Array} content
   * @param {number} now
   */
  add(content, now) {
    this.#last += 1;
    this.#bytes += cost(content);
    this.#messages.push({ since: now, content });
  }

  /** The place behind the last message. */
  get end() {
    return this.#position(this.#last);
  }

  /** @param {number} offset */
  #position(offset) {
    return `${this.#epoch}-${offset}`;
  }

  get #floor() {
    return this.#last - this.#messages.length;
  }

  /**
   * The offset of a position, if nothing is missing behind it.
   *
   * @param {string} position
   * @returns {number | undefined}
   */
  #offset(position) {
    const offset = Number(position.slice(position.lastIndexOf("-") + 1));
    const isHere = offset >= this.#floor && offset <= this.#last;
    return isHere && this.#position(offset) === position ? offset : undefined;
  }

  /**
   * The offset before so many of the latest messages.
   *
   * @param {number} count
   */
  #latest(count) {
    let bytes = 0;
    let offset = this.#last;
    for (const { content } of count > 0 ? this.#messages.slice(-count).reverse() : []) {
      bytes += cost(content);
      if (bytes > PAGE_BYTES_MAX) break;
      offset -= 1;
    }
    return offset;
  }

  /**
   * What is behind a position. Without one, and where something behind it is gone, so many of the latest messages.
   *
   * @param {string | undefined} after
   * @param {number} latest
   * @param {number} limit
   * @returns {WirePage & { from: string }} the page, and the place that it begins behind
   */
  page(after, latest, limit) {
    const found = after === undefined ? undefined : this.#offset(after);
    const from = found ?? this.#latest(latest);
    /** @type {WirePage["messages"]} */
    const messages = [];
    let bytes = 0;
    const behind = this.#messages.slice(from - this.#floor).slice(0, limit);
    for (const [at, { content }] of behind.entries()) {
      bytes += cost(content);
      if (bytes > PAGE_BYTES_MAX && at > 0) break;
      messages.push({ position: this.#position(from + at + 1), content });
    }
    const end = from + messages.length;
    return {
      from: this.#position(from),
      messages,
      position: this.#position(end),
      complete: found !== undefined || after === undefined,
      more: end < this.#last,
    };
  }
}

/** The histories of all groups, and who sees positions. */
export class Histories {
  #world;
  /** @type {Map<string, Log>} */
  #logs = new Map();
  /** How many histories have begun: each has an epoch of its own. */
  #begun = 0;
  /** Channels by group. @type {Map<string, Set<string>>} */
  #following = new Map();

  /** @param {Pick<import("./world.js").World, "app" | "module" | "now">} world */
  constructor(world) {
    this.#world = world;
  }

  /**
   * How much of a group is kept, by the most exact pattern.
   *
   * @param {string} group
   * @returns {Rule | undefined} `undefined` where it is not remembered
   */
  rule(group) {
    const { app, module } = this.#world;
    if (!group.startsWith(`${module}.`)) return undefined;
    const name = group.slice(module.length + 1);
    const fitting = app.entries
      .flatMap(({ history = {} }) => Object.entries(history))
      .map(([pattern, rule]) => ({ rule, exactness: exactness(pattern, name) ?? -1 }))
      .filter((it) => it.exactness >= 0);
    return fitting.sort((one, other) => other.exactness - one.exactness)[0]?.rule;
  }

  /**
   * @param {string} group
   * @returns {{ log: Log, rule: Rule } | undefined}
   */
  #log(group) {
    const rule = this.rule(group);
    if (!rule) return undefined;
    const log = this.#logs.get(group) ?? new Log((this.#begun += 1));
    this.#logs.set(group, log);
    log.trim(rule, this.#world.now);
    return { log, rule };
  }

  /** @param {string} group */
  forget(group) {
    this.#logs.delete(group);
  }

  /**
   * Adds a message to the history of its group.
   *
   * @param {string} group
   * @param {Uint8Array} content
   * @returns {string | undefined} the place behind it
   */
  remember(group, content) {
    const found = this.#log(group);
    if (!found) return undefined;
    found.log.add(content, this.#world.now);
    found.log.trim(found.rule, this.#world.now);
    return found.log.end;
  }

  /**
   * @param {string} group
   * @param {string | undefined} after
   * @param {number} limit
   */
  page(group, after, limit) {
    return this.#log(group)?.log.page(after, after === undefined ? limit : 0, limit);
  }

  /**
   * Makes a member one that sees positions.
   *
   * @param {{ group: string, channel: string, after: string | undefined, latest: number }} join
   * @returns {ReturnType<Log["page"]> | undefined} what it has missed
   */
  follow({ group, channel, after, latest }) {
    const log = this.#log(group)?.log;
    if (!log) return undefined;
    this.#following.set(group, (this.#following.get(group) ?? new Set()).add(channel));
    const page = log.page(after, latest, MESSAGES_MAX);
    // What is too much to catch up with counts as gone.
    return page.more ? log.page("", latest, MESSAGES_MAX) : page;
  }

  /**
   * @param {string} group
   * @param {string} channel
   */
  isFollowing(group, channel) {
    return this.#following.get(group)?.has(channel) ?? false;
  }

  /**
   * @param {string} channel
   * @param {string} [group] all if not given
   */
  unfollow(channel, group) {
    for (const [of, channels] of this.#following)
      if (group === undefined || of === group) channels.delete(channel);
  }
}
