/**
 * Takes the engine's `init` out of a component's exports, since the build alone calls it, and gives imports the names
 * that hosts know.
 */

import { OWN_WASI } from "./world.js";

const IMPORTS = 10;
const EXPORTS = 11;
const ALIASES = 6;

/** One export, of a function, under the name `init`. */
const INIT = /^\x01\x00\x04init\x01[^]{1,5}\x00$/;

/**
 * @param {Uint8Array} component
 * @returns {Uint8Array}
 * @throws {Error} the file is not a component of the form that is known
 */
export function stripInit(component) {
  const sections = [...split(component)];
  const at = sections.findIndex(({ id, content }) => id === EXPORTS && INIT.test(latin(content)));
  // An export of a function makes a number for it. Nothing behind may count on that number.
  const isLast = sections.slice(at + 1).every(({ id }) => id === EXPORTS || id === ALIASES);
  if (at < 0 || !isLast) {
    throw new Error(
      "the engine's component has another form than its pinned version makes: install the pinned tools with `npm ci`",
    );
  }
  return Buffer.concat([
    component.subarray(0, 8),
    ...sections.filter((_, i) => i !== at).map(({ whole }) => whole),
  ]);
}

/**
 * Writes `wasi` for the name that our copies of its packages have. Nothing else in a component names its imports: the
 * rest counts them.
 *
 * @param {Uint8Array} component
 * @returns {Uint8Array}
 */
export function nameImports(component) {
  const named = Uint8Array.from(component);
  const own = Buffer.from(`${OWN_WASI}:`);
  for (const { id, content } of split(named)) {
    if (id !== IMPORTS) continue;
    const section = Buffer.from(content.buffer, content.byteOffset, content.length);
    for (let at = section.indexOf(own); at >= 0; at = section.indexOf(own, at))
      section.write("wasi:", at);
  }
  return named;
}

/** @param {Uint8Array} bytes */
function latin(bytes) {
  return Buffer.from(bytes).toString("latin1");
}

/**
 * The top sections of a component.
 *
 * @param {Uint8Array} component
 * @returns {Generator<{ id: number, content: Uint8Array, whole: Uint8Array }>}
 */
export function* split(component) {
  let at = 8;
  while (at < component.length) {
    const begin = at;
    const id = /** @type {number} */ (component[at++]);
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = component[at++];
      if (byte === undefined) throw new Error("the component is cut off");
      size |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    yield {
      id,
      content: component.subarray(at, at + size),
      whole: component.subarray(begin, at + size),
    };
    at += size;
  }
}
