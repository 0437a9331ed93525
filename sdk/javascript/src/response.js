/** HTTP responses. */

import { stringifySetCookie } from "cookie";

import { bytes, integer, kind, milliseconds, text } from "./bytes.js";

/** @typedef {import("./types.js").ResponseInit} ResponseInit */
/** @typedef {import("./types.js").CookieOptions} CookieOptions */
/** @typedef {{ status: number, headers: import("./types.js").WireHeader[], body: Uint8Array }} WireResponse */

/**
 * An HTTP response.
 *
 * ```js
 * new Response("<h1>Gone</h1>", { status: 410, headers: { "content-type": "text/html" } })
 * ```
 *
 * It can also be sent as a message: to the reply channel of a request that is on hold, from every
 * consumer that was handed the channel's name.
 */
export class Response {
  #status = 200;
  /** @type {import("./types.js").WireHeader[]} */
  #headers = [];
  /** @type {Uint8Array} */
  #body = new Uint8Array();

  /**
   * @param {import("./bytes.js").Bytes | null} [body] text is sent as UTF-8, with the type
   *   `text/plain` if none is given
   * @param {ResponseInit} [init] `status` is 200 if not given
   * @throws {TypeError | RangeError} a value has the wrong type, or the status is not from 200 to
   *   599
   */
  constructor(body, init = {}) {
    if (typeof init !== "object" || init === null) {
      throw new TypeError(`the options of a Response are ${kind(init)}: give { status, headers }`);
    }
    if (init.status !== undefined) this.status(init.status);
    for (const [name, value] of fields(init.headers)) this.header(name, value);
    if (body !== undefined && body !== null) this.#body = bytes(body, "the body of a Response");
    if (typeof body === "string" && !this.#has("content-type")) {
      this.header("content-type", "text/plain; charset=utf-8");
    }
  }

  /**
   * Plain text.
   *
   * @param {string} body
   * @param {ResponseInit} [init]
   */
  static text(body, init) {
    return new Response(text(body, "the body of Response.text"), init);
  }

