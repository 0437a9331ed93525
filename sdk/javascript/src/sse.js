/**
 * Server-sent events: a response that stays open and carries one event after the other, which a
 * browser reads with `EventSource` (HTML standard, section 9.2).
 *
 * ```js
 * const tide = http("GET /tide", (request, cx) => {
 *   sse.start(cx);
 *   cx.groupAdd("watchers");
 *   return cx.hold(3_600_000);
 * });
 * const set = http("POST /tide/{level}", ({ params }, cx) => {
 *   cx.groupSend("watchers", sse.json({ level: params.level }, { name: "level" }));
 *   return "noted\n";
 * });
 * ```
 */

import { bytes, linesOf, milliseconds, text } from "./bytes.js";
import { Response, json as toJson } from "./response.js";

/**
 * @typedef {object} EventOptions
 * @property {string} [id] the client names it when it comes back
 * @property {string} [name] what a browser listens for; `message` if not given
 * @property {number} [retry] how long the client waits before it connects again, in milliseconds
 */

/** One event of a stream, or a comment. It can be sent as a message, too. */
export class Event {
  #written;

  /** @param {string} written as it stands in the stream, with the empty line at its end */
  constructor(written) {
    this.#written = written;
  }

  toString() {
    return this.#written;
  }

  /** As a message to a reply channel. @returns {Record<string, unknown>} */
  toMessage() {
    return { type: "http.response.body", body: bytes(this.#written, ""), more_body: true };
  }
}

/**
 * An event with text. Line breaks of any kind reach the client as U+000A.
 *
 * @param {string} data
 * @param {EventOptions} [options]
 * @returns {Event}
 * @throws {TypeError} the name or the id has a line break, or the id has U+0000
 */
export function data(data, { id, name, retry } = {}) {
  let written = "";
  if (name !== undefined) written += `event: ${oneLine(name, "the name of an event", /[\r\n]/)}\n`;
  if (id !== undefined) written += `id: ${oneLine(id, "the id of an event", /[\r\n\0]/)}\n`;
  if (retry !== undefined) written += `retry: ${milliseconds(retry, "the retry of an event")}\n`;
  return new Event(`${written}${lines("data:", text(data, "the data of an event"))}\n`);
}

/**
 * An event whose text is a value as JSON.
 *
 * @param {unknown} value
 * @param {EventOptions} [options]
 * @returns {Event}
 * @throws {TypeError} JSON cannot hold the value
 */
export function json(value, options) {
  return data(toJson(value, "sse.json"), options);
}

/**
 * A line that clients ignore. Proxies and clients see that the stream is alive.
 *
 * @param {string} words
 * @returns {Event}
 */
export function comment(words) {
  return new Event(`${lines(":", text(words, "a comment"))}\n`);
}

/**
 * Starts a stream of events as the answer to a request.
 *
 * @param {import("./context.js").Context} cx
 * @throws {import("./errors.js").ReplyError} the event is no HTTP request, or it is answered already
 */
export function start(cx) {
  const headers = {
    "content-type": "text/event-stream",
    "cache-control": "no-cache",
    // It asks proxies to pass events on at once.
    "x-accel-buffering": "no",
  };
  cx.startStream(new Response(null, { headers }));
}

/**
 * Sends an event on the stream that answers this request. It goes out when the consumer has
 * returned; `cx.flush` sends it now.
 *
 * @param {import("./context.js").Context} cx
 * @param {Event} event
 * @throws {import("./errors.js").ReplyError} no stream is open
 */
export function send(cx, event) {
  cx.write(String(event));
}

/**
 * The id of the last event that the client saw, if it says: a browser does when it comes back.
 *
 * @param {import("./scope.js").Scope} scope
 * @returns {string | undefined}
 */
export function lastEventId(scope) {
  return scope.header("last-event-id") || undefined;
}

/**
 * @param {unknown} value
 * @param {string} what
 * @param {RegExp} refused
 */
function oneLine(value, what, refused) {
  const line = text(value, what);
  if (refused.test(line)) throw new TypeError(`${what} has a line break or U+0000: leave it out`);
  return line;
}

/**
 * One field for each line. The grammar ends lines with CR LF, CR or LF.
 *
 * @param {string} field
 * @param {string} value
 */
function lines(field, value) {
  const each = linesOf(value);
  return each.map((line) => `${field} ${line}\n`).join("");
}
