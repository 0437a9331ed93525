/**
 * Writes the world of a module: what its code uses and declares, and no more, so that it runs on every
 * host that knows that much.
 */

import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of the contract that modules are built against. */
export const WIT = resolve(dirname(fileURLToPath(import.meta.url)), "../../wit");

/**
 * The name of `wasi` in the packages that requests need, as long as the real one. `componentize-qjs` has `wasi:io` of its
 * own while it evaluates a module, and no `wasi:http` that fits it. `strip.js` writes the real name into the component.
 */
export const OWN_WASI = "wasx";

/** The name of the world that is written. */
export const WORLD = "built";

/**
 * A part that not every module has: a world of `tidegate:channels@0.1.1`, or with `outgoing` what of WASI makes requests.
 *
 * @typedef {"storing" | "fetching" | "outgoing" | "knowing-messages" | "meeting" | "remembering"
 *   | "reaching-users" | "holding-sessions"
 *   | import("../component/declarations.js").Decided} Part
 */

/**
 * The text of the world.
 *
 * @param {readonly Part[]} parts
 * @returns {string}
 */
export function worldText(parts) {
  const included = parts.filter((part) => part !== "outgoing");
  const worlds = ["plain", ...included.map((part) => `tidegate:channels/${part}@0.1.1`)];
  const imports = parts.includes("outgoing") ? [`${OWN_WASI}:http/outgoing-handler@0.2.4`] : [];
  return [
    "package tidegate:javascript;",
    `world ${WORLD} {`,
    ...worlds.map((world) => `    include ${world};`),
    ...imports.map((name) => `    import ${name};`),
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
    for (const name of ["io/io.wit", "http/http.wit"]) {
      const text = await readFile(join(WIT, "deps", name), "utf8");
      await writeFile(join(folder, "deps", name), text.replaceAll("wasi:", `${OWN_WASI}:`));
    }
    await writeFile(join(folder, `${WORLD}.wit`), worldText(parts));
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}
