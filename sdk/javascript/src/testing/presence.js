/** The members of the groups of a test host. */

import { pack, unpack } from "../content.js";
import { exactness } from "../pattern.js";
import { compare } from "./data.js";

/** @typedef {import("../app.js").Entry} Entry */

/**
 * How a group tells who comes and goes. Times are in milliseconds.
 *
 * @typedef {{ leaveAfter: number, interval: number, list: number, clients: boolean, channels: string[] }} Rule
 *
 * A member. Of its connections the one that gave facts last is the last.
 *
 * @typedef {{ connections: Map<string, Uint8Array>, facts: Uint8Array, leavesAt: number }} Held
 *
 * Members that have changed, with their facts where they are there. Those that came and left meanwhile have `passed`.
 *
 * @typedef {{ joined: Record<string, unknown>, updated: Record<string, unknown>, left: string[],
 *   passed: string[], comesOrGoes: boolean, hasSome: boolean }} Changes
 *
 * What a group announces: text for its clients, and a message for its channels.
 *
 * @typedef {{ group: string, forClients: string | undefined,
 *   forChannels: { content: Uint8Array, channels: string[] } | undefined }} Announcement
 */

/** What holds where nothing is declared. */
const USUAL = { leaveAfter: 10_000, interval: 1000, list: 100 };

/**
 * What consumers declare about a group. There is nothing about a group of another module.
 *
 * @param {readonly Entry[]} entries
 * @param {string | undefined} name without the module's part
 * @returns {Rule}
 */
function ruleOf(entries, name) {
  const declared = entries.flatMap(({ presence, trigger }) => {
    if (name === undefined || !presence) return [];
    const isMeant = presence.groups.some((it) => exactness(it, name) !== undefined);
    return isMeant ? [{ presence, trigger }] : [];
  });
  const most = (/** @type {keyof typeof USUAL} */ key) =>
    declared.length > 0 ? Math.max(...declared.map(({ presence }) => presence[key])) : USUAL[key];
  const channels = declared.flatMap(({ trigger }) =>
    trigger.tag === "channel" ? [trigger.val.name] : [],
  );
  return {
    leaveAfter: most("leaveAfter"),
    interval: most("interval"),
    list: most("list"),
    clients: channels.length < declared.length,
    channels,
  };
}

/** @param {Uint8Array} facts */
function json(facts) {
  // Clients read numbers as JavaScript does.
  return JSON.parse(
    JSON.stringify(unpack(facts), (_, it) => (typeof it === "bigint" ? Number(it) : it)),
  );
}

class Group {
  /** @type {Map<string, Held>} */
  members = new Map();
  #name;
  #rule;
  #version = 0;
  #announced = 0;
  /** Members that have changed, and whether they were there before. @type {Map<string, boolean>} */
  #changed = new Map();
  #announceAt = Infinity;
  #announcedAt = -Infinity;
  /** Whether clients have got a number in place of a list. */
  #isCounted = false;

  /**
   * @param {string} name
   * @param {Rule} rule
   */
  constructor(name, rule) {
    this.#name = name;
    this.#rule = rule;
  }

  /** When something happens by itself. */
  get due() {
    return Math.min(this.#announceAt, ...[...this.members.values()].map((held) => held.leavesAt));
  }

  /** Members in the order of their keys. */
  get sorted() {
    return [...this.members].sort(([one], [other]) => compare(one, other));
  }

  get #isListed() {
    return this.members.size <= this.#rule.list;
  }

  /**
   * @param {string} key
   * @param {boolean} wasThere
   * @param {number} now
   */
  #touch(key, wasThere, now) {
    this.#version += 1;
    const { clients, channels, interval } = this.#rule;
    if (!clients && channels.length === 0) {
      this.#announced = this.#version;
      return;
    }
    if (!this.#changed.has(key)) this.#changed.set(key, wasThere);
    if (this.#announceAt === Infinity)
      this.#announceAt = Math.max(now, this.#announcedAt + interval);
  }

  /**
   * @param {string} key
   * @param {Held} held
   * @param {Uint8Array} facts
   * @param {number} now
   */
  #show(key, held, facts, now) {
    if (Buffer.compare(held.facts, facts) === 0) return;
    held.facts = facts;
    this.#touch(key, true, now);
  }

  /**
   * @param {string} channel
   * @param {number} now
   */
  leave(channel, now) {
    for (const [key, held] of this.members) {
      if (!held.connections.delete(channel)) continue;
      const facts = [...held.connections.values()].at(-1);
      if (facts) this.#show(key, held, facts, now);
      else held.leavesAt = now + this.#rule.leaveAfter;
    }
  }

  /**
   * @param {Rule} rule
   * @param {string} channel
   * @param {string} key
   * @param {Uint8Array} facts
   * @param {number} now
   * @returns {string | undefined} the list for the connection, if it is new and clients are told
   */
  join(rule, channel, key, facts, now) {
    this.#rule = rule;
    const held = this.members.get(key);
    const wasPresent = held?.connections.has(channel) ?? false;
    // It may be another member so far.
    if (!wasPresent) this.leave(channel, now);
    if (held) {
      held.connections.delete(channel);
      held.connections.set(channel, facts);
      held.leavesAt = Infinity;
      this.#show(key, held, facts, now);
    } else {
      const connections = new Map([[channel, facts]]);
      this.members.set(key, { connections, facts, leavesAt: Infinity });
      this.#touch(key, false, now);
      this.#isCounted ||= rule.clients && !this.#isListed;
    }
    return !wasPresent && rule.clients ? this.#listing() : undefined;
  }

