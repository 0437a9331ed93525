/** One invocation: runs a consumer, keeps its outbox, and commits or drops it. */

import { Fault, handle, neverSettles } from "../handle.js";
import { isPromise } from "../settle.js";
import { Http, Websocket, textResponse } from "./connection.js";
import { Fetching } from "./fetching.js";
import { Holding } from "./holding.js";
import { Meeting } from "./meeting.js";
import { locate } from "./places.js";
import { Reaching } from "./reaching.js";
import { Remembering } from "./remembering.js";
import * as rules from "./rules.js";
import { Storing } from "./storing.js";
import { Conflict } from "./transaction.js";

/** @typedef {import("./world.js").World} World */
/** @typedef {import("./world.js").Job} Job */
/** @typedef {import("./world.js").Item} Item */
/** @typedef {import("../types.js").Host} Host */

/** How often an event is run whose data changes meanwhile. */
const ATTEMPTS_MAX = 10;

const TAKES = {
  "http-request": "an HTTP request takes respond, stream and hold",
  "http-disconnect": "the client is gone",
  "websocket-connect": "a handshake takes accept and close, then send",
  "websocket-receive": "a WebSocket takes send and close",
  "websocket-disconnect": "a WebSocket takes send and close",
  "channel-message": "a message on a channel has nobody to answer",
};

/**
 * Runs a consumer for an event. It never rejects: what goes wrong is among the faults.
 *
 * @param {World} world
 * @param {Job} job
 * @returns {Promise<void>}
 */
export async function run(world, job) {
  const logs = world.logs.length;
  for (let left = ATTEMPTS_MAX - 1; ; left--) {
    const call = new Call(world, job);
    try {
      await call.attempt();
      return call.succeed();
    } catch (error) {
      const isAgain = error instanceof Conflict && left > 0 && !call.storing.isFinal;
      if (!isAgain) {
        call.fail(error);
        return world.deliverAgain(job);
      }
      // The record is that of the last attempt.
      world.logs.length = logs;
    }
  }
}

/**
 * Waits for a promise as a module does: nothing but promises can settle it. What is still open when
 * all of their jobs are done waits for a timer or for the network, which a module does not have.
 *
 * @param {unknown} outcome
 */
async function settled(outcome) {
  if (!isPromise(outcome)) return;
  let isOpen = true;
  const done = Promise.resolve(outcome).finally(() => (isOpen = false));
  done.catch(() => undefined);
  await new Promise((resolve) => setImmediate(resolve));
  if (isOpen) throw neverSettles();
  await done;
}

/** @implements {Host} */
class Call {
  /** @type {Item[]} */
  #outbox = [];
  #bytes = 0;
  /** How far the answer to the own connection is. @type {"none" | "streaming" | "done"} */
  #answer = "none";
  /** @type {Uint8Array | undefined} */
  #state;

  /**
   * @param {World} world
   * @param {Job} job
   */
  constructor(world, job) {
    this.world = world;
    this.job = job;
    this.invocation = {
      module: world.module,
      consumer: job.entry.name,
      correlationId: job.correlation,
    };
    const maySend = (/** @type {string} */ channel) => this.#maySend(channel);
    this.storing = new Storing(world, job.correlation, maySend);
    this.fetching = new Fetching(world, this.storing, maySend);
    this.outgoing = this.fetching;
    this.telling = {
      messageId: () => job.delivery?.id,
      attempt: () => job.delivery?.attempt ?? 1,
    };
    const mayUse = (/** @type {string} */ group) => this.#mayUse(group);
    const put = (/** @type {Item} */ item) => this.#put(item);
    this.meeting = new Meeting(world, mayUse, put);
    this.reaching = new Reaching(world, put);
    this.holding = new Holding(world, job, this.storing);
    this.remembering = new Remembering(world, job.connection, mayUse, put);
    this.knowing = { currentUser: () => this.#connection?.user };
  }

  /**
   * Calls the consumer, and commits its data.
   *
   * @throws {Fault} it failed; a Conflict where another attempt may not
   */
  async attempt() {
    const { world, job, storing } = this;
    try {
      await settled(handle(world.app, this, this.invocation, job.event, locate));
      if (this.#limit) throw this.#limit;
    } catch (error) {
      throw storing.ended ?? storing.check() ?? error;
    }
    const ended = storing.ended ?? this.holding.check(this.#outbox) ?? storing.commit();
    if (ended) throw ended;
  }

  get #kind() {
    return this.job.event.tag;
  }

  get #connection() {
    return this.job.connection === undefined
      ? undefined
      : this.world.connections.get(this.job.connection);
  }

  /** @param {Item} item */
  #put(item) {
    this.#outbox.push(item);
    this.#bytes += size(item);
    const entries = this.#outbox.length;
    // The real host ends the consumer here. A consumer that catches it fails when it returns.
    if (entries > rules.OUTBOX_MAX)
      this.#break(`an outbox of ${entries} entries, and the limit is ${rules.OUTBOX_MAX}`);
    if (this.#bytes > rules.OUTBOX_BYTES_MAX) {
      this.#break(`an outbox of ${this.#bytes} bytes, and the limit is ${rules.OUTBOX_BYTES_MAX}`);
    }
  }

