/** Requests that a run waits for, by `wasi:http`, where the code of the application names them. */

import { handle } from "wasx:http/outgoing-handler@0.2.4";
import {
  Fields,
  OutgoingBody,
  OutgoingRequest,
  RequestOptions,
} from "wasx:http/types@0.2.4";

import { host } from "./host.js";

/** @typedef {import("../types.js").WireAsked} WireAsked */
/** @typedef {import("../types.js").WireAnswer} WireAnswer */

/** Bytes that are written at once. */
const CHUNK_MAX = 4096;
/** Bytes that are read at once. */
const READ_MAX = 64 * 1024;
const NANOSECONDS = 1_000_000;

const METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];

/** @type {Record<string, { tag: string }>} */
const SCHEMES = { https: { tag: "HTTPS" }, http: { tag: "HTTP" } };

/** The word for each failure of the host that is not `broken`. @type {Record<string, string>} */
const REASONS = {
  "destination-IP-prohibited": "refused",
  "HTTP-request-denied": "refused",
  "DNS-error": "resolve",
  "connection-refused": "connect",
  "TLS-certificate-error": "tls",
  "connection-read-timeout": "timeout",
};

host.outgoing = { send };

/**
 * @param {WireAsked} asked
 * @returns {WireAnswer}
 */
function send(asked) {
  const request = outgoing(asked);
  const options = new RequestOptions();
  if (asked.timeout !== undefined)
    valid("timeout", () => options.setFirstByteTimeout(Number(asked.timeout) * NANOSECONDS));
  const body = valid("body", () => request.body());
  const coming = told(() => handle(request, options));
  try {
    write(body, asked.body);
    wait(coming);
    const found = coming.get();
    // The first result says whether it was taken before, the second is that of the request.
    const outcome = found?.val;
    if (outcome?.tag === "ok") return read(outcome.val);
    throw outcome ? failure(outcome.val) : failed("broken", "no answer came");
  } finally {
    drop(coming);
  }
}

/** @param {WireAsked} asked */
function outgoing({ method, url, headers, body }) {
  const [, scheme = "", authority = "", path = ""] = /^([^:]*):\/\/([^/?]*)([^]*)$/.exec(url) ?? [];
  if (!scheme || !authority) throw failed("invalid", "the URL of the request is not one");
  const known = SCHEMES[scheme];
  if (!known) throw failed("invalid", "the scheme of the URL is neither https nor http");
  const fields = new Fields();
  for (const [name, value] of headers)
    valid(`header field ${JSON.stringify(name)}`, () => fields.append(name, value));
  if (body.length > 0)
    valid("length", () => fields.append("content-length", ascii(String(body.length))));
  const request = new OutgoingRequest(fields);
  const isKnown = METHODS.includes(method);
  const named = isKnown ? { tag: method.toLowerCase() } : { tag: "other", val: method };
  valid("method", () => request.setMethod(named));
  valid("scheme", () => request.setScheme(known));
  valid("host", () => request.setAuthority(authority));
  valid("path", () => request.setPathWithQuery(path.startsWith("/") ? path : `/${path}`));
  return request;
}

/** @param {string} text */
function ascii(text) {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

/**
 * @param {any} body
 * @param {Uint8Array} bytes
 */
function write(body, bytes) {
  const stream = valid("body", () => body.write());
  try {
    for (let at = 0; at < bytes.length; at += CHUNK_MAX)
      stream.blockingWriteAndFlush(bytes.subarray(at, at + CHUNK_MAX));
  } catch {
    // Whoever does not read it says why in the answer, or in its place.
  } finally {
    drop(stream);
  }
  try {
    OutgoingBody.finish(body, null);
  } catch {
    // Likewise.
  }
}

/** @param {any} coming */
function wait(coming) {
  const pollable = coming.subscribe();
  pollable.block();
  drop(pollable);
}

/**
 * @param {any} response
 * @returns {WireAnswer}
 */
function read(response) {
  const fields = response.headers();
  const headers = fields
    .entries()
    .map((/** @type {[string, Uint8Array]} */ [name, value]) => ({ name, value }));
  drop(fields);
  const status = response.status();
  const body = valid("answer", () => response.consume());
  const stream = valid("answer", () => body.stream());
  try {
    return { status, headers, body: readAll(stream) };
  } finally {
    for (const resource of [stream, body, response]) drop(resource);
  }
}

/** @param {any} stream */
function readAll(stream) {
  /** @type {Uint8Array[]} */
  const parts = [];
  for (;;) {
    try {
      parts.push(Uint8Array.from(stream.blockingRead(READ_MAX)));
    } catch (error) {
      const ended = /** @type {any} */ (error)?.payload;
      if (ended?.tag === "closed") return joined(parts);
      if (ended?.tag !== "last-operation-failed") throw error;
      throw failed("broken", ended.val.toDebugString());
    }
  }
}

/** @param {Uint8Array[]} parts */
function joined(parts) {
  const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** @param {any} resource */
function drop(resource) {
  resource[Symbol.dispose]();
}

/**
 * @template T
 * @param {string} part
 * @param {() => T} call
 * @returns {T}
 */
function valid(part, call) {
  try {
    return call();
  } catch {
    throw failed("invalid", `the ${part} of the request is not one`);
  }
}

/**
 * @template T
 * @param {() => T} call
 * @returns {T}
 */
function told(call) {
  try {
    return call();
  } catch (error) {
    const code = /** @type {any} */ (error)?.payload;
    throw code?.tag === undefined ? error : failure(code);
  }
}

/** @param {{ tag: string, val?: any }} code */
function failure({ tag, val }) {
  // The guard names the setting.
  if (tag === "internal-error" && val) return failed("refused", val);
  const more = val?.rcode ?? val?.alertMessage;
  return failed(REASONS[tag] ?? "broken", more ? `${tag}: ${more}` : tag);
}

/**
 * @param {string} reason
 * @param {string} text
 */
function failed(reason, text) {
  return Object.assign(new Error(text), { payload: { tag: reason, val: text } });
}
