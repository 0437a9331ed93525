/** The in-memory layer of the test host: channels, groups, connections and the clock. */

import { Websocket, Http } from "./connection.js";
import { Data } from "./data.js";
import { pauseAfter } from "./delivery.js";
import { readReplies } from "./forms.js";
import { Groups } from "./groups.js";
import { refusal } from "./rules.js";
import { SessionTable } from "./sessions.js";

/** @typedef {import("../app.js").App} App */
/** @typedef {import("../app.js").Entry} Entry */
/** @typedef {import("./forms.js").Reply} Reply */

/**
 * An event that waits for its consumer.
 *
 * @typedef {{ entry: Entry, event: import("../types.js").WireEvent, connection: string | undefined,
 *   correlation: string, delivery?: import("./delivery.js").Delivery }} Job
 */

/**
 * Something in an outbox.
 *
 * @typedef {{ is: "send", channel: string, content: Uint8Array }
 *   | { is: "send-later", channel: string, content: Uint8Array, delay: number }
 *   | { is: "group-add", group: string, channel: string }
 *   | { is: "group-join", group: string, channel: string, after: string | undefined, latest: number }
 *   | { is: "group-discard", group: string, channel: string }
 *   | { is: "group-send", group: string, content: Uint8Array }
 *   | { is: "present", group: string, channel: string, key: string, facts: Uint8Array }
 *   | { is: "user-send", user: string, content: Uint8Array }
 *   | { is: "reply", reply: Reply }} Item
 */

/**
 * A request to a server outside that waits for its answer, and the number of times that it was made.
 *
 * @typedef {{ request: import("../types.js").WireFetch, correlation: string, attempts: number }} Waiting
 */

/** @typedef {{ consumer: string, level: import("../types.js").Level, text: string }} LogLine */
/** @typedef {{ consumer: string, text: string }} Fault */

export class World {
  module = "test";
  /** @type {Set<string>} */
  granted = new Set();
  /** Modules whose data may be read. @type {Set<string>} */
  grantedData = new Set();
  /** Whether the module may sign users in and out. */
  grantedSessions = false;
  sessions = new SessionTable();
  /** Servers outside that the module may reach. @type {string[]} */
  reachable = [];
  /** @type {Waiting[]} */
  fetches = [];
  /**
   * What the test has said of requests that runs wait for, by method and URL.
   *
   * @type {{ of: string, outcome: import("../types.js").WireAnswer | { reason: string } }[]}
   */
  prepared = [];
  data = new Data();
  /** What tests do between a run and its commit. @type {((data: import("./inspection.js").TestData) => void)[]} */
  changes = [];
  /** @type {Map<string, string>} */
  environment = new Map();
  /** @type {Map<string, Http | Websocket>} */
  connections = new Map();
  groups = new Groups(this);
  /** @type {Job[]} */
  queue = [];
  /** The time when the clock stands at zero, in milliseconds since 1970. */
  epoch = Date.now();
  /** Milliseconds since then. */
  now = 0;
  /**
   * @type {{ due: number, number: number, channel: string, content: Uint8Array,
   *   correlation: string, key: string | undefined,
   *   again: import("./delivery.js").Delivery | undefined }[]}
   */
  #later = [];
  /** @type {{ to: string, content: Uint8Array }[]} */
  sent = [];
  /** @type {{ to: string, content: Uint8Array }[]} */
  groupSent = [];
  /** @type {LogLine[]} */
  logs = [];
  /** @type {Fault[]} */
  faults = [];
  /** Messages that reached nobody, with the reason. @type {string[]} */
  drops = [];
  #counter = 0;

  /** @param {App} app */
  constructor(app) {
    this.app = app;
  }

