/** Messages that are sent later, and that can be replaced and cancelled until then. */

import { kind, milliseconds, text } from "./bytes.js";
import { timing } from "./calls.js";
import { packMessage } from "./content.js";

/** @typedef {import("./types.js").StoringHost} StoringHost */
/** @typedef {import("./types.js").Message} Message */

/**
 * The timer of a key: `cx.timer(key)`.
 *
 * A timer is part of the transaction of its run: it is set when the run commits, and not if the run
 * fails. It waits in the store of the module, up to a year, and outlives processes and versions. When
 * it is due its message is sent; a channel that is full keeps it waiting.
 */
export class Timer {
  #host;
  #key;

  /**
   * @param {StoringHost} host
   * @param {string} key
   */
  constructor(host, key) {
    this.#host = host;
    this.#key = key;
  }

  /**
   * Sends a message to a channel at a moment, in place of the one that waits under the same key.
   *
   * @param {string} channel one that this module declares, or that it is granted
   * @param {Message} message
   * @param {Date | number} moment a Date, or milliseconds since 1970, at most a year ahead; one in
   *   the past is due at once
   * @throws {import("./errors.js").TimerError} the host refuses it
   */
  sendAt(channel, message, moment) {
    sendAt(this.#host, this.#key, channel, message, moment);
  }

  /**
   * Sends a message to a channel so long after the commit, in place of the one that waits under the
   * same key.
   *
   * @param {string} channel one that this module declares, or that it is granted
   * @param {Message} message
   * @param {number} delay in milliseconds, at most a year
   * @throws {import("./errors.js").TimerError} the host refuses it
   */
  sendLater(channel, message, delay) {
    const val = milliseconds(delay, "the delay of sendLater");
    put(this.#host, this.#key, channel, message, "sendLater", { tag: "after", val });
  }

  /**
   * Cancels what waits under the key. Without it, it does nothing.
   *
   * @throws {import("./errors.js").TimerError} the host refuses it
   */
  cancel() {
    timing(() => this.#host.cancelTimer(this.#key));
  }
}

/**
 * @param {StoringHost} host
 * @param {string | undefined} key
 * @param {string} channel
 * @param {Message} message
 * @param {Date | number} moment
 */
export function sendAt(host, key, channel, message, moment) {
  const at = moment instanceof Date ? moment.getTime() : moment;
  if (typeof at !== "number") {
    throw new TypeError(
      `the moment of sendAt is ${kind(moment)}: give a Date, or milliseconds since 1970`,
    );
  }
  if (!Number.isSafeInteger(Math.ceil(at))) {
    throw new RangeError(`the moment of sendAt is ${at}: give a Date that is valid`);
  }
  put(host, key, channel, message, "sendAt", { tag: "at", val: Math.ceil(at) });
}

/**
 * @param {StoringHost} host
 * @param {string | undefined} key
 * @param {string} channel
 * @param {Message} message
 * @param {string} what the method, for errors
 * @param {import("./types.js").WireMoment} due
 */
function put(host, key, channel, message, what, due) {
  const content = packMessage(message, what);
  const name = text(channel, `the channel of ${what}`);
  timing(() => host.setTimer(key, name, content, due));
}
