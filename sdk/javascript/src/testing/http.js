/** HTTP requests to the test host. */

import { bytes } from "../bytes.js";
import { json } from "../response.js";
import { Http, textResponse } from "./connection.js";
import { findHttp, findWebsocket, percentDecode } from "./routes.js";
import { admit, readUser, userRefusal } from "./users.js";

/** @typedef {import("./world.js").World} World */
/** @typedef {import("../types.js").WireHeader} WireHeader */

/**
 * Header fields as a client sends them. A second `cookie` is joined to the first, as the host does.
 *
 * @param {Record<string, string | string[]>} fields
 * @returns {WireHeader[]}
 */
function headerFields(fields) {
  /** @type {WireHeader[]} */
  const headers = [];
  for (const [given, values] of Object.entries(fields)) {
    const name = given.toLowerCase();
    const listed = Array.isArray(values) ? values : [values];
    const joined = name === "cookie" ? [listed.join("; ")] : listed;
    for (const value of joined)
      headers.push({ name, value: bytes(value, `the header field \`${name}\``) });
  }
  return headers;
}

/**
 * Header fields of a request or handshake, with the cookies that a browser would send.
 *
 * @param {{ headers?: Record<string, string | string[]>, cookiesOf?: import("./host.js").Cookies }} options
 * @returns {WireHeader[]}
 */
export function clientHeaders({ headers = {}, cookiesOf }) {
  /** @type {Record<string, string | string[]>} */
  const fields = { host: "localhost" };
  for (const [name, value] of Object.entries(headers)) fields[name.toLowerCase()] = value;
  const cookies = [fields.cookie ?? []].flat().concat(cookiesOf?.cookies ?? []);
  return headerFields(cookies.length > 0 ? { ...fields, cookie: cookies } : fields);
}

/**
 * The facts of a connection from a test.
 *
 * @param {string} replyChannel
 * @param {string} method
 * @param {string} scheme
 * @param {string} target
 * @param {WireHeader[]} headers
 * @returns {import("../types.js").WireScope}
 */
export function makeScope(replyChannel, method, scheme, target, headers) {
  const at = target.indexOf("?");
  const rawPath = at < 0 ? target : target.slice(0, at);
  return {
    replyChannel,
    scheme,
    method,
    httpVersion: "1.1",
    path: percentDecode(rawPath).toString(),
    rawPath,
    queryString: at < 0 ? "" : target.slice(at + 1),
    pathParams: [],
    headers,
    client: { host: "127.0.0.1", port: 50_000 },
    server: { host: "127.0.0.1", port: 8000 },
    rootPath: "",
    subprotocols: [],
  };
}

/**
 * @param {World} world
 * @param {() => Promise<void>} settle
 * @param {string} method
 * @param {string} path
 * @param {import("./host.js").RequestOptions} options
 * @returns {Promise<TestResponse>}
 */
export async function send(world, settle, method, path, options) {
  const came = clientHeaders(options);
  const { headers, user, session } = world.sessions.lookUp(came, readUser(options), world.seconds);
  let body = options.body === undefined ? new Uint8Array() : bytes(options.body, "the body");
  if (options.json !== undefined) {
    headers.push({ name: "content-type", value: bytes("application/json", "") });
    body = bytes(json(options.json, "the option json"), "");
  }
  const correlation = world.nextId();
  const channel = `test!${correlation}`;
  const scope = makeScope(channel, method, "http", path, headers);
  const found = findHttp(world.app.entries, method, scope);
  const admitted = found.is === "route" ? admit(found.entry, user) : undefined;
  const isIn = found.is === "route" && admitted && "user" in admitted;
  const request = new Http(isIn ? found.entry : undefined, scope);
  world.connections.set(channel, request);
  if (admitted && "status" in admitted) {
    request.answer(userRefusal(admitted.status));
  } else if (found.is === "route") {
    request.user = admitted?.user;
    if (found.entry.access) request.session = session;
    scope.pathParams = found.params;
    const event = /** @type {const} */ ({ tag: "http-request", val: { scope, body } });
    world.queue.push({ entry: found.entry, event, connection: channel, correlation });
  } else {
    request.answer(refusal(found, findWebsocket(world.app.entries, scope).is === "route"));
  }
  await settle();
  return new TestResponse(world, settle, request);
}

/**
 * @param {Exclude<import("./routes.js").Found, { is: "route" }>} found
 * @param {boolean} hasSocket whether a WebSocket is under the path
 */
function refusal(found, hasSocket) {
  if (found.is === "wrong-method") {
    const allow = { name: "allow", value: bytes(found.allowed.join(", "), "") };
    return textResponse(405, "method not allowed\n", [allow]);
  }
  if (found.is === "bad-path") return textResponse(400, "bad path\n");
  if (!hasSocket) return textResponse(404, "not found\n");
  return textResponse(426, "this path has a WebSocket\n", [
    { name: "upgrade", value: bytes("websocket", "") },
  ]);
}

/** The response to a request, as far as it has come. */
export class TestResponse {
  #world;
  #settle;
  #request;

  /**
   * @param {World} world
   * @param {() => Promise<void>} settle
   * @param {Http} request
   */
  constructor(world, settle, request) {
    this.#world = world;
    this.#settle = settle;
    this.#request = request;
  }

  /** Whether more is to come: nothing yet, or a stream that has not ended. */
  get isPending() {
    return !this.#request.isComplete;
  }

  get #head() {
    if (!this.#request.head) throw new Error("the request is not answered yet: it is on hold");
    return this.#request.head;
  }

  /** The status. @throws {Error} there is no response yet */
  get status() {
    return this.#head.status;
  }

  /** All header fields in order, values as text. @returns {[name: string, value: string][]} */
  get headers() {
    return this.#head.headers.map(({ name, value }) => [name, Buffer.from(value).toString()]);
  }

  /**
   * The first header field of that name, as text.
   *
   * @param {string} name in any case
   * @returns {string | undefined}
   */
  header(name) {
    return this.headers.find(([field]) => field.toLowerCase() === name.toLowerCase())?.[1];
  }

  /** The cookies that a browser keeps of it, each as `name=value`. @returns {string[]} */
  get cookies() {
    return this.headers
      .filter(([name, value]) => name.toLowerCase() === "set-cookie" && !/;\s*max-age=0\s*(;|$)/i.test(value))
      .map(([, value]) => value.split(";", 1)[0] ?? "");
  }

  /** The body so far. Empty for a request with method HEAD. @returns {Uint8Array} */
  bytes() {
    return this.#request.scope.method === "HEAD"
      ? new Uint8Array()
      : new Uint8Array(Buffer.concat(this.#request.body));
  }

  /** The body so far, as text. */
  text() {
    return Buffer.from(this.bytes()).toString();
  }

  /**
   * The body as JSON.
   *
   * @returns {any}
   */
  json() {
    return JSON.parse(this.text());
  }

  /** The client goes away. A consumer that asked for it runs its `disconnect`. */
  async leave() {
    this.#world.httpLeft(this.#request.scope.replyChannel);
    await this.#settle();
  }
}
