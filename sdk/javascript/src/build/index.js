/** Builds a module: one `.wasm` file of an application. */

import { createHash } from "node:crypto";
import { mkdir, rename, stat, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";

import { locator } from "../component/places.js";
import { bundle } from "./bundle.js";
import { componentize } from "./componentize.js";
import { BuildError, OtherWorld } from "./errors.js";

export { BuildError } from "./errors.js";
export { WIT as wit } from "./world.js";

/**
 * @typedef {object} Options
 * @property {string} entry the file whose default export is the application
 * @property {string} output the file to write
 * @property {import("./componentize.js").Engine} [engine] `quickjs` if not given
 *
 * @typedef {object} Built
 * @property {string} output the file
 * @property {number} bytes its size
 * @property {string} digest its SHA-256, in hexadecimal digits
 * @property {string[]} inputs the files that it is made of
 */

/**
 * @param {Options} options
 * @returns {Promise<Built>}
 * @throws {BuildError} the application cannot be built
 */
export async function build({ entry, output, engine = "quickjs" }) {
  const source = resolve(entry);
  const found = await stat(source).catch(() => undefined);
  if (!found?.isFile())
    throw new BuildError(
      `${entry}: there is no such file: name the one that has \`export default app({ ... })\``,
    );
  const { component, inputs } = await make(source, engine);
  const target = resolve(output);
  await mkdir(dirname(target), { recursive: true });
  // In one move: a host that watches the file never meets half of it.
  const beside = `${target}.${process.pid}`;
  await writeFile(beside, component);
  await rename(beside, target);
  const digest = createHash("sha256").update(component).digest("hex");
  return { output, bytes: component.length, digest, inputs };
}

/**
 * Makes the component in the world that fits.
 *
 * @param {string} source
 * @param {import("./componentize.js").Engine} engine
 */
async function make(source, engine) {
  const first = await bundle(source);
  try {
    return { component: await evaluate(first, engine), inputs: first.inputs };
  } catch (error) {
    if (!(error instanceof OtherWorld)) throw error;
    // The names in the code misled. The consumers that the application lists decide.
    const other = await bundle(source, error.decided);
    return { component: await evaluate(other, engine), inputs: other.inputs };
  }
}

/**
 * @param {import("./bundle.js").Bundle} bundled
 * @param {import("./componentize.js").Engine} engine
 */
function evaluate({ code, parts, table }, engine) {
  return componentize(code, { engine, parts, locate: locator(table) });
}
