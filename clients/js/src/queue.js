/** Messages that wait for a connection, bounded in number and bytes. */

import { SendError } from "./errors.js";

/** @typedef {string | ArrayBuffer | ArrayBufferView | Blob} Data */

const encoder = new TextEncoder();

/**
 * How many bytes a message has on the wire.
 *
 * @param {Data} data
 * @returns {number}
 * @throws {TypeError} it is neither text nor bytes
 */
export function size(data) {
  if (typeof data === "string") return encoder.encode(data).length;
  if (data instanceof ArrayBuffer || ArrayBuffer.isView(data)) return data.byteLength;
  if (data instanceof Blob) return data.size;
  // A WebSocket would send "[object Object]".
  throw new TypeError("tidegate: a message is text or bytes; for anything else there is sendJson");
}

/**
 * The message as it is now: whoever sends may use its buffer again.
 *
 * @param {Data} data
 * @returns {Data}
 */
export function copy(data) {
  if (data instanceof ArrayBuffer) return data.slice(0);
  if (ArrayBuffer.isView(data)) {
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
  }
  return data;
}

/** First in, first out. */
export class Queue {
  /** @type {{ data: Data, bytes: number }[]} */
  #items = [];
  #bytes = 0;
  #messages;
  #limit;

  /**
   * @param {number} messages how many may wait
   * @param {number} bytes how many bytes of them
   */
  constructor(messages, bytes) {
    this.#messages = messages;
    this.#limit = bytes;
  }

  /** Bytes that wait. */
  get bytes() {
    return this.#bytes;
  }

  /**
   * @param {Data} data
   * @throws {SendError} there is no room, or there never was any
   */
  push(data) {
    const bytes = size(data);
    if (this.#messages === 0) {
      throw new SendError("not-open", "tidegate: not connected, and there is no queue");
    }
    if (this.#items.length >= this.#messages || this.#bytes + bytes > this.#limit) {
      throw new SendError("queue-full", `tidegate: ${this.#items.length} messages wait already`);
    }
    this.#items.push({ data: copy(data), bytes });
    this.#bytes += bytes;
  }

  /**
   * Takes the first message; `undefined` when none waits.
   *
   * @returns {Data | undefined}
   */
  shift() {
    const item = this.#items.shift();
    this.#bytes -= item?.bytes ?? 0;
    return item?.data;
  }

  /**
   * Takes all messages.
   *
   * @returns {Data[]}
   */
  take() {
    const all = this.#items.map(({ data }) => data);
    this.#items = [];
    this.#bytes = 0;
    return all;
  }
}
