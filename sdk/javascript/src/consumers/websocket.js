/** Consumers of WebSocket connections. */

import { ACCESS_OPTIONS, readAccess } from "../access.js";
import { bytes, integer, kind, text } from "../bytes.js";
import { DeclarationError, HttpError } from "../errors.js";
import { readHistory } from "../history.js";
import { Close } from "../messages.js";
import { BadParam, checkReaders, readParams } from "../params.js";
import { readPresence } from "../presence.js";
import { Response, fields } from "../response.js";
import { checkFunction, checkPath, readGuards, readOptions } from "../route.js";
import { Scope } from "../scope.js";
import { after } from "../settle.js";
import { Socket } from "../socket.js";
import { StateUnreadable } from "../errors.js";
import * as states from "../state.js";

/** @typedef {import("../types.js").Run} Run */
/** @typedef {import("../types.js").Consumer} Consumer */
/** @typedef {import("../types.js").WebsocketConsumer<string, any, any, any>} Declared */

const FUNCTIONS = ["state", "migrate", "groups", "connect", "receive", "disconnect"];
const OPTIONS = [
  "params",
  "host",
  "headers",
  ...ACCESS_OPTIONS,
  "presence",
  "history",
  "resume",
  "schema",
  "incoming",
  ...FUNCTIONS,
];

/** The time for which the host keeps a connection whose client was lost, in milliseconds. */
const RESUME_MIN = 1000;
const RESUME_MAX = 600_000;
/** A message that does not read closes the connection with this code. */
const UNREADABLE = 4400;
const REASON_MAX = 123;

/**
 * Makes a consumer of WebSocket connections.
 *
 * ```js
 * websocket("/chat/{room}", {
 *   state: () => ({ lines: 0 }),
 *   groups: ({ room }) => [room],
 *   receive(socket, line) {
 *     socket.setState({ lines: socket.state.lines + 1 });
 *     socket.groupSend(socket.params.room, Frame.text(line));
 *   },
 * })
 * ```
 *
 * Events of one connection come one after another, in order. Each may meet a new version of the
 * module and an empty memory: what a connection has to remember is its state.
 *
 * @template {string} Path
 * @template {import("../types.js").Parsers<Path>} [Readers={}]
 * @template [State=undefined]
 * @template {import("../types.js").Incoming | undefined} [I=undefined]
 * @param {Path} path
 * @param {import("../types.js").WebsocketConsumer<Path, Readers, State, I>} consumer
 * @returns {Consumer}
 * @throws {DeclarationError} the path or an option is wrong
 */
export function websocket(path, consumer) {
  const names = checkPath(path);
  const what = `websocket(${JSON.stringify(path)})`;
  const declared = /** @type {Declared} */ (readOptions(consumer, OPTIONS, what));
  for (const name of FUNCTIONS)
    checkFunction(/** @type {any} */ (declared)[name], `${what}: ${name}`);
  const readers = checkReaders(declared.params, names, what);
  const schema = integer(declared.schema ?? 1, `${what}: schema`, 0, 0xffff_ffff);
  const read = reader(declared.incoming, what);
  return {
    trigger: { tag: "websocket", val: { path, guards: readGuards(declared, what) } },
    access: readAccess(declared, what),
    presence: readPresence(declared.presence, what),
    history: readHistory(declared.history, what),
    resume: readResume(declared.resume, what),
    run(run, event) {
      switch (event.tag) {
        case "websocket-connect":
          return connect(run, event.val.scope, declared, readers, schema);
        case "websocket-receive":
          return receive(
            open(run, event.val, declared, readers, schema),
            event.val.frame.val,
            declared,
            read,
          );
        case "websocket-disconnect": {
          const { code, reason } = event.val;
          const socket = open(run, event.val, declared, readers, schema);
          return declared.disconnect?.(socket, new Close(code, reason));
        }
        default:
          throw new Error(`the consumer is made for WebSockets and not for ${event.tag}`);
      }
    },
  };
}

/**
 * @param {unknown} resume
 * @param {string} what
 * @returns {number | undefined}
 * @throws {TypeError | RangeError}
 */
function readResume(resume, what) {
  if (resume === undefined) return undefined;
  return integer(resume, `${what}: resume, in milliseconds,`, RESUME_MIN, RESUME_MAX);
}

/**
 * @param {Run} run
 * @param {import("../types.js").WireScope} wire
 * @param {Declared} declared
 * @param {import("../params.js").Readers} readers
 * @param {number} schema
 */