  /**
   * HTML.
   *
   * @param {string} body
   * @param {ResponseInit} [init]
   */
  static html(body, init) {
    return new Response(bytes(text(body, "the body of Response.html"), ""), init).#typed(
      "text/html; charset=utf-8",
    );
  }

  /**
   * JSON.
   *
   * @param {unknown} value
   * @param {ResponseInit} [init]
   * @throws {TypeError} JSON cannot hold the value: `undefined`, a function, a BigInt, or a circle
   */
  static json(value, init) {
    return new Response(bytes(json(value, "Response.json"), ""), init).#typed("application/json");
  }

  /**
   * Sends the client elsewhere.
   *
   * @param {string} location
   * @param {number} [status] 303 if not given: the client gets the new place
   */
  static redirect(location, status = 303) {
    return new Response(null, { status, headers: { location } });
  }

  /**
   * Has the host answer with the messages of a group of the module that has a history: those that are kept, and the next ones
   * where the client waits, by the read half of the Durable Streams protocol. The host runs the consumer for each request: it
   * decides who may read. A `TestHost` returns this response with the header field `tidegate-stream`, and no messages.
   *
   * @param {string} group such as `room.blue`
   * @param {ResponseInit} [init] header fields that the response has besides
   */
  static durableStream(group, init) {
    return new Response(null, init).header("tidegate-stream", text(group, "the group of Response.durableStream"));
  }

  /** @param {string} type */
  #typed(type) {
    return this.#has("content-type") ? this : this.header("content-type", type);
  }

  /** @param {string} name in lower case */
  #has(name) {
    return this.#headers.some((header) => header.name.toLowerCase() === name);
  }

  /**
   * Sets the status: 200 to 599.
   *
   * @param {number} status
   * @returns {this}
   */
  status(status) {
    this.#status = integer(status, "the status of a Response", 200, 599);
    return this;
  }

  /**
   * Adds a header field. The host adds `date` and `content-length`, and refuses the fields that
   * belong to the connection.
   *
   * @param {string} name
   * @param {import("./bytes.js").Bytes} value
   * @returns {this}
   */
  header(name, value) {
    const field = text(name, "the name of a header field");
    this.#headers.push({ name: field, value: bytes(value, `the header field \`${field}\``) });
    return this;
  }

  /**
   * Puts a header field in the place of all those of its name.
   *
   * @param {string} name
   * @param {import("./bytes.js").Bytes} value
   * @returns {this}
   */
  replaceHeader(name, value) {
    const field = text(name, "the name of a header field").toLowerCase();
    this.#headers = this.#headers.filter((header) => header.name.toLowerCase() !== field);
    return this.header(field, value);
  }

  /**
   * Sets a cookie. What the options do not say is the safe choice: `httpOnly`, so that no script
   * reads it; `secure`, so that it is sent over TLS only; `sameSite: "lax"`; and `path: "/"`.
   * Without `maxAge` or `expires` it is gone when the browser is closed. `maxAge: 0` takes a cookie
   * back.
   *
   * @param {string} name
   * @param {string} value it is percent-encoded; `request.cookies` decodes it
   * @param {CookieOptions} [options] `maxAge` is in seconds
   * @returns {this}
   */
  cookie(name, value, options = {}) {
    const safe = {
      httpOnly: true,
      secure: true,
      sameSite: /** @type {const} */ ("lax"),
      path: "/",
    };
    const cookie = { ...safe, ...options, name: text(name, "the name of a cookie") };
    return this.header(
      "set-cookie",
      stringifySetCookie({ ...cookie, value: text(value, `the cookie \`${name}\``) }),
    );
  }

  /** The status. */
  get statusCode() {
    return this.#status;
  }

  /** The body. */
  get body() {
    return this.#body;
  }

  /**
   * In the form of the contract.
   *
   * @returns {WireResponse}
   */
  toWire() {
    return { status: this.#status, headers: this.#headers, body: this.#body };
  }

  /** As a message to a reply channel. @returns {Record<string, unknown>} */
  toMessage() {
    const headers = this.#headers.map(({ name, value }) => [bytes(name, ""), value]);
    return { type: "http.response", status: this.#status, headers, body: this.#body };
  }
}

/**
 * @param {ResponseInit["headers"]} headers
 * @returns {Iterable<[string, import("./bytes.js").Bytes]>}
 */
export function fields(headers) {
  if (headers === undefined) return [];
  if (typeof headers !== "object" || headers === null) {
    throw new TypeError(
      `header fields are ${kind(headers)}: give an object, or a list of [name, value]`,
    );
  }
  return Symbol.iterator in headers ? headers : Object.entries(headers);
}

/**
 * @param {unknown} value
 * @param {string} what the place, for the error
 * @returns {string}
 * @throws {TypeError} JSON cannot hold the value
 */
export function json(value, what) {
  let written;
  try {
    written = JSON.stringify(value);
  } catch (error) {
    throw new TypeError(
      `${what}: JSON cannot hold the value: ${/** @type {Error} */ (error).message}`,
    );
  }
  if (written === undefined) throw new TypeError(`${what}: JSON cannot hold ${kind(value)}`);
  return written.toWellFormed();
}

/** A request that waits for its answer; from `cx.hold`. */
export class Hold {
  /** @type {Response | undefined} */
  #fallback;
  #timeout;

  /** @param {number} timeout in milliseconds */
  constructor(timeout) {
    this.#timeout = milliseconds(timeout, "the timeout of a hold");
  }

  /**
   * The response for a hold that nobody answered in time, in place of status 504.
   *
   * @param {Response | string} response
   * @returns {this}
   */
  or(response) {
    this.#fallback = response instanceof Response ? response : Response.text(response);
    return this;
  }

  /** In the form of the contract. @returns {{ timeout: number, fallback: WireResponse | undefined }} */
  toWire() {
    return { timeout: this.#timeout, fallback: this.#fallback?.toWire() };
  }
}

/** A response that was streamed to its end; from `cx.endStream`. */
export class Streamed {
  // With a field of its own, it is a type apart.
  #isStreamed = true;

  /** Whether the response is complete. */
  get isComplete() {
    return this.#isStreamed;
  }
}
