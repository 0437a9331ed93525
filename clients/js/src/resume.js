/** Resuming: a connection that was lost goes on where it stopped, if the host still has it. */

import { copy, size } from "./queue.js";
import { EXPIRED } from "./token.js";

/** The subprotocol that says that the client can resume. With a token and a count it asks for it. */
const ENTRY = "tidegate.resume";

/** The start of the host's first frame on a connection that offered the entry. */
const MARK = '{"tidegate":"connection"';

/** Messages that are kept in case the host has not read them. */
const KEPT_MAX = 1_000;

/** After these close codes the host keeps the connection: it broke, or the user needs another token. */
const LOST = [1006, EXPIRED];

/** @typedef {import("./queue.js").Data} Data */

/**
 * @typedef {object} Start
 * @property {boolean} resumed whether the connection before goes on
 * @property {Data[]} again messages to send again, since the host has not read them
 * @property {number} lost how many more it has not read, which are not kept any more
 */

/**
 * Counts the messages of one connection, over all WebSockets that carry it, and keeps the latest that were sent.
 */
export class Resume {
  #isWanted;
  #bytesMax;
  /** @type {string | undefined} */
  #token = undefined;
  /** Whether the next frame may be the host's first one. */
  #isFirst = false;
  #received = 0;
  #sent = 0;
  /** The latest messages that were sent. @type {{ data: Data, bytes: number }[]} */
  #kept = [];
  #bytes = 0;

  /**
   * @param {boolean} isWanted
   * @param {number} bytesMax bytes of the messages that are kept
   */
  constructor(isWanted, bytesMax) {
    this.#isWanted = isWanted;
    this.#bytesMax = bytesMax;
  }

  /** The entry of the subprotocols; `undefined` for none. */
  get entry() {
    if (!this.#isWanted) return undefined;
    return this.#token === undefined ? ENTRY : `${ENTRY}.${this.#token}.${this.#received}`;
  }

  /** Whether the next WebSocket asks to resume, so that its first frame has to come before it counts as open. */
  get isAsking() {
    return this.#token !== undefined;
  }

  /**
   * A WebSocket is open.
   *
   * @param {unknown} [first] the first frame, if it was waited for
   * @returns {Start}
   */
  begin(first) {
    const told = decode(first);
    const resumed = told?.resumed === true && this.isAsking;
    this.#isFirst = this.#isWanted;
    if (!resumed) {
      this.#received = this.#sent = 0;
      this.forget();
      return { resumed, again: [], lost: 0 };
    }
    const unread = Math.max(0, this.#sent - told.received);
    const lost = Math.max(0, unread - this.#kept.length);
    while (this.#kept.length > unread) this.#drop();
    // The host counts the messages that it reads, and so never those that are lost.
    this.#sent = told.received + this.#kept.length;
    return { resumed, again: this.#kept.map(({ data }) => data), lost };
  }

  /**
   * A frame came.
   *
   * @param {unknown} data
   * @returns {boolean} whether it is the host's own, and no message
   */
  takes(data) {
    const told = this.#isFirst ? decode(data) : undefined;
    const isFirst = this.#isFirst;
    this.#isFirst = false;
    if (told) this.#token = isToken(told.token) ? told.token : undefined;
    else this.#received += 1;
    if (isFirst && !this.isAsking) this.forget();
    return told !== undefined;
  }

  /**
   * A message is about to be sent.
   *
   * @param {Data} data
   */
  sends(data) {
    if (!this.#isFirst && !this.isAsking) return;
    const bytes = size(data);
    this.#sent += 1;
    this.#kept.push({ data: copy(data), bytes });
    this.#bytes += bytes;
    while (this.#kept.length > KEPT_MAX || this.#bytes > this.#bytesMax) this.#drop();
  }

  /**
   * The WebSocket ended, or the attempt to open one.
   *
   * @param {number} code
   */
  ended(code) {
    if (!LOST.includes(code)) this.forget();
  }

  /** The connection cannot be resumed any more. */
  forget() {
    this.#token = undefined;
    this.#kept = [];
    this.#bytes = 0;
  }

  #drop() {
    this.#bytes -= this.#kept.shift()?.bytes ?? 0;
  }
}

/**
 * @param {unknown} given
 * @returns {boolean} whether it may be a part of the entry
 */
function isToken(given) {
  return typeof given === "string" && /^[\w-]+$/.test(given);
}

/**
 * Reads the host's first frame. None: it is a message.
 *
 * @param {unknown} data
 * @returns {any}
 */
function decode(data) {
  if (typeof data !== "string" || !data.startsWith(MARK)) return undefined;
  try {
    const told = JSON.parse(data);
    return typeof told.resumed === "boolean" && Number.isInteger(told.received) ? told : undefined;
  } catch {
    return undefined;
  }
}
