/** The result of a request to a server outside. */

import { lossy, utf8 } from "./bytes.js";
import { isPlain } from "./content.js";

const UNKNOWN = "unknown";
const LOST = "the process that made the request ended";

/** The answer of a server to a request. */
export class Answer {
  /**
   * @param {number} status
   * @param {import("./types.js").WireHeader[]} headers
   * @param {Uint8Array} body
   */
  constructor(status, headers, body) {
    /** The status. */
    this.status = status;
    /** All header fields in the order received, names in lower case. */
    this.headers = headers;
    /** The body. */
    this.body = body;
  }

  /** Whether the status is one from 200 to 299. */
  get isSuccess() {
    return this.status >= 200 && this.status <= 299;
  }

  /**
   * The first header field of that name, if its value is UTF-8.
   *
   * @param {string} name in any case
   * @returns {string | undefined}
   */
  header(name) {
    const wanted = name.toLowerCase();
    const found = this.headers.find((header) => header.name === wanted);
    return found && utf8(found.value);
  }

  /** The body as text, with U+FFFD in the place of bytes that are not UTF-8. */
  text() {
    return lossy(this.body);
  }

  /**
   * The body as JSON, whatever its content type.
   *
   * @returns {any}
   * @throws {SyntaxError} the body is not JSON
   */
  json() {
    const text = utf8(this.body);
    if (text === undefined) throw new SyntaxError("the body of the answer is not UTF-8");
    return JSON.parse(text);
  }
}

/** Why a request has no answer. */
export class FetchFailure {
  /**
   * @param {string} reason
   * @param {string} message
   */
  constructor(reason, message) {
    /**
     * A word. Of a request that was not answered it is `refused` (the host refuses an address or a
     * redirect), `resolve`, `connect`, `tls`, `timeout`, `broken` (the answer breaks off, or is not
     * HTTP), `too_large` or `redirects`. It is `unknown` if the process that made the request ended,
     * so that nobody knows whether the server has done it; only a request without retries has that.
     */
    this.reason = reason;
    /** A text for people. It has no path, query or header field of the request. */
    this.message = message;
  }

  toString() {
    return `${this.reason}: ${this.message}`;
  }
}

/** The result of a request. `types.ts` says that it has either an answer or a failure. */
export class Fetched {
  /**
   * @param {unknown} value
   * @param {number} attempts
   * @param {Answer | FetchFailure} outcome
   */
  constructor(value, attempts, outcome) {
    this.value = value;
    this.attempts = attempts;
    this.answer = outcome instanceof Answer ? outcome : undefined;
    this.failure = outcome instanceof Answer ? undefined : outcome;
  }

  /** The message, in the form of the contract. @returns {Record<string, unknown>} */
  toMessage() {
    const { value, attempts, answer, failure } = this;
    if (answer) {
      const { status, body } = answer;
      const headers = answer.headers.map((header) => [header.name, header.value]);
      return { result: "answered", value, attempts, status, headers, body };
    }
    if (!failure || failure.reason === UNKNOWN) return { result: "unknown", value, attempts };
    const { reason, message } = failure;
    return { result: "failed", value, attempts, reason, message };
  }
}

/**
 * Reads a message on the channel of a consumer with the option `fetched`.
 *
 * @param {unknown} message
 * @returns {Fetched}
 * @throws {TypeError} it is not the result of a request
 */
export function readFetched(message) {
  const told = isPlain(message) ? message : {};
  const outcome = readOutcome(told);
  const attempts = Number(told.attempts);
  if (outcome && "value" in told && Number.isInteger(attempts))
    return new Fetched(told.value, attempts, outcome);
  const keys = Object.keys(told).join(", ") || "none";
  throw new TypeError(
    `the message is not the result of a request (its keys: ${keys}): a consumer with the option \`fetched\` takes results alone, so send other messages to another channel`,
  );
}

/**
 * @param {Record<string, any>} told
 * @returns {Answer | FetchFailure | undefined}
 */
function readOutcome({ result, status, headers = [], body, reason = "", message = "" }) {
  if (result === UNKNOWN) return new FetchFailure(UNKNOWN, LOST);
  if (result === "failed") return new FetchFailure(String(reason), String(message));
  if (result !== "answered" || !Number.isInteger(status) || !Array.isArray(headers))
    return undefined;
  const fields = headers.map(([name, value]) => ({ name, value }));
  return new Answer(status, fields, body ?? new Uint8Array());
}
