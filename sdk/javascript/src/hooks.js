/** How Node loads what the build bundles: texts, bytes and TypeScript. */

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { transform } from "esbuild";

import { readSpecifier } from "./build/files.js";

/**
 * @param {string} url
 * @param {object} context
 * @param {(url: string, context: object) => Promise<object>} next
 */
export async function load(url, context, next) {
  const file = readSpecifier(url);
  if (file) {
    const contents = await readFile(fileURLToPath(file.path));
    const source =
      file.as === "text"
        ? `export default ${JSON.stringify(contents.toString())};`
        : `export default Uint8Array.from(Buffer.from(${JSON.stringify(contents.toString("base64"))}, "base64"));`;
    return { format: "module", source, shortCircuit: true };
  }
  if (!/\.[cm]?ts$/.test(url)) return next(url, context);
  const source = await readFile(fileURLToPath(url), "utf8");
  const { code } = await transform(source, {
    loader: "ts",
    format: "esm",
    sourcemap: "inline",
    sourcefile: url,
  });
  return { format: "module", source: code, shortCircuit: true };
}
