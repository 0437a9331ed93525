/** One connection of the test host, and what replies do to it. */

/** @typedef {import("./forms.js").Reply} Reply */
/** @typedef {import("../types.js").WireHeader} WireHeader */
/** @typedef {import("../types.js").WireResponse} WireResponse */
/** @typedef {import("../app.js").Entry} Entry */

/** @param {string} text @returns {WireHeader[]} */
const plainText = (text) => [{ name: "content-type", value: Buffer.from(text) }];

/**
 * @param {number} status
 * @param {string} body
 * @param {WireHeader[]} [headers]
 * @returns {WireResponse}
 */
export function textResponse(status, body, headers = []) {
  return {
    status,
    headers: [...plainText("text/plain; charset=utf-8"), ...headers],
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
    this.head = { status, headers };
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
    else if (reply.is === "start" && !this.head) this.head = reply.head;
    else if (reply.is === "chunk" && this.head) this.body.push(reply.chunk);
    else if (reply.is === "end" && this.head) this.isComplete = true;
    else if (reply.is === "hold")
      this.hold = { until: now + reply.timeout, fallback: reply.fallback };
    else return "an HTTP request takes no such message now";
    return undefined;
  }

  /** The consumer has returned. */
  afterConsumer() {
    if (this.head && !this.hold) this.isComplete = true;
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
