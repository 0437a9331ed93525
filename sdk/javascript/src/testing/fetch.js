/** The servers outside, which a test plays. */

import { bytes, integer, text, utf8 } from "../bytes.js";
import { fields, json } from "../response.js";
import { withValue } from "./fetch-rules.js";

/** @typedef {import("./world.js").World} World */
/** @typedef {import("./world.js").Waiting} Waiting */

const PASSING_STATUS = [429, 502, 503, 504];
const PASSING_REASONS = ["resolve", "connect", "timeout", "broken"];

/**
 * The method and the URL of a request, as tests name it.
 *
 * @param {Waiting} waiting
 */
export function nameOf({ request }) {
  return `${request.method} ${request.url}`;
}

/** A request of a consumer to a server outside. It waits until the test answers it. */
export class TestFetch {
  #world;
  #settle;
  #waiting;

  /**
   * @param {World} world
   * @param {() => Promise<void>} settle
   * @param {Waiting} waiting
   */
  constructor(world, settle, waiting) {
    this.#world = world;
    this.#settle = settle;
    this.#waiting = waiting;
  }

  get #request() {
    return this.#waiting.request;
  }

  /** All header fields in order, values as text. @returns {[name: string, value: string][]} */
  get headers() {
    return this.#request.headers.map(([name, value]) => [name, Buffer.from(value).toString()]);
  }

  /**
   * The first header field of that name, if it is text.
   *
   * @param {string} name in any case
   * @returns {string | undefined}
   */
  header(name) {
    const wanted = name.toLowerCase();
    const found = this.#request.headers.find(([field]) => field.toLowerCase() === wanted);
    return found && utf8(found[1]);
  }

  /** The body. @returns {Uint8Array} */
  bytes() {
    return this.#request.body;
  }

  /** The body as text. */
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

  /**
   * Answers it. With 429, 502, 503 or 504 a request that has retries left waits again.
   *
   * @param {number} status
   * @param {import("../bytes.js").Bytes} [body]
   * @param {import("../types.js").HeaderFields} [headers]
   */
  async answer(status, body = "", headers = undefined) {
    const told = {
      result: "answered",
      status: integer(status, "the status of an answer", 100, 999),
      headers: [...fields(headers)].map(([name, value]) => [
        text(name, "the name of a header field").toLowerCase(),
        bytes(value, `the header field \`${name}\``),
      ]),
      body: bytes(body, "the body of an answer"),
    };
    await this.#conclude(PASSING_STATUS.includes(status), told);
  }

  /**
   * Answers it with a value as JSON, without header fields.
   *
   * @param {number} status
   * @param {unknown} value
   */
  answerJson(status, value) {
    return this.answer(status, json(value, "answerJson"));
  }

  /**
   * Lets it fail. After `resolve`, `connect`, `timeout` and `broken` a request that has retries left waits
   * again.
   *
   * @param {string} reason one of those of a FetchFailure
   */
  async fail(reason) {
    const told = { result: "failed", reason, message: "as the test says" };
    await this.#conclude(PASSING_REASONS.includes(reason), told);
  }

  /** Ends the process that makes it. A request with retries waits again; of another one the result is unknown. */
  async lose() {
    await this.#conclude(this.#request.retries > 0, { result: "unknown" });
  }

  /**
   * @param {boolean} isPassing whether another attempt may have another result
   * @param {Record<string, unknown>} told
   */
  async #conclude(isPassing, told) {
    const { fetches } = this.#world;
    const waiting = this.#waiting;
    const at = fetches.indexOf(waiting);
    if (at < 0)
      throw new Error(
        `${nameOf(waiting)} is concluded already: ask for the next one with \`host.fetch\``,
      );
    fetches.splice(at, 1);
    const { request, correlation, attempts } = waiting;
    if (isPassing && attempts <= request.retries) {
      fetches.push({ ...waiting, attempts: attempts + 1 });
      return;
    }
    this.#world.send(request.then, withValue({ ...told, attempts }, request.value), correlation);
    await this.#settle();
  }
}
