/** The connections of a user. */

import { integer, text } from "./bytes.js";
import { reaching } from "./calls.js";
import { packMessage } from "./content.js";

/** @typedef {import("./types.js").ReachingHost} ReachingHost */

/**
 * The connections of a user to this module, over all processes: open WebSockets, from their handshake on, and requests
 * on hold. `cx.connectionsOf` makes one.
 *
 * The host notes whose a connection is where its consumer has the option `user` or `claims`.
 *
 * ```js
 * const theirs = cx.connectionsOf("ada");
 * theirs.send(Frame.text("a parcel has come"));
 * cx.info(`told ${theirs.count()} tabs`);
 * ```
 */
export class UserConnections {
  /** @type {ReachingHost} */
  #host;
  #user;

  /**
   * @param {ReachingHost} host
   * @param {string} user
   * @throws {TypeError} the id is not text
   */
  constructor(host, user) {
    this.#host = host;
    this.#user = text(user, "the user of connectionsOf");
  }

  /**
   * Sends a message to all of them. It waits in the outbox, in order with all that the consumer sends. Nobody gets it
   * where there is no connection.
   *
   * @param {import("./types.js").Message} message as in `groupSend`: a Frame, a Response or a Close
   * @throws {import("./errors.js").OnlineError} the host refuses the id of the user or the message
   * @throws {TypeError} the message is not an object with text keys
   */
  send(message) {
    const content = packMessage(message, "send");
    reaching(() => this.#host.send(this.#user, content));
  }

  /**
   * Closes all of them, in order with all that the consumer sends. WebSockets get the code and the reason. Requests on
   * hold end as if their time were over.
   *
   * @param {number} [code] 1000, or 3000 to 4999; 1000 if not given
   * @param {string} [reason] at most 123 bytes
   * @throws {import("./errors.js").OnlineError} the host refuses the id of the user, the code or the reason
   * @throws {TypeError | RangeError} a value has the wrong type, or is out of range
   */
  close(code = 1000, reason = "") {
    const number = integer(code, "a close code", 1000, 4999);
    const words = text(reason, "the reason of a close");
    reaching(() => this.#host.close(this.#user, number, words));
  }

  /**
   * Counts them. The outbox of this run has not been sent yet. The call asks the layer, and waits for it.
   *
   * @returns {number}
   * @throws {import("./errors.js").OnlineError} the host refuses the id of the user, or the layer does not answer
   */
  count() {
    return reaching(() => this.#host.count(this.#user));
  }
}
