/** What a message to a reply channel asks for: the messages of ASGI 3 and the forms of Channels 1. */

import { unpack } from "../content.js";
import { checkClose, checkHeaders, checkStatus } from "./rules.js";

/** @typedef {import("../types.js").WireHeader} WireHeader */
/** @typedef {import("../types.js").WireResponse} WireResponse */
/** @typedef {import("../types.js").WireFrame} WireFrame */

/**
 * Something that happens to a connection.
 *
 * @typedef {{ is: "accept", handshake: { subprotocol: string | undefined, headers: WireHeader[] } }
 *   | { is: "deny" }
 *   | { is: "send", frame: WireFrame }
 *   | { is: "close", close: { code: number, reason: string } }
 *   | { is: "respond", response: WireResponse }
 *   | { is: "start", head: { status: number, headers: WireHeader[] } }
 *   | { is: "chunk", chunk: Uint8Array }
 *   | { is: "end" }
 *   | { is: "hold", timeout: number, fallback: WireResponse | undefined }} Reply
 */

/**
 * The replies that the content of a message stands for.
 *
 * @param {Uint8Array} content
 * @returns {Reply[]}
 * @throws {Error} it stands for none; the message says why
 */
export function readReplies(content) {
  const fields = /** @type {Record<string, unknown>} */ (unpack(content));
  try {
    const type = text(fields, "type");
    return type === undefined ? channels1(fields) : typed(type, fields);
  } catch (error) {
    const refused = /** @type {{ payload?: { val: string } }} */ (error).payload;
    throw refused ? new Error(refused.val) : error;
  }
}

/**
 * Whether a message is only for connections that are there now: histories do not keep it.
 *
 * @param {Uint8Array} content
 */
export function isForThosePresent(content) {
  try {
    return readReplies(content).every(({ is }) => ["accept", "deny", "close", "end"].includes(is));
  } catch {
    return false;
  }
}

/**
 * @param {string} type
 * @param {Record<string, unknown>} fields
 * @returns {Reply[]}
 */
function typed(type, fields) {
  switch (type) {
    case "websocket.accept":
      return [
        {
          is: "accept",
          handshake: { subprotocol: text(fields, "subprotocol"), headers: headers(fields) },
        },
      ];
    case "websocket.send": {
      const frame = readFrame(fields);
      if (!frame) throw new Error("neither text nor bytes");
      return [{ is: "send", frame }];
    }
    case "websocket.close":
      return [readClose(number(fields, "code") ?? 1000, text(fields, "reason") ?? "")];
    case "http.response":
      return [
        {
          is: "respond",
          response: { ...required(fields), body: bytes(fields, "body") ?? new Uint8Array() },
        },
      ];
    case "http.response.start":
      return [{ is: "start", head: required(fields) }];
    case "http.response.body":
      return stream(bytes(fields, "body"), flag(fields, "more_body") ?? false);
    default:
      throw new Error(`a connection takes no message of type ${JSON.stringify(type)}`);
  }
}

/**
 * @param {Uint8Array | undefined} chunk
 * @param {boolean} more
 * @returns {Reply[]}
 */
function stream(chunk, more) {
  /** @type {Reply[]} */
  const replies = chunk && chunk.length > 0 ? [{ is: "chunk", chunk }] : [];
  if (!more) replies.push({ is: "end" });
  return replies;
}

/**
 * @param {Record<string, unknown>} fields
 * @returns {Reply[]}
 */
function channels1(fields) {
  const more = flag(fields, "more_content") ?? false;
  const head = readHead(fields);
  const body = bytes(fields, "content");
  if (head) {
    if (!more) return [{ is: "respond", response: { ...head, body: body ?? new Uint8Array() } }];
    return [{ is: "start", head }, ...stream(body, true)];
  }
  if (body) return stream(body, more);
  const accept = flag(fields, "accept");
  if (accept === false) return [{ is: "deny" }];
  const frame = readFrame(fields);
  /** @type {Reply[]} */
  const replies = [];
  if (accept !== undefined || frame)
    replies.push({ is: "accept", handshake: { subprotocol: undefined, headers: [] } });
  if (frame) replies.push({ is: "send", frame });
  const { close } = fields;
  if (close === true) replies.push(readClose(1000, ""));
  else if (typeof close === "number") replies.push(readClose(close, ""));
  else if (close !== undefined && close !== null && close !== false) throw wrong("close");
  if (replies.length === 0)
    throw new Error("the message has neither `type` nor a key of the Channels 1 forms");
  return replies;
}

/**
 * @param {number} code
 * @param {string} reason
 * @returns {Reply}
 */
function readClose(code, reason) {
  checkClose(code, reason);
  return { is: "close", close: { code, reason } };
}

/** @param {string} key */
function wrong(key) {
  return new Error(`\`${key}\` has the wrong type or is out of range`);
}

/**
 * @template T
 * @param {(value: unknown) => value is T} check
 * @returns {(fields: Record<string, unknown>, key: string) => T | undefined}
 */
function field(check) {
  return (fields, key) => {
    const value = fields[key];
    if (value === undefined || value === null) return undefined;
    if (check(value)) return value;
    throw wrong(key);
  };
}

const text = field((value) => typeof value === "string");
const flag = field((value) => typeof value === "boolean");
const bytes = field((value) => value instanceof Uint8Array);
const number = field(
  /** @returns {value is number} */ (value) =>
    typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 0xffff,
);

/**
 * @param {Record<string, unknown>} fields
 * @returns {WireFrame | undefined}
 */
function readFrame(fields) {
  const [written, binary] = [text(fields, "text"), bytes(fields, "bytes")];
  if (written !== undefined && binary !== undefined) throw new Error("both text and bytes");
  if (written !== undefined) return { tag: "text", val: written };
  return binary && { tag: "binary", val: binary };
}

/** @param {Record<string, unknown>} fields */
function required(fields) {
  const head = readHead(fields);
  if (!head) throw new Error("no status");
  return head;
}

/** @param {Record<string, unknown>} fields */
function readHead(fields) {
  const status = number(fields, "status");
  if (status === undefined) return undefined;
  const listed = headers(fields);
  checkStatus(status);
  checkHeaders(listed);
  return { status, headers: listed };
}

/**
 * @param {Record<string, unknown>} fields
 * @returns {WireHeader[]}
 */
function headers({ headers: pairs }) {
  if (pairs === undefined || pairs === null) return [];
  if (!Array.isArray(pairs)) throw wrong("headers");
  return pairs.map((pair) => {
    const [name, value] = Array.isArray(pair) && pair.length === 2 ? pair : [];
    if (!(name instanceof Uint8Array) || !(value instanceof Uint8Array)) throw wrong("headers");
    return { name: Buffer.from(name).toString(), value };
  });
}
