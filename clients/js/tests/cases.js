/** The cases that hold for all clients, `clients/cases`. */

import { readFileSync } from "node:fs";

/** A table of cases, by the name of its file. */
export function cases(name) {
  return JSON.parse(readFileSync(new URL(`../../cases/${name}.json`, import.meta.url), "utf8"));
}
