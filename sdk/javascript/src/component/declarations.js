/** Declarations of a module about its consumers, besides their routes. */

import { pack } from "../content.js";
import { enter } from "./phase.js";

/** @typedef {import("../app.js").App} App */

/** The build takes another world where an error has these words. It gets the text of errors alone. */
export const MISFIT = "the world does not fit the module";

/**
 * Refuses an application that does not fit the world. A host before 0.1.1 refuses `declarations`, so
 * only a module that has some exports it.
 *
 * @param {App} app
 * @param {boolean} isDeclaring whether the module exports `declarations`
 */
export function checkWorld(app, isDeclaring) {
  const scheduled = app.entries.find(({ schedule }) => schedule);
  if (scheduled && !isDeclaring) {
    const { name } = scheduled;
    throw new Error(`${MISFIT}: \`${name}\` has a schedule, and declarations are not exported`);
  }
  if (!scheduled && isDeclaring)
    throw new Error(`${MISFIT}: declarations are exported, and no consumer has a schedule`);
}

/**
 * @param {App} app
 */
export function declarations(app) {
  return {
    /** @returns {Uint8Array} a map by consumer, of maps */
    declare() {
      enter();
      const scheduled = app.entries.filter(({ schedule }) => schedule);
      return pack(new Map(scheduled.map(({ name, schedule }) => [name, { schedule }])), "declare");
    },
  };
}
