/** Requests to servers outside, which the host makes after a run. */

import { bytes, integer, kind, milliseconds, text } from "./bytes.js";
import { fetching, waiting } from "./calls.js";
import { pack } from "./content.js";
import { FetchError } from "./errors.js";
import { Answer } from "./fetched.js";
import { knownOptions } from "./options.js";
import { fields, json as toJson } from "./response.js";

/** @typedef {import("./types.js").FetchOptions} FetchOptions */
/** @typedef {import("./types.js").WireFetch} WireFetch */

const OPTIONS = [
  "method",
  "headers",
  "body",
  "json",
  "then",
  "value",
  "retries",
  "idempotencyKey",
  "timeout",
];
const NOW_OPTIONS = ["method", "headers", "body", "json", "idempotencyKey", "timeout"];
const U32_MAX = 0xffff_ffff;

/**
 * Asks the host for a request.
 *
 * @param {import("./types.js").FetchingHost} host
 * @param {string} url
 * @param {FetchOptions} options
 */
export function ask(host, url, options) {
  const request = readRequest(url, options);
  fetching(() => host.fetch(request));
}

/**
 * Makes a request, and waits for its answer.
 *
 * @param {import("./types.js").OutgoingHost} host
 * @param {string} url
 * @param {import("./types.js").FetchNowOptions} options
 * @returns {Answer}
 */
export function askNow(host, url, options) {
  knownOptions(options, NOW_OPTIONS, "fetchNow");
  const request = readParts(url, options);
  const { status, headers, body } = waiting(() => host.send(request));
  return new Answer(status, headers, body);
}

/**
 * Puts a request together, its types checked. The rules of HTTP and of grants are the host's.
 *
 * @param {string} url
 * @param {FetchOptions} options
 * @returns {WireFetch}
 * @throws {FetchError | TypeError | RangeError}
 */
function readRequest(url, options) {
  checkOptions(options);
  const { then, value, retries = 0 } = options;
  return {
    ...readParts(url, options),
    then: text(then, "the option `then` of fetch"),
    value: pack(value, "the value of fetch"),
    retries: integer(retries, "retries", 0, U32_MAX),
  };
}

/**
 * @param {string} url
 * @param {import("./types.js").FetchNowOptions} options
 * @returns {import("./types.js").WireAsked}
 */
function readParts(url, options) {
  const { method = "GET", timeout } = options;
  const headers = readHeaders(options);
  return {
    method: text(method, "the method of fetch"),
    url: text(url, "the address of fetch"),
    headers,
    body: readBody(options, headers),
    timeout:
      timeout === undefined
        ? undefined
        : Math.min(milliseconds(timeout, "the timeout of fetch"), U32_MAX),
  };
}

/**
 * @param {FetchOptions} options
 * @throws {FetchError} the result goes nowhere
 * @throws {TypeError} an option does not exist
 */
function checkOptions(options) {
  if (typeof options !== "object" || options === null)
    throw new TypeError(`the options of fetch are ${kind(options)}: give an object`);
  if (options.then === undefined || options.then === "") {
    throw new FetchError(
      "invalid",
      'the result goes nowhere: name a channel, as in then: "shop.charged", and list a consumer of it',
    );
  }
  knownOptions(options, OPTIONS, "fetch");
}

/**
 * @param {import("./types.js").FetchNowOptions} options
 * @returns {WireFetch["headers"]}
 */
function readHeaders({ headers, idempotencyKey }) {
  /** @type {WireFetch["headers"]} */
  const read = [];
  for (const [name, value] of fields(headers)) {
    const field = text(name, "the name of a header field");
    read.push([field, bytes(value, `the header field \`${field}\``)]);
  }
  if (idempotencyKey !== undefined)
    read.push(["idempotency-key", bytes(text(idempotencyKey, "the idempotencyKey of fetch"), "")]);
  return read;
}

/**
 * @param {import("./types.js").FetchNowOptions} options
 * @param {WireFetch["headers"]} headers get the type of JSON, unless they have one
 * @returns {Uint8Array}
 */
function readBody({ body, json }, headers) {
  if (json === undefined)
    return body === undefined ? new Uint8Array() : bytes(body, "the body of fetch");
  if (body !== undefined)
    throw new TypeError(`fetch has a body, which is ${kind(body)}, and json: give one of them`);
  if (!headers.some(([name]) => name.toLowerCase() === "content-type"))
    headers.push(["content-type", bytes("application/json", "")]);
  return bytes(toJson(json, "the option `json` of fetch"), "");
}
