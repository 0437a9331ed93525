/** The contract's rules about names, headers, status, close codes and content. */

import { decode } from "@msgpack/msgpack";

import { kind } from "../bytes.js";

/** @typedef {import("../types.js").WireHeader} WireHeader */

/** What the layer takes by default: a body of 1 MiB and 64 KiB for the rest. */
export const CONTENT_MAX = (1024 + 64) * 1024;
export const STATE_MAX = 16 * 1024;
export const OUTBOX_MAX = 1000;
export const OUTBOX_BYTES_MAX = 8 * 1024 * 1024;
export const HOLD_MAX = 60 * 60 * 1000;
export const DELAY_MAX = 24 * 60 * 60 * 1000;

/** Of the id of a user, and of the key of a member. */
export const ID_BYTES_MAX = 256;

const NAME_MAX = 99;
const REASON_MAX = 123;
const DEPTH_MAX = 32;
const OF_CONNECTION = new Set([
  "connection",
  "transfer-encoding",
  "upgrade",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "content-length",
]);

/**
 * A refusal of the host, as the bindings of a component throw it.
 *
 * @param {object} payload the error of the contract
 * @returns {Error}
 */
export function refusal(payload) {
  return Object.assign(new Error("the host refused it"), { payload });
}

/**
 * The error of the contract in a refusal.
 *
 * @param {unknown} error
 * @returns {{ tag: string, val: any }}
 */
export function payloadOf(error) {
  return /** @type {{ payload: { tag: string, val: any } }} */ (error).payload;
}

/**
 * @param {string} tag
 * @param {string} val
 */
export function refuse(tag, val) {
  throw refusal({ tag, val });
}

/**
 * Runs a check whose refusals have words of their own where there is but `invalid`, besides `forbidden`.
 *
 * @param {() => void} check
 * @param {string} [before] what stands before the text
 */
export function asInvalid(check, before = "") {
  try {
    check();
  } catch (error) {
    const { tag, val } = payloadOf(error);
    const isSize = tag === "too-large";
    const rule = isSize ? `content of ${val.bytes} bytes, and the limit is ${val.limit}` : val;
    refuse(tag === "forbidden" ? tag : "invalid", before + rule);
  }
}

/** @param {string} text */
export function checkName(text) {
  const size = Buffer.byteLength(text);
  if (size < 1 || size > NAME_MAX) {
    refuse(
      "invalid-name",
      `name ${JSON.stringify(text)}: has ${size} bytes, and 1 to ${NAME_MAX} are allowed`,
    );
  }
  const bad = [...text].find((character) => !/[A-Za-z0-9._-]/.test(character));
  if (bad !== undefined) {
    refuse(
      "invalid-name",
      `name ${JSON.stringify(text)}: '${bad}' is not one of a-z A-Z 0-9 . _ -`,
    );
  }
}

/**
 * Whether a text may be the id of a user, or the key of a member.
 *
 * @param {string} text
 */
export function isId(text) {
  return text !== "" && Buffer.byteLength(text) <= ID_BYTES_MAX && !/\p{Cc}/u.test(text);
}

/**
 * A channel: a name, or a reply channel with one `!` in it.
 *
 * @param {string} text
 */
export function checkChannel(text) {
  const at = text.indexOf("!");
  if (at < 0 || Buffer.byteLength(text) > NAME_MAX) return checkName(text);
  checkName(text.slice(0, at));
  checkName(text.slice(at + 1));
}

/**
 * What a module may be called.
 *
 * @param {string} text
 */
export function isModule(text) {
  return /^[a-z0-9-]{1,63}$/.test(text);
}

/** @param {Uint8Array} content */
export function checkContent(content) {
  if (content.length > CONTENT_MAX) {
    throw refusal({ tag: "too-large", val: { bytes: content.length, limit: CONTENT_MAX } });
  }
  let value;
  try {
    value = decode(content, { useBigInt64: true });
  } catch (error) {
    return refuse("invalid-content", /** @type {Error} */ (error).message);
  }
  if (
    typeof value !== "object" ||
    value === null ||
    Array.isArray(value) ||
    ArrayBuffer.isView(value)
  ) {
    refuse("invalid-content", "the content is not a map; send a map with text keys");
  }
  if (depth(value) > DEPTH_MAX)
    refuse("invalid-content", `maps and lists are nested deeper than ${DEPTH_MAX}`);
}

/**
 * @param {unknown} value
 * @returns {number}
 */
function depth(value) {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depth));
}

/** @param {number} status */
export function checkStatus(status) {
  if (status < 200 || status > 599) refuse("invalid", `status ${status} is not from 200 to 599`);
}

/** @param {WireHeader[]} headers */
export function checkHeaders(headers) {
  for (const { name, value } of headers) {
    const wrong = (/** @type {string} */ what) =>
      refuse("invalid", `header ${JSON.stringify(name)}: ${what}`);
    if (!(value instanceof Uint8Array)) throw new TypeError(`header ${name} is ${kind(value)}`);
    if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name)) wrong("the name is no token");
    if (OF_CONNECTION.has(name.toLowerCase()))
      wrong("belongs to the connection, which is the host's");
    if (value.some((byte) => (byte < 0x20 && byte !== 0x09) || byte === 0x7f))
      wrong("the value has a control character");
    if (isSpace(value.at(0)) || isSpace(value.at(-1)))
      wrong("the value starts or ends with white space");
  }
}

/** @param {number | undefined} byte */
function isSpace(byte) {
  return byte === 0x20 || byte === 0x09;
}

/**
 * @param {number} code
 * @param {string} reason
 */
export function checkClose(code, reason) {
  if (code !== 1000 && !(code >= 3000 && code <= 4999)) {
    refuse("invalid", `close code ${code} is neither 1000 nor from 3000 to 4999`);
  }
  const size = Buffer.byteLength(reason);
  if (size > REASON_MAX) refuse("invalid", `a close reason of ${size} bytes is over ${REASON_MAX}`);
}
