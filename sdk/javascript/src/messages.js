/** Messages for connections: frames, closes, and parts of a streamed response. */

import { bytes, integer, kind, text } from "./bytes.js";
import { json } from "./response.js";

/** A WebSocket message for `send` and `groupSend`. */
export class Frame {
  /** @param {string | Uint8Array} content text, or bytes for a binary message */
  constructor(content) {
    /** @type {string | Uint8Array} */
    this.content =
      typeof content === "string" ? text(content, "a frame") : bytes(content, "a frame");
  }

  /**
   * A text message.
   *
   * @param {string} content
   */
  static text(content) {
    return new Frame(text(content, "Frame.text"));
  }

  /**
   * A binary message.
   *
   * @param {import("./bytes.js").Bytes} content text is sent as its UTF-8
   */
  static binary(content) {
    return new Frame(bytes(content, "Frame.binary"));
  }

  /**
   * A text message that holds a value as JSON.
   *
   * @param {unknown} value
   */
  static json(value) {
    return new Frame(json(value, "Frame.json"));
  }

  /** In the form of the contract. */
  toWire() {
    return typeof this.content === "string"
      ? { tag: /** @type {const} */ ("text"), val: this.content }
      : { tag: /** @type {const} */ ("binary"), val: this.content };
  }

  /** As a message to a reply channel. @returns {Record<string, unknown>} */
  toMessage() {
    const key = typeof this.content === "string" ? "text" : "bytes";
    return { type: "websocket.send", [key]: this.content };
  }
}

/**
 * A frame from what a consumer sends: a `Frame`, text, or bytes.
 *
 * @param {unknown} value
 * @param {string} what the place, for the error
 * @returns {Frame}
 */
export function frame(value, what) {
  if (value instanceof Frame) return value;
  if (typeof value === "string") return Frame.text(value);
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return Frame.binary(value);
  throw new TypeError(
    `${what} is ${kind(value)}: give text, bytes or a Frame; for JSON there is sendJson`,
  );
}

/**
 * The end of a WebSocket: `disconnect` gets one, and `send` and `groupSend` close connections with
 * one.
 */
export class Close {
  /**
   * @param {number} code a consumer may send 1000 and 3000 to 4999
   * @param {string} [reason] at most 123 bytes
   */
  constructor(code, reason = "") {
    /** 1005 when the client gave none, 1006 when the connection broke. */
    this.code = integer(code, "a close code", 1000, 4999);
    this.reason = text(reason, "the reason of a close");
  }

  /** As a message to a reply channel. @returns {Record<string, unknown>} */
  toMessage() {
    return { type: "websocket.close", code: this.code, reason: this.reason };
  }
}

/** A part of the body of a response that another consumer has started and holds, or its end. */
export class Chunk {
  /**
   * @param {import("./bytes.js").Bytes} body
   * @param {boolean} [isLast] whether the response ends with it
   */
  constructor(body, isLast = false) {
    this.body = bytes(body, "a Chunk");
    this.isLast = isLast;
  }

  /** The end of the response. */
  static end() {
    return new Chunk(new Uint8Array(), true);
  }

  /** As a message to a reply channel. @returns {Record<string, unknown>} */
  toMessage() {
    return { type: "http.response.body", body: this.body, more_body: !this.isLast };
  }
}
