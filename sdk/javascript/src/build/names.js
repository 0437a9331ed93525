/** Finds the parts of newer contracts that code uses: a module without them runs on older hosts. */

import { readFile } from "node:fs/promises";
import { extname } from "node:path";

import { transform } from "esbuild";

/** @typedef {import("./world.js").Part} Part */

/**
 * The properties that name a part: those of the context for the store, the timers, requests, messages, members,
 * connections of users, histories and sessions, and the options by which consumers declare something. Much has
 * properties of the names with parentheses: those count where they are called.
 *
 * @type {[Part, string[]][]}
 */
const PARTS = [
  ["storing", ["store", "timer", "sendAt", "session()", "throttle()"]],
  ["fetching", ["fetch"]],
  ["outgoing", ["fetchNow"]],
  ["knowing-messages", ["messageId", "attempt"]],
  ["meeting", ["present()", "presentUser()", "members()", "memberCount()"]],
  ["reaching-users", ["connectionsOf"]],
  ["remembering", ["groupJoin()", "history()"]],
  ["holding-sessions", ["session()", "sessions()"]],
  ["declaring", ["schedule", "user", "claims", "presence", "history", "resume"]],
  ["knowing-users", ["user", "claims"]],
];
/** Many files name a property `user`. The option has one of two values. */
const ASKS = /(["'`])(required|optional)\1/;
const NAMES = PARTS.flatMap(([, names]) => names.map((name) => name.replace("()", ""))).join("|");
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
 * @returns {Promise<Part[]>}
 */
export async function partsOf(paths) {
  const found = new Set((await Promise.all(paths.map(named))).flat());
  return PARTS.filter(([, names]) => names.some((name) => found.has(name))).map(([part]) => part);
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
  const { code, mangleCache } = await transform(text, {
    loader,
    mangleProps: PROPERTIES,
    mangleQuoted: true,
    mangleCache: {},
    logLevel: "silent",
  });
  return Object.entries(mangleCache).flatMap(([name, renamed]) => {
    if (name === "user" && !ASKS.test(text)) return [];
    return calls(String(renamed)).test(code) ? [name, `${name}()`] : [name];
  });
}

/**
 * A call of a property, in code that esbuild has written.
 *
 * @param {string} name
 */
function calls(name) {
  return new RegExp(`\\.${name.replaceAll("$", "\\$")}(\\?\\.)?\\(`);
}
