/** WebSocket clients of the test host. */

import { frame } from "../messages.js";
import { Websocket } from "./connection.js";
import { clientHeaders, makeScope } from "./http.js";
import { findWebsocket } from "./routes.js";
import { admit, readUser } from "./users.js";

/** @typedef {import("./world.js").World} World */

/** The handshake was turned down. */
export class Denied extends Error {
  /**
   * @param {number} status 401 without a user where one is asked for, 403 when the user has other claims,
   *   the consumer denied it or there is none, 500 after a fault
   */
  constructor(status) {
    super(`the handshake was denied with status ${status}`);
    this.name = "Denied";
    this.status = status;
  }
}

/**
 * @param {World} world
 * @param {() => Promise<void>} settle
 * @param {string} path
 * @param {import("./host.js").WebsocketOptions} options
 * @returns {Promise<TestSocket>}
 * @throws {Denied}
 */
export async function connect(world, settle, path, options) {
  const { subprotocols = [] } = options;
  const came = clientHeaders(options);
  const { headers, user, session } = world.sessions.lookUp(came, readUser(options), world.seconds);
  const correlation = world.nextId();
  const channel = `test!${correlation}`;
  const scope = makeScope(channel, "GET", "ws", path, headers);
  scope.subprotocols = subprotocols;
  const found = findWebsocket(world.app.entries, scope);
  if (found.is !== "route") throw new Denied(403);
  const admitted = admit(found.entry, user);
  if ("status" in admitted) throw new Denied(admitted.status);
  scope.pathParams = found.params;
  const socket = new Websocket(found.entry, scope);
  socket.user = admitted.user;
  if (found.entry.access) socket.session = session;
  world.connections.set(channel, socket);
  const event = /** @type {const} */ ({ tag: "websocket-connect", val: { scope } });
  world.queue.push({ entry: found.entry, event, connection: channel, correlation });
  await settle();
  if (socket.phase.is === "denied") throw new Denied(socket.phase.status);
  if (socket.phase.is === "handshake") throw new Denied(403);
  return new TestSocket(
    world,
    settle,
    socket,
    socket.phase.is === "open" ? socket.phase.handshake : undefined,
  );
}

/** A WebSocket client. */
export class TestSocket {
  #world;
  #settle;
  #socket;
  #handshake;

  /**
   * @param {World} world
   * @param {() => Promise<void>} settle
   * @param {Websocket} socket
   * @param {{ subprotocol: string | undefined, headers: import("../types.js").WireHeader[] } |
   *   undefined} handshake
   */
  constructor(world, settle, socket, handshake) {
    this.#world = world;
    this.#settle = settle;
    this.#socket = socket;
    this.#handshake = handshake;
  }

  /**
   * Sends a message.
   *
   * @param {string | Uint8Array | import("../messages.js").Frame} message text, or bytes for a
   *   binary message
   * @throws {Error} the connection is closed
   */
  async send(message) {
    const { closed } = this;
    if (closed)
      throw new Error(
        `the connection is closed with code ${closed.code} ${JSON.stringify(closed.reason)}`,
      );
    const socket = this.#socket;
    const { replyChannel, path, pathParams } = socket.scope;
    socket.order += 1;
    if (!socket.entry) return;
    const val = {
      replyChannel,
      path,
      pathParams,
      order: socket.order,
      frame: frame(message, "the message").toWire(),
    };
    const correlation = this.#world.nextId();
    this.#world.queue.push({
      entry: socket.entry,
      event: { tag: "websocket-receive", val },
      connection: replyChannel,
      correlation,
    });
    await this.#settle();
  }

  /**
   * Sends a text message that holds a value as JSON.
   *
   * @param {unknown} value
   */
  sendJson(value) {
    return this.send(JSON.stringify(value));
  }

  /**
   * Takes the next message.
   *
   * @returns {string | Uint8Array | undefined} `undefined` if none has come
   */
  receive() {
    return this.#socket.frames.shift()?.val;
  }

  /**
   * Takes the next message, which must be text that holds JSON.
   *
   * @returns {any}
   * @throws {Error} it is not
   */
  receiveJson() {
    const message = this.receive();
    if (typeof message !== "string") throw new Error(`the next message is no text: ${message}`);
    return JSON.parse(message);
  }

  /** Closes the connection. @param {number} [code] */
  async close(code = 1000) {
    this.#world.close(this.replyChannel, { code, reason: "" });
    await this.#settle();
  }

  /** Breaks the connection: the consumer gets close code 1006. */
  async drop() {
    await this.close(1006);
  }

  /** How the connection ended; `undefined` while it is open. */
  get closed() {
    return this.#socket.phase.is === "closed" ? this.#socket.phase.close : undefined;
  }

  /** The connection's own channel, for `send` of the host. */
  get replyChannel() {
    return this.#socket.scope.replyChannel;
  }

  /** The subprotocol that the module chose. */
  get subprotocol() {
    return this.#handshake?.subprotocol;
  }

  /**
   * The first header field of that name in the handshake's response.
   *
   * @param {string} name in any case
   * @returns {string | undefined}
   */
  header(name) {
    const found = this.#handshake?.headers.find(
      (header) => header.name.toLowerCase() === name.toLowerCase(),
    );
    return found && Buffer.from(found.value).toString();
  }
}
