/** A WebSocket connection, as its consumer sees it. */

import { integer, text } from "./bytes.js";
import { keeping, replying } from "./calls.js";
import { Context } from "./context.js";
import { Frame, frame } from "./messages.js";
import * as states from "./state.js";

/** @typedef {import("./types.js").Run} Run */
/** @typedef {import("./types.js").Message} Message */

/**
 * A WebSocket connection. It can do what a `Context` can, too.
 *
 * @template {Record<string, any>} [Params=Record<string, string>]
 * @template [State=any]
 */
export class Socket extends Context {
  /** @type {Run} */
  #run;
  /** @type {State} */
  #state;
  #schema;
  /** What waits for the acceptance of the handshake. @type {(() => void)[] | undefined} */
  #pending;

  /**
   * @param {Run} run
   * @param {{ replyChannel: string, scope?: import("./scope.js").Scope, params: Params }}
   *   connection
   * @param {{ value: State, schema: number }} state
   * @param {boolean} isOpen whether the handshake is accepted
   */
  constructor(run, connection, state, isOpen) {
    super(run, connection.replyChannel, connection.scope);
    this.#run = run;
    this.#state = state.value;
    this.#schema = state.schema;
    this.#pending = isOpen ? undefined : [];
    /** What each `{name}` of the route's path stands for. @type {Params} */
    this.params = connection.params;
  }

  /** The facts of the connection. @returns {import("./scope.js").Scope} */
  get scope() {
    const scope = super.scope;
    if (!scope) throw new Error("the host knows nothing of this connection");
    return scope;
  }

  /** The connection's state. Changes to it are kept by `setState` alone. */
  get state() {
    return this.#state;
  }

  /**
   * Keeps a state for the connection's next event. A fault leaves the old one alone.
   *
   * @param {State} state at most 16 KiB as MessagePack
   * @throws {import("./errors.js").ReplyError} it is too large
   * @throws {TypeError} it has a value that cannot be kept, such as a function
   */
  setState(state) {
    const written = states.write(state, this.#schema);
    keeping(() => this.#run.host.setState(written), written.length);
    this.#state = state;
  }

  /**
   * With one argument, sends a message to the client. With two, sends a message to a channel, as
   * `send` of a `Context`.
   *
   * @overload
   * @param {string | Uint8Array | ArrayBuffer | Frame} message text, or bytes for a binary message
   * @returns {void}
   */
  /**
   * @overload
   * @param {string} channel
   * @param {Message} message
   * @returns {void}
   */
  /**
   * @param {any} target
   * @param {any} [message]
   */
  send(target, message) {
    if (arguments.length > 1) return super.send(target, message);
    const wire = frame(target, "the message of send").toWire();
    this.#put(() => this.#run.host.sendFrame(wire));
  }

  /**
   * Sends a text message that holds a value as JSON.
   *
   * @param {unknown} value
   * @throws {TypeError} JSON cannot hold the value
   */
  sendJson(value) {
    this.send(Frame.json(value));
  }

  /**
   * Sends a text message that holds a value as JSON to every member of a group.
   *
   * @param {string | import("./group.js").Group} group
   * @param {unknown} value
   * @throws {TypeError} JSON cannot hold the value
   * @throws {import("./errors.js").SendError} the host refuses it
   */
  groupSendJson(group, value) {
    this.groupSend(group, Frame.json(value));
  }

  /**
   * Closes the connection.
   *
   * @param {number} [code] 1000, or 3000 to 4999; 1000 if not given
   * @param {string} [reason] at most 123 bytes
   * @throws {import("./errors.js").ReplyError} the code or the reason may not be sent
   */
  close(code = 1000, reason = "") {
    const number = integer(code, "a close code", 1000, 4999);
    const words = text(reason, "the reason of a close");
    this.#put(() => this.#run.host.close(number, words));
  }

  /**
   * The handshake is accepted: what was sent meanwhile goes out. For the SDK alone.
   *
   * @param {() => void} accept
   */
  accept(accept) {
    replying(accept);
    const pending = this.#pending ?? [];
    this.#pending = undefined;
    for (const call of pending) replying(call);
  }

  /** @param {() => void} call */
  #put(call) {
    if (this.#pending) this.#pending.push(call);
    else replying(call);
  }
}
