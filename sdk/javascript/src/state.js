/** State that the host keeps with a WebSocket connection. */

import { pack, unpack } from "./content.js";
import { StateUnreadable } from "./errors.js";

// The map `{"schema": number, "state": state}`, with the keys in this order and the number in four
// bytes: the same as in the other SDKs, so that a module may change its language while connections
// are open.
const BEFORE_SCHEMA = Uint8Array.of(0x82, 0xa6, 0x73, 0x63, 0x68, 0x65, 0x6d, 0x61, 0xce);
const BEFORE_STATE = Uint8Array.of(0xa5, 0x73, 0x74, 0x61, 0x74, 0x65);
const HEAD = BEFORE_SCHEMA.length + 4 + BEFORE_STATE.length;

/**
 * @param {unknown} state
 * @param {number} schema
 * @returns {Uint8Array}
 */
export function write(state, schema) {
  const content = pack(state, "the state");
  const written = new Uint8Array(HEAD + content.length);
  written.set(BEFORE_SCHEMA);
  new DataView(written.buffer).setUint32(BEFORE_SCHEMA.length, schema);
  written.set(BEFORE_STATE, BEFORE_SCHEMA.length + 4);
  written.set(content, HEAD);
  return written;
}

/**
 * @template State
 * @param {Uint8Array} written
 * @param {number} schema
 * @param {((schema: number, old: any) => State) | undefined} migrate
 * @returns {State}
 * @throws {StateUnreadable}
 */
export function read(written, schema, migrate) {
  if (
    !startsWith(written, BEFORE_SCHEMA, 0) ||
    !startsWith(written, BEFORE_STATE, BEFORE_SCHEMA.length + 4)
  ) {
    throw new StateUnreadable("it was not written by an SDK of Tidegate");
  }
  const found = new DataView(written.buffer, written.byteOffset).getUint32(BEFORE_SCHEMA.length);
  let state;
  try {
    state = unpack(written.subarray(HEAD));
  } catch (error) {
    throw new StateUnreadable(/** @type {Error} */ (error).message);
  }
  if (found === schema) return /** @type {State} */ (state);
  if (!migrate) {
    throw new StateUnreadable(
      `state has schema ${found}, this version reads schema ${schema}: write \`migrate\``,
    );
  }
  try {
    return migrate(found, state);
  } catch (error) {
    throw new StateUnreadable(/** @type {Error} */ (error).message);
  }
}

/**
 * @param {Uint8Array} bytes
 * @param {Uint8Array} part
 * @param {number} at
 */
function startsWith(bytes, part, at) {
  return bytes.length >= at + part.length && part.every((byte, i) => bytes[at + i] === byte);
}
