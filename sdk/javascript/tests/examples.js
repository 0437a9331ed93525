/** The examples in JavaScript and TypeScript, with the cases that they share with those in Rust. */

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const EXAMPLES = new URL("../../../examples/", import.meta.url);

/** Each example and its file. */
export const examples = {
  auction: "app.ts",
  hello: "app.js",
  echo: "app.js",
  chat: "app.js",
  jobs: "app.ts",
  members: "app.ts",
};

/**
 * @param {string} name
 * @param {string} file
 */
export function source(name, file) {
  return fileURLToPath(new URL(`javascript/${name}/${file}`, EXAMPLES));
}

/** @param {string} name */
export function cases(name) {
  return readFile(new URL(`${name}/cases.json`, EXAMPLES), "utf8");
}
