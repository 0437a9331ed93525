/** All that a run has read and wants to write. */

import { Fault } from "../handle.js";
import { compare } from "./data.js";
import { payloadOf } from "./rules.js";
import * as rules from "./store-rules.js";

/** @typedef {import("../types.js").WireValue} WireValue */
/** @typedef {import("./data.js").View} View */
/** @typedef {import("./data.js").Entry} Entry */

/**
 * @typedef {{ is: "set", value: WireValue, timeToLive: number | undefined }
 *   | { is: "delete" }
 *   | { is: "add", delta: number }} Write
 *
 * A part of a listing, and what the run saw there. Without `last` it goes to the end of the prefix.
 *
 * @typedef {{ prefix: string, after: string | undefined, last: string | undefined,
 *   seen: [string, number][] }} Range
 *
 * @typedef {{ channel: string, content: Uint8Array, due: import("../types.js").WireMoment }} Timer
 */

/** Something that the run has read is not as it was: the text names it. */
export class Conflict extends Fault {
  /** @param {string} what */
  constructor(what) {
    const val = `${what} changed while the run used it, each time that it was tried; read fewer keys, or use \`add\`, or let one channel do the work in turn`;
    super({ tag: "failed", val });
  }
}

export class Transaction {
  /** Versions. @type {Map<string, number | undefined>} */
  #reads = new Map();
  /** @type {Range[]} */
  #ranges = [];
  /** @type {Map<string, Write>} */
  #writes = new Map();
  /** Those without a timer cancel. @type {Map<string | symbol, { timer: Timer | undefined, bytes: number }>} */
  #timers = new Map();
  /** Requests to servers outside. @type {import("../types.js").WireFetch[]} */
  #fetches = [];
  #writtenBytes = 0;
  /** Keys that the run has read so far. */
  #read = 0;

  get changesSomething() {
    return this.#writes.size > 0 || this.#timers.size > 0 || this.#fetches.length > 0;
  }

  /**
   * @param {View} view
   * @param {string[]} keys
   */
  getMany(view, keys) {
    this.#count(keys);
    for (const key of keys) {
      const write = this.#writes.get(key);
      if (!write || write.is === "add") this.#reads.set(key, view.entry(key)?.version);
    }
    return keys.map((key) => this.#own(key, view.entry(key)?.value));
  }

  /**
   * Reads keys that are no part of the transaction.
   *
   * @param {View} view
   * @param {string[]} keys
   */
  getManyOf(view, keys) {
    this.#count(keys);
    return keys.map((key) => view.entry(key)?.value);
  }

  /**
   * @param {string} key
   * @param {WireValue} value
   * @param {number | undefined} timeToLive
   */
  set(key, value, timeToLive) {
    rules.checkKey(key);
    if (timeToLive !== undefined) rules.checkTimeToLive(timeToLive);
    rules.checkValue(value);
    this.#write(key, { is: "set", value, timeToLive });
  }

  /** @param {string} key */
  remove(key) {
    rules.checkKey(key);
    this.#write(key, { is: "delete" });
  }

  /**
   * @param {string} key
   * @param {number} delta
   */
  add(key, delta) {
    rules.checkKey(key);
    this.#write(key, this.#added(key, delta));
  }

  /**
   * @param {string} key
   * @param {number} delta
   * @returns {Write}
   */
  #added(key, delta) {
    const before = this.#writes.get(key);
    if (!before) return { is: "add", delta };
    if (before.is === "add") {
      const own = /** @type {const} */ ({ tag: "integer", val: before.delta });
      return { is: "add", delta: rules.sum(key, own, delta) };
    }
    const { value, timeToLive } =
      before.is === "set" ? before : { value: undefined, timeToLive: undefined };
    const val = rules.sum(key, value?.data, delta);
    const data = /** @type {const} */ ({ tag: "integer", val });
    return { is: "set", value: { data, schema: value?.schema ?? 0 }, timeToLive };
  }