  /** @returns {string} */
  nextId() {
    return (++this.#counter).toString(16).padStart(32, "0");
  }

  /** Seconds since 1970. */
  get seconds() {
    return Math.floor((this.epoch + this.now) / 1000);
  }

  /**
   * Ends a session, and closes its WebSockets.
   *
   * @param {string} id
   */
  endSession(id) {
    this.sessions.remove(id);
    for (const [channel, { session }] of this.connections)
      if (session?.id === id) this.close(channel, { code: 4401, reason: "the session has ended" });
  }

  /**
   * Swaps the consumers. A connection whose consumer is gone closes with code 1012.
   *
   * @param {App} app
   */
  replace(app) {
    this.app = app;
    for (const [channel, connection] of this.connections) {
      if (!connection.entry) continue;
      connection.entry = app.byName.get(connection.entry.name);
      if (!connection.entry) this.close(channel, { code: 1012, reason: "" });
    }
  }

  /**
   * The consumer that declares a channel.
   *
   * @param {string} channel
   * @returns {Entry | undefined}
   */
  owner(channel) {
    return this.app.entries.find(
      ({ trigger }) => trigger.tag === "channel" && trigger.val.name === channel,
    );
  }

  /**
   * @param {Item[]} items
   * @param {Job} job
   */
  commit(items, job) {
    for (const item of items) this.#commitOne(item, job);
  }

  /**
   * @param {Item} item
   * @param {Job} job
   */
  #commitOne(item, { connection, correlation }) {
    switch (item.is) {
      case "send":
        return this.send(item.channel, item.content, correlation);
      case "send-later": {
        const { channel, content, delay } = item;
        return this.later(this.now + delay, channel, content, correlation);
      }
      case "group-add":
        this.groups.add(item.group, item.channel);
        return undefined;
      case "group-join":
        return this.groups.join(item);
      case "group-discard":
        return this.groups.discard(item.group, item.channel);
      case "present":
        return this.groups.present(item);
      case "group-send":
        return this.groups.send(item.group, item.content, correlation);
      case "user-send":
        for (const channel of this.connectionsOf(item.user)) {
          const delivery = { id: this.nextId(), attempt: 1 };
          this.deliver(channel, item.content, correlation, delivery, true);
        }
        return undefined;
      case "reply":
        if (connection !== undefined) this.reply(connection, item.reply, false);
        return undefined;
    }
  }

  /**
   * Sends a message when it is due.
   *
   * @param {number} due
   * @param {string} channel
   * @param {Uint8Array} content
   * @param {string} correlation
   * @param {{ key?: string | undefined, again?: import("./delivery.js").Delivery }} [of] the key of a timer, or the
   *   delivery of a message that comes again
   */
  later(due, channel, content, correlation, { key, again } = {}) {
    const number = ++this.#counter;
    this.#later.push({ due, number, channel, content, correlation, key, again });
  }

  /**
   * Takes the answer to a request that a run waits for.
   *
   * @param {string} of method and URL
   * @returns {import("../types.js").WireAnswer}
   * @throws {Error} it fails, as the test has said; or the test has said nothing
   */
  preparedAnswer(of) {
    const at = this.prepared.findIndex((prepared) => prepared.of === of);
    const [found] = at < 0 ? [] : this.prepared.splice(at, 1);
    if (!found) {
      throw new Error(
        `a run waits for ${JSON.stringify(of)}: say host.answers(${JSON.stringify(of)}, 200, "...") before`,
      );
    }
    const { outcome } = found;
    if ("status" in outcome) return outcome;
    throw refusal({ tag: outcome.reason, val: "as the test says" });
  }

  /**
   * Forgets the timer of a key.
   *
   * @param {string} key
   */
  cancel(key) {
    this.#later = this.#later.filter((timer) => timer.key !== key);
  }

  /**
   * @param {string} channel
   * @param {Uint8Array} content
   * @param {string} correlation
   * @param {import("./delivery.js").Delivery} [delivery] the first of a new message if not given
   */
  send(channel, content, correlation, delivery = { id: this.nextId(), attempt: 1 }) {
    this.deliver(channel, content, correlation, delivery, false);
    this.sent.push({ to: channel, content });
  }

  /**
   * @param {string} channel
   * @param {Uint8Array} content
   * @param {string} correlation
   * @param {import("./delivery.js").Delivery} delivery
   * @param {boolean} fromGroup
   */
  deliver(channel, content, correlation, delivery, fromGroup) {
    if (channel.includes("!")) return this.replyEach(channel, content, (it) => it, fromGroup);
    const entry = this.owner(channel);
    if (!entry) return;
    const event = /** @type {const} */ ({ tag: "channel-message", val: { channel, content } });
    this.queue.push({ entry, event, connection: undefined, correlation, delivery });
  }

  /**
   * Does to a connection what a message asks for.
   *
   * @param {string} channel
   * @param {Uint8Array} content
   * @param {(reply: Reply) => Reply | undefined} made what becomes of each
   * @param {boolean} [fromGroup]
   */
  replyEach(channel, content, made, fromGroup = true) {
    try {
      for (const asked of readReplies(content)) {
        const reply = made(asked);
        if (reply) this.reply(channel, reply, fromGroup);
      }
    } catch (error) {
      this.drops.push(`${channel}: ${/** @type {Error} */ (error).message}`);
    }
  }