  /** @type {Fault | undefined} */
  #limit;

  /** @param {string} text */
  #break(text) {
    this.#limit ??= new Fault({ tag: "failed", val: text });
    throw this.#limit;
  }

  /** @param {import("./forms.js").Reply} reply */
  #reply(reply) {
    this.#put({ is: "reply", reply });
  }

  #wrong() {
    rules.refuse("wrong-event", TAKES[this.#kind]);
  }

  /** @param {string} channel */
  #maySend(channel) {
    rules.checkChannel(channel);
    if (/^(http|websocket)\./.test(channel))
      rules.refuse("forbidden", `channel ${channel} belongs to the interface server`);
    const { world } = this;
    if (channel.includes("!") || world.owner(channel) || world.granted.has(channel)) return;
    rules.refuse("forbidden", `channel ${channel} is not declared by module ${world.module}`);
  }

  /** @param {string} group */
  #mayUse(group) {
    rules.checkName(group);
    const { module, granted } = this.world;
    if (/^_(user|session)\./.test(group))
      rules.refuse("forbidden", `group ${group} is one of the host's own; connectionsOf reaches users`);
    if (!group.startsWith(`${module}.`) && !granted.has(group))
      rules.refuse("forbidden", `group ${group} is not under ${module}.`);
  }

  /** @type {Host["send"]} */
  send(channel, content) {
    this.#maySend(channel);
    rules.checkContent(content);
    this.#put({ is: "send", channel, content });
  }

  /** @type {Host["sendLater"]} */
  sendLater(channel, content, delay) {
    this.#maySend(channel);
    rules.checkContent(content);
    if (delay > rules.DELAY_MAX) rules.refuse("invalid-content", "a delay is at most 24 hours");
    this.#put({ is: "send-later", channel, content, delay });
  }

  /** @type {Host["groupAdd"]} */
  groupAdd(group, channel) {
    this.#mayUse(group);
    this.#maySend(channel);
    this.#put({ is: "group-add", group, channel });
  }

  /** @type {Host["groupDiscard"]} */
  groupDiscard(group, channel) {
    this.#mayUse(group);
    this.#maySend(channel);
    this.#put({ is: "group-discard", group, channel });
  }

  /** @type {Host["groupSend"]} */
  groupSend(group, content) {
    this.#mayUse(group);
    rules.checkContent(content);
    this.#put({ is: "group-send", group, content });
  }

  flush() {
    if (this.holding.hasAsked) {
      const val =
        "the run has asked for something of sessions, which is done when it returns; flush before, or return";
      throw rules.refusal({ index: 0, channel: "", reason: { tag: "refused", val } });
    }
    this.storing.flush();
    this.storing.isFinal ||= this.#outbox.length > 0;
    this.#sendOut();
  }

  #sendOut() {
    this.world.commit(this.#outbox.splice(0), this.job);
    this.#bytes = 0;
  }

  /** @type {Host["respond"]} */
  respond(response) {
    if (this.#kind !== "http-request") return this.#wrong();
    rules.checkStatus(response.status);
    rules.checkHeaders(response.headers);
    this.#answer = "done";
    this.#reply({ is: "respond", response });
  }

  /** @type {Host["stream"]} */
  stream(part) {
    if (this.#kind !== "http-request") return this.#wrong();
    if (part.tag === "start" && this.#answer === "none") {
      rules.checkStatus(part.val.status);
      rules.checkHeaders(part.val.headers);
      this.#answer = "streaming";
      this.#reply({ is: "start", head: part.val });
    } else if (part.tag === "chunk" && this.#answer === "streaming") {
      this.#reply({ is: "chunk", chunk: part.val });
    } else if (part.tag === "end" && this.#answer === "streaming") {
      this.#answer = "done";
      this.#reply({ is: "end" });
    } else {
      rules.refuse("wrong-event", "a streamed response is one start, then chunks, then one end");
    }
  }

  /** @type {Host["hold"]} */
  hold(timeout, fallback) {
    if (this.#kind !== "http-request" || this.#answer === "done") return this.#wrong();
    if (timeout > rules.HOLD_MAX) rules.refuse("invalid", "a hold is at most 1 hour");
    if (fallback) {
      rules.checkStatus(fallback.status);
      rules.checkHeaders(fallback.headers);
    }
    this.#reply({ is: "hold", timeout, fallback });
  }

  /** @type {Host["accept"]} */
  accept(handshake) {
    const connection = this.#connection;
    if (this.#kind !== "websocket-connect" || this.#answer !== "none" || !connection)
      return this.#wrong();
    rules.checkHeaders(handshake.headers);
    const { subprotocol } = handshake;
    if (subprotocol !== undefined && !connection.scope.subprotocols.includes(subprotocol)) {
      rules.refuse(
        "invalid",
        `the client did not offer the subprotocol ${JSON.stringify(subprotocol)}`,
      );
    }
    this.#answer = "streaming";
    this.#reply({ is: "accept", handshake });
  }

  /** @type {Host["sendFrame"]} */
  sendFrame(frame) {
    const isOpen = this.#kind === "websocket-receive" || this.#kind === "websocket-disconnect";
    const isAccepted = this.#kind === "websocket-connect" && this.#answer === "streaming";
    if (!isOpen && !isAccepted) return this.#wrong();
    this.#reply({ is: "send", frame });
  }

  /** @type {Host["close"]} */
  close(code, reason) {
    if (!this.#kind.startsWith("websocket-")) return this.#wrong();
    rules.checkClose(code, reason);
    this.#answer = "done";
    this.#reply({ is: "close", close: { code, reason } });
  }

  getScope() {
    return this.#connection?.scope;
  }

  getState() {
    const connection = this.#connection;
    return this.#state ?? (connection instanceof Websocket ? connection.state : undefined);
  }

  /** @type {Host["setState"]} */
  setState(state) {
    if (!(this.#connection instanceof Websocket)) throw rules.refusal({ tag: "no-connection" });
    if (state.length > rules.STATE_MAX)
      throw rules.refusal({ tag: "too-large", val: rules.STATE_MAX });
    this.#state = state;
  }

  /** @type {Host["log"]} */
  log(level, text) {
    this.world.logs.push({ consumer: this.invocation.consumer, level, text });
  }

  now() {
    return this.world.epoch + this.world.now;
  }

  /** @type {Host["variable"]} */
  variable(name) {
    return this.world.environment.get(name);
  }

  /** The consumer has returned. */
  succeed() {
    this.holding.apply(this.#outbox);
    this.#sendOut();
    const connection = this.#connection;
    if (connection instanceof Http && this.#kind === "http-request") {
      connection.afterConsumer();
      if (this.#answer === "none" && !connection.hold) {
        throw new Fault({ tag: "failed", val: "neither answered nor held the request" });
      }
    } else if (connection instanceof Websocket) {
      connection.state = this.#state ?? connection.state;
      if (connection.phase.is === "handshake") connection.phase = { is: "denied", status: 403 };
    }
  }

  /** @param {unknown} error */
  fail(error) {
    const failure = error instanceof Fault ? error.failure : { tag: "failed", val: String(error) };
    const { world, job } = this;
    world.faults.push({ consumer: job.entry.name, text: failure.val });
    const channel = job.connection;
    const connection = this.#connection;
    if (channel === undefined || !connection) return;
    if (connection instanceof Http) {
      if (connection.head) connection.isComplete = true;
      else connection.answer(textResponse(500, "internal error\n"));
    } else if (connection.phase.is === "handshake") {
      connection.phase = { is: "denied", status: 500 };
    } else {
      world.close(channel, { code: failure.tag === "state-unreadable" ? 1012 : 1011, reason: "" });
      return;
    }
    world.groups.leave(channel);
  }
}

/** @param {Item} item */
function size(item) {
  if ("content" in item) return item.content.length;
  if (item.is === "present") return item.facts.length;
  if (item.is !== "reply") return 0;
  const { reply } = item;
  if (reply.is === "send") return Buffer.byteLength(/** @type {string} */ (reply.frame.val));
  if (reply.is === "chunk") return reply.chunk.length;
  return reply.is === "respond" ? reply.response.body.length : 0;
}