  /**
   * @param {View} view
   * @param {string} prefix
   * @param {string | undefined} cursor
   * @param {number} limit
   */
  list(view, prefix, cursor, limit) {
    rules.checkPrefix(prefix);
    rules.checkCount(limit);
    rules.checkReads(this.#read + limit);
    let after = cursor === undefined ? undefined : rules.readCursor(prefix, cursor);
    for (;;) {
      const { range, stored } = scan(view, prefix, after, limit);
      this.#read += stored.size;
      this.#ranges.push(range);
      const entries = this.#merged(range, stored);
      if (entries.length === 0 && range.last !== undefined) {
        after = range.last;
        continue;
      }
      const last = entries.length > limit ? entries[limit - 1]?.key : range.last;
      return {
        entries: entries.slice(0, limit),
        cursor: last === undefined ? undefined : rules.writeCursor(prefix, last),
      };
    }
  }

  /**
   * Sets a timer, or cancels one.
   *
   * @param {string | undefined} key
   * @param {Timer | undefined} timer
   */
  setTimer(key, timer) {
    const place = key ?? Symbol();
    const before = this.#timers.get(place);
    const own = Buffer.byteLength(key ?? "");
    const bytes = timer ? own + timer.channel.length + timer.content.length : own;
    this.#weigh(!before, bytes - (before?.bytes ?? 0));
    // The order is that of the last calls.
    this.#timers.delete(place);
    this.#timers.set(place, { timer, bytes });
  }

  /**
   * Asks for a request with the commit.
   *
   * @param {import("../types.js").WireFetch} request
   */
  fetch(request) {
    this.#fetches.push(request);
  }

  /**
   * Whether all that was read is as it was. The host does not ask about a single key of a run that
   * writes nothing.
   *
   * @param {View} view
   * @returns {Conflict | undefined}
   */
  check(view) {
    if (!this.changesSomething && this.#ranges.length === 0 && this.#reads.size <= 1)
      return undefined;
    for (const [key, seen] of this.#reads) {
      if (view.entry(key)?.version !== seen) return new Conflict(`the key ${JSON.stringify(key)}`);
    }
    const range = this.#ranges.find((it) => !stillHolds(it, view));
    return range && new Conflict(`the keys that begin with ${JSON.stringify(range.prefix)}`);
  }

  /**
   * Checks the reads, writes, and begins anew.
   *
   * @param {View} view
   * @returns {{ timers: { key: string | undefined, timer: Timer | undefined }[],
   *   fetches: import("../types.js").WireFetch[] } | Fault} what is left to do, or why nothing was done
   */
  commit(view) {
    const conflict = this.check(view);
    if (conflict) return conflict;
    /** @type {[string, WireValue | undefined, number | undefined][]} */
    const planned = [];
    for (const [key, write] of this.#writes) {
      if (write.is === "delete") planned.push([key, undefined, undefined]);
      else if (write.is === "set") {
        const { value, timeToLive } = write;
        planned.push([key, value, timeToLive === undefined ? undefined : view.now + timeToLive]);
      } else {
        try {
          planned.push([key, this.#own(key, view.entry(key)?.value), view.entry(key)?.expires]);
        } catch (error) {
          return new Fault({ tag: "failed", val: refusalText(error) });
        }
      }
    }
    for (const [key, value, expires] of planned) {
      if (value) view.data.put(view.module, key, value, expires);
      else view.data.remove(view.module, key);
    }
    const timers = [...this.#timers].map(([place, { timer }]) => ({
      key: typeof place === "string" ? place : undefined,
      timer,
    }));
    this.#reads.clear();
    this.#ranges = [];
    this.#writes.clear();
    this.#timers.clear();
    this.#writtenBytes = 0;
    return { timers, fetches: this.#fetches.splice(0) };
  }

  /** @param {string[]} keys */
  #count(keys) {
    keys.forEach(rules.checkKey);
    rules.checkCount(keys.length);
    this.#read += keys.length;
    rules.checkReads(this.#read);
  }

  /**
   * The value of a key as the run sees it: its own write over the stored value.
   *
   * @param {string} key
   * @param {WireValue | undefined} stored
   * @returns {WireValue | undefined}
   */
  #own(key, stored) {
    const write = this.#writes.get(key);
    if (!write) return stored;
    if (write.is === "delete") return undefined;
    if (write.is === "set") return write.value;
    const val = rules.sum(key, stored?.data, write.delta);
    return { data: { tag: "integer", val }, schema: stored?.schema ?? 0 };
  }

  /**
   * Puts the run's own writes among the entries of a range.
   *
   * @param {Range} range
   * @param {Map<string, WireValue>} stored
   */
  #merged(range, stored) {
    const keys = new Set(stored.keys());
    for (const key of this.#writes.keys()) if (contains(range, key)) keys.add(key);
    return [...keys].sort(compare).flatMap((key) => {
      const value = this.#own(key, stored.get(key));
      return value ? [{ key, value }] : [];
    });
  }

  /**
   * @param {string} key
   * @param {Write} write
   */
  #write(key, write) {
    const before = this.#writes.get(key);
    const own = Buffer.byteLength(key);
    this.#weigh(!before, own + size(write) - (before ? own + size(before) : 0));
    this.#writes.set(key, write);
  }

  /**
   * @param {boolean} isNew
   * @param {number} bytes
   */
  #weigh(isNew, bytes) {
    if (isNew && this.#writes.size + this.#timers.size >= rules.WRITES_MAX) {
      rules.invalid(
        `a run writes at most ${rules.WRITES_MAX} keys and timers. Divide the work among several messages`,
      );
    }
    if (this.#writtenBytes + bytes > rules.WRITTEN_BYTES_MAX) {
      rules.invalid(
        `a run writes at most ${rules.WRITTEN_BYTES_MAX} bytes. Divide the work among several messages`,
      );
    }
    this.#writtenBytes += bytes;
  }
}

