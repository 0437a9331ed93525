/**
 * Writes the world of a module: what its code uses and declares, and no more, so that it runs on every
 * host that knows that much.
 */

import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of the contract that modules are built against. */
export const WIT = resolve(dirname(fileURLToPath(import.meta.url)), "../../wit");

/** The name of the world that is written. */
export const WORLD = "built";

/**
 * A part of the contract that not every module has: a world of `tidegate:channels@0.1.1`.
 *
 * @typedef {"storing" | "fetching" | "knowing-messages" | import("../component/declarations.js").Decided} Part
 */

/**
 * The text of the world.
 *
 * @param {readonly Part[]} parts
 * @returns {string}
 */
export function worldText(parts) {
  const includes = ["plain", ...parts.map((part) => `tidegate:channels/${part}@0.1.1`)];
  return [
    "package tidegate:javascript;",
    `world ${WORLD} {`,
    ...includes.map((world) => `    include ${world};`),
    "}\n",
  ].join("\n");
}

/**
 * Makes a folder of the contract with the world in it, for as long as `use` needs it.
 *
 * @template T
 * @param {readonly Part[]} parts
 * @param {(folder: string) => Promise<T>} use
 * @returns {Promise<T>}
 */
export async function withWorld(parts, use) {
  const folder = await mkdtemp(join(tmpdir(), "tidegate-wit-"));
  try {
    await cp(WIT, folder, { recursive: true });
    await writeFile(join(folder, `${WORLD}.wit`), worldText(parts));
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}