  #listing() {
    const head = { group: this.#name, version: this.#version, count: this.members.size };
    if (!this.#isListed) return JSON.stringify(head);
    const members = this.sorted.map(([key, { facts }]) => [key, json(facts)]);
    return JSON.stringify({ ...head, members: Object.fromEntries(members) });
  }

  /**
   * @param {number} now
   * @returns {Announcement | undefined}
   */
  announce(now) {
    for (const [key, { leavesAt }] of this.members) {
      if (leavesAt > now) continue;
      this.members.delete(key);
      this.#touch(key, true, now);
    }
    if (this.#announceAt > now) return undefined;
    this.#announceAt = Infinity;
    const changes = this.#takeChanges();
    const head = { group: this.#name, from: this.#announced, version: this.#version };
    const forClients = this.#rule.clients ? this.#tellClients(head, changes) : undefined;
    const { joined, updated, left, hasSome } = changes;
    if (forClients === undefined && !hasSome) return undefined;
    this.#announced = this.#version;
    this.#announcedAt = now;
    const change = { ...head, count: this.members.size, joined, updated, left };
    const forChannels = hasSome
      ? { content: pack(change, "a change"), channels: this.#rule.channels }
      : undefined;
    return { group: this.#name, forClients, forChannels };
  }

  /** @returns {Changes} */
  #takeChanges() {
    /** @type {Record<"joined" | "updated", [key: string, facts: any][]>} */
    const there = { joined: [], updated: [] };
    /** @type {string[]} */
    const left = [];
    /** Who came and left is told to clients, which may have got a list meanwhile. @type {string[]} */
    const passed = [];
    for (const [key, wasThere] of [...this.#changed].sort(([one], [two]) => compare(one, two))) {
      const held = this.members.get(key);
      if (held) there[wasThere ? "updated" : "joined"].push([key, json(held.facts)]);
      else (wasThere ? left : passed).push(key);
    }
    this.#changed.clear();
    return {
      joined: Object.fromEntries(there.joined),
      updated: Object.fromEntries(there.updated),
      left,
      passed,
      comesOrGoes: there.joined.length > 0 || left.length > 0,
      hasSome: there.joined.length > 0 || left.length > 0 || there.updated.length > 0,
    };
  }

  /**
   * @param {object} head
   * @param {Changes} changes
   * @returns {string | undefined}
   */
  #tellClients(head, { joined, updated, left, passed, comesOrGoes, hasSome }) {
    const wasCounted = this.#isCounted;
    this.#isCounted = !this.#isListed;
    if (this.#isCounted) return comesOrGoes || !wasCounted ? this.#listing() : undefined;
    if (wasCounted) return this.#listing();
    if (!hasSome && passed.length === 0) return undefined;
    const parts = Object.entries({ joined, updated, left: [...left, ...passed] });
    const told = parts.filter(([, part]) => Object.keys(part).length > 0);
    return JSON.stringify({ ...head, count: this.members.size, ...Object.fromEntries(told) });
  }
}

/** All groups with members, by their full names. */
export class Presences {
  /** @type {Map<string, Group>} */
  #groups = new Map();

  /**
   * Makes a connection present.
   *
   * @param {{ group: string, channel: string, key: string, facts: Uint8Array }} member
   * @param {{ entries: readonly Entry[], module: string, now: number }} world
   * @returns {string | undefined} the list for it, if it is new and clients are told
   */
  join({ group: name, channel, key, facts }, { entries, module, now }) {
    const own = name.startsWith(`${module}.`) ? name.slice(module.length + 1) : undefined;
    const rule = ruleOf(entries, own);
    const group = this.#groups.get(name) ?? new Group(name, rule);
    this.#groups.set(name, group);
    return group.join(rule, channel, key, facts, now);
  }

  /**
   * @param {string} name
   * @param {string} channel
   * @param {number} now
   */
  leave(name, channel, now) {
    this.#groups.get(name)?.leave(channel, now);
  }

  /**
   * @param {string} channel
   * @param {number} now
   */
  leaveAll(channel, now) {
    for (const group of this.#groups.values()) group.leave(channel, now);
  }

  /** When something happens by itself. */
  get due() {
    return Math.min(Infinity, ...[...this.#groups.values()].map((group) => group.due));
  }

  /** @param {number} now */
  announce(now) {
    return [...this.#groups]
      .sort(([one], [other]) => compare(one, other))
      .flatMap(([, group]) => group.announce(now) ?? []);
  }

  /**
   * @param {string} name
   * @param {string | undefined} cursor
   * @param {number} limit
   * @returns {import("../types.js").Members<Uint8Array>}
   */
  page(name, cursor, limit) {
    const sorted = this.#groups.get(name)?.sorted ?? [];
    const rest = sorted.filter(([key]) => cursor === undefined || compare(key, cursor) > 0);
    const members = rest.slice(0, limit).map(([key, { facts }]) => ({ key, facts }));
    const last = rest.length > limit ? members.at(-1)?.key : undefined;
    return { members, count: sorted.length, cursor: last };
  }
}