  /**
   * Its consumer has failed: on a channel with retries the message comes again, or goes to the channel for
   * what cannot be done.
   *
   * @param {Job} job
   */
  deliverAgain({ entry: { trigger }, event, correlation, delivery }) {
    if (trigger.tag !== "channel" || event.tag !== "channel-message" || !delivery) return;
    const { retries = 0 } = trigger.val;
    if (retries === 0) return;
    const { channel, content } = event.val;
    if (delivery.attempt > retries) {
      this.send(`${channel}.dead`, content, correlation, { id: delivery.id, attempt: 1 });
      return;
    }
    const again = { id: delivery.id, attempt: delivery.attempt + 1 };
    this.later(this.now + pauseAfter(delivery), channel, content, correlation, { again });
  }

  /**
   * The connections of a user: WebSockets, and requests on hold.
   *
   * @param {string} user
   * @returns {string[]}
   */
  connectionsOf(user) {
    const theirs = [...this.connections].filter(
      ([, it]) => it.isAlive && it.user?.id === user && (it instanceof Websocket || it.hold),
    );
    return theirs.map(([channel]) => channel);
  }

  /**
   * Does something to a connection.
   *
   * @param {string} channel
   * @param {Reply} reply
   * @param {boolean} fromGroup
   */
  reply(channel, reply, fromGroup) {
    const connection = this.connections.get(channel);
    if (!connection) {
      this.drops.push(`${channel}: no such connection`);
      return;
    }
    const wasClosed = isClosed(connection);
    const reason = connection.apply(reply, fromGroup, this.now);
    if (reason !== undefined) this.drops.push(`${channel}: ${reason}`);
    if (!wasClosed && isClosed(connection)) this.#websocketEnded(channel);
    else if (!connection.isAlive) this.groups.leave(channel);
  }

  /**
   * Closes a WebSocket that is open, from either side.
   *
   * @param {string} channel
   * @param {{ code: number, reason: string }} close
   */
  close(channel, close) {
    const connection = this.connections.get(channel);
    if (!(connection instanceof Websocket) || connection.phase.is !== "open") return;
    connection.phase = { is: "closed", close };
    this.#websocketEnded(channel);
  }

  /** @param {string} channel */
  #websocketEnded(channel) {
    this.groups.leave(channel);
    const correlation = this.nextId();
    const socket = this.connections.get(channel);
    if (!(socket instanceof Websocket) || !socket.entry || socket.phase.is !== "closed") return;
    const { replyChannel, path, pathParams } = socket.scope;
    const { code, reason } = socket.phase.close;
    const val = { replyChannel, path, pathParams, order: socket.order + 1, code, reason };
    this.queue.push({
      entry: socket.entry,
      event: { tag: "websocket-disconnect", val },
      connection: channel,
      correlation,
    });
  }

  /**
   * The client of an HTTP request goes away.
   *
   * @param {string} channel
   */
  httpLeft(channel) {
    const request = this.connections.get(channel);
    if (!(request instanceof Http) || !request.isAlive) return;
    request.hasLeft = true;
    this.groups.leave(channel);
    const { entry, scope } = request;
    if (entry?.trigger.tag !== "http" || !entry.trigger.val.disconnect) return;
    const { replyChannel, path, pathParams } = scope;
    const event = /** @type {const} */ ({
      tag: "http-disconnect",
      val: { replyChannel, path, pathParams },
    });
    this.queue.push({ entry, event, connection: channel, correlation: this.nextId() });
  }

  /**
   * Moves the clock to the next thing that is due, and does it.
   *
   * @param {number} end the clock stands there when nothing is due any more
   * @returns {boolean} whether something was due
   */
  nextDue(end) {
    this.#later.sort((a, b) => a.due - b.due || a.number - b.number);
    const [message] = this.#later;
    const hold = this.#nextHold();
    const presence = this.groups.presence.due;
    if (presence <= end && presence < Math.min(message?.due ?? Infinity, hold?.until ?? Infinity)) {
      this.now = presence;
      return true;
    }
    if (message && message.due <= end && (!hold || message.due <= hold.until)) {
      this.#later.shift();
      this.now = message.due;
      const { channel, content, correlation, again } = message;
      if (again) this.deliver(channel, content, correlation, again, false);
      else this.send(channel, content, correlation);
      return true;
    }
    if (hold && hold.until <= end) {
      this.now = hold.until;
      hold.request.expire();
      this.groups.leave(hold.request.scope.replyChannel);
      return true;
    }
    this.now = end;
    return false;
  }

  #nextHold() {
    const held = [...this.connections.values()].flatMap((request) =>
      request instanceof Http && request.isAlive && request.hold
        ? [{ until: request.hold.until, request }]
        : [],
    );
    return held.sort((a, b) => a.until - b.until)[0];
  }
}

/** @param {Http | Websocket} connection */
function isClosed(connection) {
  return connection instanceof Websocket && connection.phase.is === "closed";
}
