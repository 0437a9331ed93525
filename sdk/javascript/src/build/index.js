/** Builds a module: one `.wasm` file of an application. */

import { createHash } from "node:crypto";
import { mkdir, rename, stat, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { locator } from "../component/places.js";
import { bundle } from "./bundle.js";
import { componentize } from "./componentize.js";
import { BuildError } from "./errors.js";

export { BuildError } from "./errors.js";

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
  const { code, world, table, inputs } = await bundle(source);
  const component = await componentize(code, { engine, world, locate: locator(table) });
  const target = resolve(output);
  await mkdir(dirname(target), { recursive: true });
  // In one move: a host that watches the file never meets half of it.
  const beside = `${target}.${process.pid}`;
  await writeFile(beside, component);
  await rename(beside, target);
  const digest = createHash("sha256").update(component).digest("hex");
  return { output, bytes: component.length, digest, inputs };
}

/** The folder of the contract that modules are built against. */
export const wit = resolve(dirname(fileURLToPath(import.meta.url)), "../../wit");
