/** Finds out whether code uses the store or timers: a module that does not runs on hosts without them. */

import { readFile } from "node:fs/promises";
import { extname } from "node:path";

import { transform } from "esbuild";

/** What the context has for them. */
const PROPERTIES = /^(store|timer|sendAt)$/;

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
 * Whether a file names such a property, as in `cx.store`, `cx["store"]` or `({ store })`. Variables,
 * texts and comments do not count.
 *
 * @param {string[]} paths files that esbuild has read without an error
 * @returns {Promise<boolean>}
 */
export async function namesStore(paths) {
  const found = await Promise.all(paths.map(namesStoreIn));
  return found.includes(true);
}

/** @param {string} path */
async function namesStoreIn(path) {
  const loader = LOADERS[extname(path)];
  if (!loader) return false;
  const text = await readFile(path, "utf8");
  if (!/store|timer|sendAt/.test(text)) return false;
  // esbuild is asked to rename these properties, and tells which it has met.
  const { mangleCache } = await transform(text, {
    loader,
    mangleProps: PROPERTIES,
    mangleQuoted: true,
    mangleCache: {},
    logLevel: "silent",
  });
  return Object.keys(mangleCache).length > 0;
}
