/** The facts of a connection. */

import { parseCookie } from "cookie";

import { lossy, utf8 } from "./bytes.js";
import { Query } from "./query.js";

/** @typedef {import("./types.js").WireScope} WireScope */

/** The facts of a connection. They do not change while it is open. */
export class Scope {
  #wire;
  /** @type {Query | undefined} */
  #query;
  /** @type {Readonly<Record<string, string | undefined>> | undefined} */
  #cookies;

  /** @param {WireScope} wire */
  constructor(wire) {
    this.#wire = wire;
  }

  /** The connection's own channel: what is sent there goes to the client. */
  get replyChannel() {
    return this.#wire.replyChannel;
  }

  /** `http`, `https`, `ws` or `wss`. */
  get scheme() {
    return this.#wire.scheme;
  }

  /** The method in upper case. `GET` for a WebSocket. */
  get method() {
    return this.#wire.method;
  }

  /** `1.0`, `1.1` or `2`. */
  get httpVersion() {
    return this.#wire.httpVersion;
  }

  /** The path, percent-decoded. */
  get path() {
    return this.#wire.path;
  }

  /** The path as the client wrote it. */
  get rawPath() {
    return this.#wire.rawPath;
  }

  /** What stood after the question mark, undecoded. Empty without one. */
  get queryString() {
    return this.#wire.queryString;
  }

  /** The query: `query.get("page")`. */
  get query() {
    return (this.#query ??= new Query(this.#wire.queryString));
  }

  /** The cookies by name, percent-decoded. A cookie that is not UTF-8 is left out, and no other. */
  get cookies() {
    return (this.#cookies ??= cookies(this.#wire));
  }

  /**
   * The first header field of that name, if its value is UTF-8.
   *
   * @param {string} name in any case
   * @returns {string | undefined}
   */
  header(name) {
    const wanted = name.toLowerCase();
    const found = this.#wire.headers.find((header) => header.name === wanted);
    return found && utf8(found.value);
  }

  /** All header fields in the order sent, names in lower case. */
  get headers() {
    return this.#wire.headers;
  }

  /** The far end of the connection. */
  get client() {
    return this.#wire.client;
  }

  /** The near end of the connection. */
  get server() {
    return this.#wire.server;
  }

  /** Where the application is mounted. Empty at the root. */
  get rootPath() {
    return this.#wire.rootPath;
  }

  /** The subprotocols that a WebSocket client offers, best first. */
  get subprotocols() {
    return this.#wire.subprotocols;
  }
}

/**
 * @param {WireScope} wire
 * @returns {Readonly<Record<string, string | undefined>>}
 */
function cookies(wire) {
  const pairs = wire.headers
    .filter(({ name }) => name === "cookie")
    .flatMap(({ value }) => lossy(value).split(";"))
    .filter((pair) => !pair.includes("\ufffd"));
  return parseCookie(pairs.join(";"));
}
