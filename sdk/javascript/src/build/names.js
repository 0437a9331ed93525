/** Finds the parts of newer contracts that code uses: a module without them runs on older hosts. */

import { readFile } from "node:fs/promises";
import { extname } from "node:path";

import { transform } from "esbuild";

/** Properties of the context for the store and the timers. */
const STORING = ["store", "timer", "sendAt"];
/** The option of a consumer that is run by the clock. */
const DECLARING = ["schedule"];
const NAMES = [...STORING, ...DECLARING].join("|");
const PROPERTIES = new RegExp(`^(${NAMES})$`);
const MENTIONS = new RegExp(NAMES);

/** @type {Record<string, import("esbuild").Loader>} */
const LOADERS = {
  ".js": "js",
  ".cjs": "js",
  ".mjs": "js",
  ".jsx": "jsx",
  ".ts": "ts",
  ".cts": "ts",
  ".mts": "ts",
  ".tsx": "tsx",
};

/**
 * Finds properties that files name, as in `cx.store`, `cx["store"]` or `({ store })`. Variables, texts
 * and comments do not count.
 *
 * @param {string[]} paths files that esbuild has read without an error
 * @returns {Promise<{ isStoring: boolean, isDeclaring: boolean }>}
 */
export async function parts(paths) {
  const found = new Set((await Promise.all(paths.map(named))).flat());
  return {
    isStoring: STORING.some((name) => found.has(name)),
    isDeclaring: DECLARING.some((name) => found.has(name)),
  };
}

/**
 * @param {string} path
 * @returns {Promise<string[]>}
 */
async function named(path) {
  const loader = LOADERS[extname(path)];
  if (!loader) return [];
  const text = await readFile(path, "utf8");
  if (!MENTIONS.test(text)) return [];
  // esbuild is asked to rename these properties, and tells which it has met.
  const { mangleCache } = await transform(text, {
    loader,
    mangleProps: PROPERTIES,
    mangleQuoted: true,
    mangleCache: {},
    logLevel: "silent",
  });
  return Object.keys(mangleCache);
}
