/**
 * Several streams over one connection. Each message is a text frame, in both directions:
 * `{"stream": NAME, "payload": ANYTHING}`.
 */

import { FrameError } from "./errors.js";

/**
 * Reads a frame.
 *
 * @param {unknown} data
 * @returns {{ stream: string, payload: unknown }}
 * @throws {FrameError} it is not such an object
 */
export function decode(data) {
  if (typeof data !== "string") throw new FrameError("bytes belong to no stream");
  let frame;
  try {
    frame = JSON.parse(data);
  } catch {
    throw new FrameError("the message is not JSON");
  }
  const has = (/** @type {string} */ key) => Object.hasOwn(frame, key);
  if (typeof frame !== "object" || frame === null || !has("stream") || !has("payload")) {
    throw new FrameError("the message is no object with stream and payload");
  }
  if (typeof frame.stream !== "string") throw new FrameError("the stream's name is no text");
  return { stream: frame.stream, payload: frame.payload };
}

/**
 * Writes a frame.
 *
 * @param {string} stream
 * @param {unknown} payload
 * @returns {string}
 * @throws {TypeError} JSON cannot hold the payload
 */
export function encode(stream, payload) {
  const json = JSON.stringify(payload);
  if (json === undefined) throw new TypeError(`tidegate: JSON has no ${typeof payload}`);
  return `{"stream":${JSON.stringify(stream)},"payload":${json}}`;
}

/** One stream. Fires `message`, whose `data` is the payload. */
export class Stream extends EventTarget {
  #name;
  #send;
  #close;

  /**
   * @param {string} name
   * @param {(text: string) => void} send
   * @param {() => void} close
   */
  constructor(name, send, close) {
    super();
    this.#name = name;
    this.#send = send;
    this.#close = close;
  }

  /** Its name. */
  get name() {
    return this.#name;
  }

  /**
   * Sends a payload, as `Socket.send` does.
   *
   * @param {unknown} payload anything that JSON holds
   * @throws {import("./errors.js").SendError | TypeError}
   */
  send(payload) {
    this.#send(encode(this.#name, payload));
  }

  /** Forgets the stream on this side. The server is not told. */
  close() {
    this.#close();
  }
}

/** The streams of one socket, by name. */
export class Streams {
  // A Map has no inherited keys: "__proto__" is a name like any other.
  /** @type {Map<string, Stream>} */
  #streams = new Map();

  /**
   * The stream of that name, always the same object.
   *
   * @param {string} name
   * @param {(text: string) => void} send
   * @returns {Stream}
   */
  open(name, send) {
    if (typeof name !== "string") throw new TypeError("tidegate: a stream's name is text");
    let stream = this.#streams.get(name);
    if (!stream) {
      const opened = new Stream(name, send, () => {
        if (this.#streams.get(name) === opened) this.#streams.delete(name);
      });
      this.#streams.set(name, (stream = opened));
    }
    return stream;
  }

  /**
   * Gives a message to its stream.
   *
   * @param {unknown} data
   * @throws {FrameError} there is none
   */
  receive(data) {
    const { stream, payload } = decode(data);
    const to = this.#streams.get(stream);
    if (!to) throw new FrameError(`there is no stream ${JSON.stringify(stream)}`);
    to.dispatchEvent(new MessageEvent("message", { data: payload }));
  }
}
