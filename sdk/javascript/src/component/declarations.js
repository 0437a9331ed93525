/** Declarations of a module about its consumers, besides their routes. */

import { pack } from "../content.js";
import { enter } from "./phase.js";

/** @typedef {import("../app.js").App} App */

/** The build takes another world where an error has these words, with the names of what it declares behind them. */
export const MISFIT = "the world does not fit the module, which needs:";

/**
 * What only the consumers that an application lists can tell: whether it exports `declarations`, and
 * whether it imports `users`. A host before 0.1.1 refuses both, so only a module that needs them has them.
 *
 * @typedef {"declaring" | "knowing-users"} Decided
 */

/** @type {readonly Decided[]} */
export const DECIDED = ["declaring", "knowing-users"];

/**
 * Refuses an application that does not fit the world.
 *
 * @param {App} app
 * @param {readonly Decided[]} given what the world has
 */
export function checkWorld(app, given) {
  const asks = app.entries.some(({ access }) => access);
  const declares = app.entries.some(declarationsOf);
  const needed = DECIDED.filter((part) => (part === "declaring" ? declares : asks));
  if (needed.join() !== DECIDED.filter((part) => given.includes(part)).join())
    throw new Error(`${MISFIT} ${needed.join(" ") || "nothing"}`);
}

/**
 * @param {App} app
 */
export function declarations(app) {
  return {
    /** @returns {Uint8Array} a map by consumer, of maps */
    declare() {
      enter();
      const declared = app.entries.map((entry) => [entry.name, declarationsOf(entry)]);
      return pack(Object.fromEntries(declared.filter(([, of]) => of)), "declare");
    },
  };
}

/**
 * @param {import("../app.js").Entry} entry
 * @returns {object | undefined} `undefined` where there are none
 */
function declarationsOf({ schedule, access, presence, history, resume }) {
  const told = presence && presenceOf(presence);
  const declared = { schedule, ...accessOf(access), presence: told, history, resume };
  return Object.values(declared).some(Boolean) ? declared : undefined;
}

/** @param {import("../app.js").Entry["access"]} access */
function accessOf(access) {
  if (!access) return undefined;
  const { user = "required", claims } = access;
  return Object.keys(claims).length > 0 ? { user, claims } : { user };
}

/** @param {import("../types.js").WirePresence} presence */
function presenceOf({ leaveAfter, ...others }) {
  return { ...others, leave_after: leaveAfter };
}