function connect(run, wire, declared, readers, schema) {
  let params;
  try {
    params = readParams(wire.pathParams, readers);
  } catch (error) {
    if (error instanceof BadParam || error instanceof HttpError) return deny(run);
    throw error;
  }
  const scope = new Scope(wire);
  const first = declared.state?.(params);
  const socket = new Socket(
    run,
    { replyChannel: wire.replyChannel, scope, params },
    { value: first, schema },
    false,
  );
  return after(
    () => declared.connect?.(socket),
    (answer) => {
      if (answer === false) return deny(run);
      if (socket.state === first && first !== undefined && first !== null) socket.setState(first);
      accept(run, socket, answer, declared.groups?.(params) ?? []);
    },
    (error) => {
      if (error instanceof HttpError || error instanceof Response) return deny(run);
      throw error;
    },
  );
}

/** @param {Run} run */
function deny(run) {
  run.host.close(1000, "");
}

/**
 * Whoever is let in is in the groups before the client knows of it.
 *
 * @param {Run} run
 * @param {Socket<any, any>} socket
 * @param {unknown} answer
 * @param {Iterable<string | import("../group.js").Group>} groups
 */
function accept(run, socket, answer, groups) {
  const handshake = readHandshake(answer);
  for (const group of groups) socket.groupAdd(group);
  socket.accept(() => run.host.accept(handshake));
}

/**
 * @param {unknown} answer
 * @returns {{ subprotocol: string | undefined, headers: import("../types.js").WireHeader[] }}
 */
function readHandshake(answer) {
  if (answer === undefined || answer === true) return { subprotocol: undefined, headers: [] };
  if (typeof answer !== "object" || answer === null) {
    throw new TypeError(
      `connect returned ${kind(answer)}: return nothing, false to deny, or { subprotocol, headers }`,
    );
  }
  const { subprotocol, headers, ...others } = /** @type {any} */ (answer);
  const [other] = Object.keys(others);
  if (other !== undefined)
    throw new TypeError(`connect returned \`${other}\`: a handshake has subprotocol and headers`);
  const listed = [...fields(headers)].map(([name, value]) => ({
    name: text(name, "the name of a header field"),
    value: bytes(value, `the header field \`${name}\``),
  }));
  return {
    subprotocol: subprotocol === undefined ? undefined : text(subprotocol, "the subprotocol"),
    headers: listed,
  };
}

/**
 * @param {Run} run
 * @param {import("../types.js").Connected} event
 * @param {Declared} declared
 * @param {import("../params.js").Readers} readers
 * @param {number} schema
 * @returns {Socket<any, any>}
 */
function open(run, event, declared, readers, schema) {
  let params;
  try {
    params = readParams(event.pathParams, readers);
  } catch (error) {
    // Another version, with other parameters, opened the connection.
    throw new StateUnreadable(/** @type {Error} */ (error).message);
  }
  const kept = declared.state ? run.host.getState() : undefined;
  const value = kept ? states.read(kept, schema, declared.migrate) : declared.state?.(params);
  return new Socket(run, { replyChannel: event.replyChannel, params }, { value, schema }, true);
}

/**
 * @param {Socket<any, any>} socket
 * @param {string | Uint8Array} frame
 * @param {Declared} declared
 * @param {(frame: string | Uint8Array) => unknown} read
 */
function receive(socket, frame, declared, read) {
  let message;
  try {
    message = read(frame);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    socket.close(UNREADABLE, short(reason));
    return;
  }
  return declared.receive?.(socket, message);
}

/**
 * The part of a reason that fits into a close frame.
 *
 * @param {string} reason
 */
function short(reason) {
  let kept = "";
  let size = 0;
  for (const character of reason) {
    size += bytes(character, "").length;
    if (size > REASON_MAX) break;
    kept += character;
  }
  return kept;
}

/**
 * @param {unknown} incoming
 * @param {string} what
 * @returns {(frame: string | Uint8Array) => unknown}
 */
function reader(incoming, what) {
  switch (incoming) {
    case undefined:
      return (frame) => frame;
    case "text":
      return textOf;
    case "binary":
      return binaryOf;
    case "json":
      return (frame) => JSON.parse(textOf(frame));
    default:
      if (typeof incoming === "function") return /** @type {any} */ (incoming);
      throw new DeclarationError(
        `${what}: incoming is ${kind(incoming)}: give "text", "binary", "json" or a function`,
      );
  }
}

/** @param {string | Uint8Array} frame */
function textOf(frame) {
  if (typeof frame === "string") return frame;
  throw new TypeError("expected a text message");
}

/** @param {string | Uint8Array} frame */
function binaryOf(frame) {
  if (typeof frame !== "string") return frame;
  throw new TypeError("expected a binary message");
}
