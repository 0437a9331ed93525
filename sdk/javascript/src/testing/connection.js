/** One connection of the test host, and what replies do to it. */

import { lossy } from "../bytes.js";

/** @typedef {import("./forms.js").Reply} Reply */
/** @typedef {import("../types.js").WireHeader} WireHeader */
/** @typedef {import("../types.js").WireResponse} WireResponse */
/** @typedef {import("../app.js").Entry} Entry */

/** @param {string} name @param {string} value @returns {WireHeader} */
const field = (name, value) => ({ name, value: Buffer.from(value) });

/**
 * @param {number} status
 * @param {string} body
 * @param {WireHeader[]} [headers]
 * @returns {WireResponse}
 */
export function textResponse(status, body, headers = []) {
  return {
    status,
    headers: [field("content-type", "text/plain; charset=utf-8"), ...headers],
    body: Buffer.from(body),
  };
}

/** An HTTP request and its response so far. */
export class Http {
  /** @type {{ status: number, headers: WireHeader[] } | undefined} */
  head;
  /** @type {Uint8Array[]} */
  body = [];
  isComplete = false;
  /** The client left before the response was complete. */
  hasLeft = false;
  /** @type {{ until: number, fallback: WireResponse | undefined } | undefined} */
  hold;
  /** @type {import("../types.js").WireUser | undefined} */
  user;
  /** None where nobody has looked. @type {import("./sessions.js").Lookup | undefined} */
  session;
  /** Where it stands in the history of a group. @type {string | undefined} */
  #position;
  #hasGap = false;
  /** Parts of a stream of events that came before its head. @type {Uint8Array[]} */
  #early = [];

  /**
   * @param {Entry | undefined} entry none for a request that found no consumer
   * @param {import("../types.js").WireScope} scope
   */
  constructor(entry, scope) {
    this.entry = entry;
    this.scope = scope;
  }

  get isAlive() {
    return !this.isComplete && !this.hasLeft;
  }

  /** @param {WireResponse} response */
  answer({ status, headers, body }) {
    const places = this.#position === undefined ? [] : [field("tidegate-position", this.#position)];
    if (this.#hasGap) places.push(field("tidegate-complete", "false"));
    this.head = { status, headers: [...headers, ...places] };
    this.body = [body];
    this.isComplete = true;
  }

  /**
   * @param {Reply} reply
   * @param {boolean} _fromGroup
   * @param {number} now
   * @returns {string | undefined} why it reached nobody
   */
  apply(reply, _fromGroup, now) {
    if (!this.isAlive) return "the request is answered or gone";
    if (reply.is === "respond" && !this.head) this.answer(reply.response);
    else if (reply.is === "start" && !this.head) this.#start(reply.head);
    else if (reply.is === "chunk" && this.head) this.body.push(reply.chunk);
    else if (reply.is === "end" && this.head) this.isComplete = true;
    else if (reply.is === "hold")
      this.hold = { until: now + reply.timeout, fallback: reply.fallback };
    else if (reply.is === "close" && this.hold) this.expire();
    else return "an HTTP request takes no such message now";
    return undefined;
  }

  /** @param {{ status: number, headers: WireHeader[] }} head */
  #start(head) {
    this.head = head;
    if (this.#isEventStream) this.body.push(...this.#early.splice(0));
  }

  get #isEventStream() {
    return (this.head?.headers ?? []).some(
      ({ name, value }) =>
        name.toLowerCase() === "content-type" && /^text\/event-stream/.test(lossy(value)),
    );
  }

  /**
   * Notes from where on it gets all messages of a group.
   *
   * @param {string} group
   * @param {string} position
   * @param {boolean} isComplete
   */
  stand(group, position, isComplete) {
    this.#position = position;
    this.#hasGap ||= !isComplete;
    const place = `id: ${position}\n`;
    this.#tell(isComplete ? `${place}\n` : `event: tidegate-gap\n${place}data: ${group}\n\n`);
  }

  /**
   * Notes the position of a message.
   *
   * @param {Reply} reply
   * @param {string} position
   * @returns {Reply | undefined} what is left to do of it
   */
  numbered(reply, position) {
    if (reply.is === "chunk" && (!this.head || this.#isEventStream)) {
      this.#tell(`id: ${position}\n`, reply.chunk);
      return undefined;
    }
    if (!this.isComplete) this.#position = position;
    return reply;
  }

  /** @param {...(string | Uint8Array)} parts of an event of a stream */
  #tell(...parts) {
    const event = Buffer.concat(parts.map((part) => Buffer.from(part)));
    if (!this.head) this.#early.push(event);
    else if (this.#isEventStream && !this.isComplete) this.body.push(event);
  }

  /** The consumer has returned. */
  afterConsumer() {
    if (this.head && !this.hold) this.isComplete = true;
    // It must not wait for the next message.
    if (!this.head && this.hold && this.#hasGap)
      this.answer({ status: 204, headers: [], body: new Uint8Array() });
  }

  /** The hold is over. */
  expire() {
    const fallback = this.hold?.fallback;
    this.hold = undefined;
    if (this.head) this.isComplete = true;
    else this.answer(fallback ?? textResponse(504, "timed out\n"));
  }
}

/**
 * @typedef {{ is: "handshake" }
 *   | { is: "denied", status: number }
 *   | { is: "open", handshake: { subprotocol: string | undefined, headers: WireHeader[] } }
 *   | { is: "closed", close: { code: number, reason: string } }} Phase
 */

/** A WebSocket, and what its client has not taken yet. */
export class Websocket {
  /** @type {Phase} */
  phase = { is: "handshake" };
  /** @type {Uint8Array | undefined} */
  state;
  order = 0;
  /** @type {import("../types.js").WireUser | undefined} */
  user;
  /** None where nobody has looked. @type {import("./sessions.js").Lookup | undefined} */
  session;
  /** @type {import("../types.js").WireFrame[]} */
  frames = [];
  /** What came from the layer before the handshake was answered. @type {Reply[]} */
  #waiting = [];

  /**
   * @param {Entry | undefined} entry none where a new version has no such consumer
   * @param {import("../types.js").WireScope} scope
   */
  constructor(entry, scope) {
    this.entry = entry;
    this.scope = scope;
  }

  get isAlive() {
    return this.phase.is === "handshake" || this.phase.is === "open";
  }

  /**
   * @param {Reply} reply
   * @param {boolean} fromGroup
   * @returns {string | undefined} why it reached nobody
   */
  apply(reply, fromGroup) {
    const { is } = this.phase;
    if (reply.is === "accept") {
      if (is === "handshake" && !fromGroup) {
        this.phase = { is: "open", handshake: reply.handshake };
        for (const waiting of this.#waiting.splice(0)) this.apply(waiting, false);
      }
      return undefined;
    }
    if (is === "handshake") {
      if ((reply.is === "deny" || reply.is === "close") && !fromGroup)
        this.phase = { is: "denied", status: 403 };
      else if (reply.is === "send" || reply.is === "close") this.#waiting.push(reply);
      else return "a WebSocket takes no such message now";
      return undefined;
    }
    if (is !== "open") return "the connection is closed";
    if (reply.is === "send") this.frames.push(reply.frame);
    else if (reply.is === "close") this.phase = { is: "closed", close: reply.close };
    else return "a WebSocket takes no such message now";
    return undefined;
  }
}