/** @param {unknown} error */
function refusalText(error) {
  return payloadOf(error).val;
}

/** @param {Write} write */
function size(write) {
  if (write.is === "delete") return 0;
  return write.is === "set" && write.value.data.tag === "bytes" ? write.value.data.val.length : 8;
}

/**
 * @param {Range} range
 * @param {string} key
 */
function contains({ prefix, after, last }, key) {
  return (
    key.startsWith(prefix) &&
    (after === undefined || compare(key, after) > 0) &&
    (last === undefined || compare(key, last) <= 0)
  );
}

/**
 * @param {Range} range
 * @param {View} view
 */
function stillHolds(range, view) {
  const now = [...view.range(range.prefix, range.after)].filter(([key]) => contains(range, key));
  return (
    now.length === range.seen.length &&
    now.every(([key, { version }], i) => range.seen[i]?.[0] === key && range.seen[i][1] === version)
  );
}

/**
 * Reads a page of the stored values.
 *
 * @param {View} view
 * @param {string} prefix
 * @param {string | undefined} after
 * @param {number} limit
 * @returns {{ range: Range, stored: Map<string, WireValue> }}
 */
function scan(view, prefix, after, limit) {
  /** @type {Map<string, WireValue>} */
  const stored = new Map();
  /** @type {[string, number][]} */
  const seen = [];
  let bytes = 0;
  for (const [key, { version, value }] of view.range(prefix, after)) {
    if (seen.length === limit || bytes >= rules.PAGE_BYTES)
      return { range: { prefix, after, last: seen.at(-1)?.[0], seen }, stored };
    bytes += size({ is: "set", value, timeToLive: undefined });
    seen.push([key, version]);
    stored.set(key, value);
  }
  return { range: { prefix, after, last: undefined, seen }, stored };
}
