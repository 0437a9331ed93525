/** The in-memory layer of the test host: channels, groups, connections and the clock. */

import { Websocket, Http } from "./connection.js";
import { Data } from "./data.js";
import { pauseAfter } from "./delivery.js";
import { readReplies } from "./forms.js";
import { Histories } from "./history.js";
import { Presences } from "./presence.js";
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
  /** @type {Map<string, Set<string>>} */
  groups = new Map();
  presence = new Presences();
  histories = new Histories(this);
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
        return this.#groupAdd(item.group, item.channel);
      case "group-join":
        return this.#groupJoin(item);
      case "group-discard":
        this.histories.unfollow(item.channel, item.group);
        this.groups.get(item.group)?.delete(item.channel);
        this.presence.leave(item.group, item.channel, this.now);
        return undefined;
      case "present":
        return this.#present(item);
      case "group-send":
        return this.#groupSend(item.group, item.content, correlation);
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
    this.#deliver(channel, content, correlation, delivery, false);
    this.sent.push({ to: channel, content });
  }

  /**
   * @param {string} channel
   * @param {Uint8Array} content
   * @param {string} correlation
   * @param {import("./delivery.js").Delivery} delivery
   * @param {boolean} fromGroup
   */
  #deliver(channel, content, correlation, delivery, fromGroup) {
    if (channel.includes("!")) return this.#replyEach(channel, content, (it) => it, fromGroup);
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
  #replyEach(channel, content, made, fromGroup = true) {
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
   * @param {string} group
   * @param {string} channel
   */
  #groupAdd(group, channel) {
    if (channel.includes("!") && !this.connections.get(channel)?.isAlive) {
      this.drops.push(`${group}: ${channel} is gone`);
      return;
    }
    const members = this.groups.get(group) ?? new Set();
    this.groups.set(group, members.add(channel));
  }

  /**
   * Makes a connection a member that sees positions, and sends it what it has missed.
   *
   * @param {Extract<Item, { is: "group-join" }>} item
   */
  #groupJoin(item) {
    const { group, channel } = item;
    if (this.histories.isFollowing(group, channel)) return;
    this.#groupAdd(group, channel);
    const connection = this.connections.get(channel);
    if (!connection?.isAlive) return;
    const missed = this.histories.follow(item);
    if (!missed) return;
    const { from, complete, messages } = missed;
    if (connection instanceof Http) connection.stand(group, from, complete);
    else this.reply(channel, enveloped("from", { group, position: from, complete }), true);
    for (const { position, content } of messages)
      this.#deliverNumbered(channel, group, position, content);
  }

  /**
   * Sends a message with its position to a member that sees them.
   *
   * @param {string} channel
   * @param {string} group
   * @param {string} position
   * @param {Uint8Array} content
   */
  #deliverNumbered(channel, group, position, content) {
    this.#replyEach(channel, content, (reply) => {
      const connection = this.connections.get(channel);
      if (connection instanceof Http) return connection.numbered(reply, position);
      if (reply.is !== "send") return reply;
      const { tag, val } = reply.frame;
      const sent = tag === "text" ? { text: val } : { base64: Buffer.from(val).toString("base64") };
      return enveloped("message", { group, position, ...sent });
    });
  }

  /** @param {Extract<Item, { is: "present" }>} item */
  #present(item) {
    const { group, channel } = item;
    this.#groupAdd(group, channel);
    if (!this.connections.get(channel)?.isAlive) return;
    const { entries } = this.app;
    const list = this.presence.join(item, { entries, module: this.module, now: this.now });
    if (list !== undefined) this.#tellClient(channel, list);
  }

  /**
   * Tells a client who is in a group.
   *
   * @param {string} channel
   * @param {string} json
   */
  #tellClient(channel, json) {
    const isHttp = this.connections.get(channel) instanceof Http;
    /** @type {Reply} */
    const reply = isHttp
      ? { is: "chunk", chunk: Buffer.from(`event: presence\ndata: ${json}\n\n`) }
      : { is: "send", frame: { tag: "text", val: `{"presence":${json}}` } };
    this.reply(channel, reply, true);
  }

  /**
   * Announces who came to groups and left them.
   *
   * @returns {boolean} whether there was anything to announce
   */
  announce() {
    const announced = this.presence.announce(this.now);
    for (const { group, forClients, forChannels } of announced) {
      if (forClients !== undefined) {
        const members = [...(this.groups.get(group) ?? [])].sort();
        for (const member of members.filter((it) => it.includes("!")))
          this.#tellClient(member, forClients);
      }
      const correlation = this.nextId();
      for (const channel of forChannels?.channels ?? [])
        this.send(channel, /** @type {any} */ (forChannels).content, correlation);
    }
    return announced.length > 0;
  }

  /**
   * @param {string} group
   * @param {Uint8Array} content
   * @param {string} correlation
   */
  #groupSend(group, content, correlation) {
    const position = this.histories.remember(group, content);
    for (const member of [...(this.groups.get(group) ?? [])].sort()) {
      if (position !== undefined && this.histories.isFollowing(group, member))
        this.#deliverNumbered(member, group, position, content);
      else this.#deliver(member, content, correlation, { id: this.nextId(), attempt: 1 }, true);
    }
    this.groupSent.push({ to: group, content });
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
    else if (!connection.isAlive) this.leaveGroups(channel);
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
    this.leaveGroups(channel);
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

  /** @param {string} channel */
  leaveGroups(channel) {
    this.histories.unfollow(channel);
    this.presence.leaveAll(channel, this.now);
    for (const members of this.groups.values()) members.delete(channel);
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
    this.leaveGroups(channel);
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
    const presence = this.presence.due;
    if (presence <= end && presence < Math.min(message?.due ?? Infinity, hold?.until ?? Infinity)) {
      this.now = presence;
      return true;
    }
    if (message && message.due <= end && (!hold || message.due <= hold.until)) {
      this.#later.shift();
      this.now = message.due;
      const { channel, content, correlation, again } = message;
      if (again) this.#deliver(channel, content, correlation, again, false);
      else this.send(channel, content, correlation);
      return true;
    }
    if (hold && hold.until <= end) {
      this.now = hold.until;
      hold.request.expire();
      this.leaveGroups(hold.request.scope.replyChannel);
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

/**
 * What a WebSocket is sent that sees positions.
 *
 * @param {"from" | "message"} kind
 * @param {object} fields
 * @returns {Reply}
 */
function enveloped(kind, fields) {
  const val = JSON.stringify({ tidegate: kind, ...fields });
  return { is: "send", frame: { tag: "text", val } };
}

/** @param {Http | Websocket} connection */
function isClosed(connection) {
  return connection instanceof Websocket && connection.phase.is === "closed";
}
