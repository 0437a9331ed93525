/** The rules of the host about requests to servers outside, and the forms of their messages. */

import { pack } from "../content.js";
import * as rules from "./rules.js";

/** @typedef {import("../types.js").WireFetch} WireFetch */

/** Methods that may be repeated without doing something twice (RFC 9110, section 9.2.2). */
const IDEMPOTENT = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"];
const METHODS = [...IDEMPOTENT, "POST", "PATCH"];
const RETRIES_MAX = 10;
/** A result without an answer is larger than its request by less than 2 KiB. */
const REQUEST_MAX = rules.CONTENT_MAX - 2 * 1024;
const IDEMPOTENCY_KEY = "idempotency-key";
const OF_THE_HOST = new Set([
  "host",
  "content-length",
  "transfer-encoding",
  "connection",
  "te",
  "trailer",
  "upgrade",
  "proxy-authorization",
  "keep-alive",
]);
/** @type {Record<string, string>} */
const DEFAULT_PORTS = { https: ":443", http: ":80" };

/** @param {string} text */
function invalid(text) {
  return /** @type {never} */ (rules.refuse("invalid", text));
}

/**
 * Checks all of a request but its server and its channel.
 *
 * @param {WireFetch} request
 */
export function checkFetch(request) {
  const { method, headers, retries, timeout } = request;
  if (!METHODS.includes(method)) {
    invalid(
      `${JSON.stringify(method)} is not a method of a request; use GET, POST, PUT, PATCH, DELETE, HEAD or OPTIONS`,
    );
  }
  for (const [name, value] of headers) checkHeader(name, value);
  if (retries > RETRIES_MAX)
    invalid(`a request is made again ${RETRIES_MAX} times at most, not ${retries}`);
  const isKeyed = headers.some(([name]) => name.toLowerCase() === IDEMPOTENCY_KEY);
  if (retries > 0 && !isKeyed && !IDEMPOTENT.includes(method)) {
    invalid(
      `a ${method} is not idempotent, so that a server may do it twice if it is made again; give the header field ${IDEMPOTENCY_KEY} with a value by which the server knows repeats, or no retries`,
    );
  }
  if (timeout === 0) invalid("a timeout is at least 1 ms");
  checkSize(request);
}

/**
 * @param {string} name
 * @param {Uint8Array} value
 */
export function checkHeader(name, value) {
  const isToken = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name);
  if (!isToken || value.some((byte) => (byte < 0x20 && byte !== 0x09) || byte === 0x7f)) {
    invalid(
      `the header field ${JSON.stringify(name)} has a name or a value that HTTP does not allow`,
    );
  }
  if (OF_THE_HOST.has(name.toLowerCase()))
    invalid(`the header field ${name.toLowerCase()} is written by the host; leave it out`);
}

/** @param {WireFetch} request */
function checkSize({ value, ...told }) {
  const content = withValue(told, value);
  if (content.length > REQUEST_MAX)
    invalid(`a request has at most ${REQUEST_MAX} bytes in all; this one has ${content.length}`);
  try {
    rules.checkContent(content);
  } catch (error) {
    invalid(`the value that comes back with the result: ${rules.payloadOf(error).val}`);
  }
}

/**
 * The content of a message that has a value as it was written.
 *
 * @param {Record<string, unknown>} told
 * @param {Uint8Array} value
 * @returns {Uint8Array}
 */
export function withValue(told, value) {
  // Null, in whose place it stands, is one byte.
  const content = pack({ ...told, value: null }, "a message").subarray(0, -1);
  return new Uint8Array(Buffer.concat([content, value]));
}

/**
 * Scheme, host and port of a URL, as a grant writes them; the port only if it is not that of the scheme.
 *
 * @param {string} url
 * @returns {string}
 */
export function serverOf(url) {
  const [, scheme, authority] = /^([^/?#]*?):\/\/([^/?#]*)/.exec(url) ?? [];
  if (scheme === undefined || authority === undefined)
    return invalid(
      'the URL is not valid: it has no ://; write it as "https://api.example.com/path"',
    );
  const port = DEFAULT_PORTS[scheme];
  if (port === undefined)
    return invalid(
      'the scheme of the URL is neither https nor http; write "https://" before the host',
    );
  if (authority === "")
    invalid('the URL is not valid: it has no host; write it as "https://api.example.com/path"');
  if (authority.includes("@")) {
    invalid(
      "the URL has a user name or a password; take them out, and send them in the header field `authorization`",
    );
  }
  const host = authority.toLowerCase();
  return `${scheme}://${host.endsWith(port) ? host.slice(0, -port.length) : host}`;
}

/**
 * Whether a grant, a host with or without a scheme, or `*.` and the end of a host, names a server.
 *
 * @param {string} granted
 * @param {string} server
 * @returns {boolean}
 */
export function names(granted, server) {
  if (granted.includes("://")) return granted === server;
  const host = server.slice(server.indexOf("://") + 3);
  if (!granted.startsWith("*")) return host === granted;
  return host.endsWith(granted.slice(1)) && host.length > granted.length - 1;
}
