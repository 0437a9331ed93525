/** The store and the timers of one run in the test host, and its transaction. */

import { TestData } from "./inspection.js";
import * as rules from "./rules.js";
import * as storeRules from "./store-rules.js";
import { Conflict, Transaction } from "./transaction.js";
import { View } from "./data.js";

/** @typedef {import("../types.js").StoringHost} StoringHost */

/** @implements {StoringHost} */
export class Storing {
  #world;
  #correlation;
  #maySend;
  /** None before the first call. @type {Transaction | undefined} */
  #transaction;
  /** A commit in the middle of the run that had no effect. @type {import("../handle.js").Fault | undefined} */
  ended;
  /** Whether a second run would do something twice. */
  isFinal = false;

  /**
   * @param {import("./world.js").World} world
   * @param {string} correlation
   * @param {(channel: string) => void} maySend
   */
  constructor(world, correlation, maySend) {
    this.#world = world;
    this.#correlation = correlation;
    this.#maySend = maySend;
  }

  /** @param {string} [module] */
  #view(module = this.#world.module) {
    return new View(this.#world.data, module, this.#world.now);
  }

  get #begun() {
    return (this.#transaction ??= new Transaction());
  }

  /** @type {StoringHost["getMany"]} */
  getMany(keys) {
    return this.#begun.getMany(this.#view(), keys);
  }

  /** @type {StoringHost["getManyOf"]} */
  getManyOf(module, keys) {
    storeRules.checkModule(module);
    const { module: own, grantedData } = this.#world;
    if (module !== own && !grantedData.has(module)) {
      rules.refuse(
        "forbidden",
        `the keys of ${module} belong to another module; let them be granted: modules.${own}.grants.data = ["${module}"]`,
      );
    }
    return this.#begun.getManyOf(this.#view(module), keys);
  }

  /** @type {StoringHost["set"]} */
  set(key, value, timeToLive) {
    this.#begun.set(key, value, timeToLive);
  }

  /** @type {StoringHost["remove"]} */
  remove(key) {
    this.#begun.remove(key);
  }

  /** @type {StoringHost["add"]} */
  add(key, delta) {
    this.#begun.add(key, delta);
  }

  /** @type {StoringHost["list"]} */
  list(prefix, cursor, limit) {
    return this.#begun.list(this.#view(), prefix, cursor, limit);
  }

  /** @type {StoringHost["setTimer"]} */
  setTimer(key, channel, content, due) {
    if (key !== undefined) storeRules.checkKey(key);
    const { epoch, now } = this.#world;
    storeRules.checkDue(due, epoch + now);
    asTimer(() => rules.checkChannel(channel));
    if (channel.includes("!")) {
      rules.refuse(
        "forbidden",
        `${channel} is a reply channel: its connection may be over when the timer is due; send to a channel of your own, and from there to a group`,
      );
    }
    asTimer(() => {
      this.#maySend(channel);
      rules.checkContent(content);
    });
    this.#begun.setTimer(key, { channel, content, due });
  }

  /** @type {StoringHost["cancelTimer"]} */
  cancelTimer(key) {
    storeRules.checkKey(key);
    this.#begun.setTimer(key, undefined);
  }

  /**
   * Has a request to a server outside made with the commit.
   *
   * @param {import("../types.js").WireFetch} request
   */
  fetch(request) {
    this.#begun.fetch(request);
  }

  /**
   * Commits at the end of the run.
   *
   * @returns {import("../handle.js").Fault | undefined} why nothing was done
   */
  commit() {
    this.#change();
    const done = this.#transaction?.commit(this.#view());
    if (!done) return undefined;
    if (!("timers" in done)) return done;
    const { epoch, now, fetches } = this.#world;
    for (const request of done.fetches)
      fetches.push({ request, correlation: this.#correlation, attempts: 1 });
    for (const { key, timer } of done.timers) {
      if (key !== undefined) this.#world.cancel(key);
      if (!timer) continue;
      const { channel, content, due } = timer;
      const at = due.tag === "after" ? now + due.val : due.val - epoch;
      this.#world.later(Math.max(at, now), channel, content, this.#correlation, { key });
    }
    return undefined;
  }

  /**
   * Of a run that failed the host asks only whether what it read still holds.
   *
   * @returns {Conflict | undefined}
   */
  check() {
    this.#change();
    return this.#transaction?.check(this.#view());
  }

  /**
   * Commits in the middle of the run.
   *
   * @throws {import("../handle.js").Fault} nothing was done; the run is over, even if it catches this
   */
  flush() {
    const changes = this.#transaction?.changesSomething ?? false;
    this.ended = this.commit();
    if (this.ended) throw this.ended;
    this.isFinal ||= changes;
  }

  /** Does what a test asked for between a run and its commit. */
  #change() {
    if (!this.#transaction) return;
    this.#world.changes.shift()?.(new TestData(this.#world, this.#world.module));
  }
}

/**
 * Turns refusals of the layer into those of timers.
 *
 * @param {() => void} check
 */
function asTimer(check) {
  try {
    check();
  } catch (error) {
    const { tag, val } = rules.payloadOf(error);
    if (tag === "too-large")
      rules.refuse("invalid", `a message has at most ${val.limit} bytes; this one has ${val.bytes}`);
    rules.refuse(tag === "forbidden" ? tag : "invalid", val);
  }
}
