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
  cursors: "app.ts",
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

/**
 * The files of cases of an example.
 *
 * @param {string} name
 */
export function cases(name) {
  const files = name === "chat" ? ["cases.json", "tests/remembered.json"] : ["cases.json"];
  return Promise.all(files.map((file) => readFile(new URL(`${name}/${file}`, EXAMPLES), "utf8")));
}
