/** Turns a bundle into a component with the engine in it. */

import { DECIDED, MISFIT } from "../component/declarations.js";
import { BuildError, OtherWorld } from "./errors.js";
import { nameImports, stripInit } from "./strip.js";
import { WORLD, withWorld } from "./world.js";

/** @typedef {"quickjs"} Engine */

/**
 * @param {string} code
 * @param {{ engine: Engine, parts: import("./world.js").Part[], locate: import("../fault.js").Locate }} options
 * @returns {Promise<Uint8Array>}
 * @throws {BuildError}
 */
export async function componentize(code, { engine, parts, locate }) {
  if (engine !== "quickjs")
    throw new BuildError(`there is no engine ${JSON.stringify(engine)}: give quickjs`);
  const { componentize: quickjs } = await import("componentize-qjs").catch((error) => {
    throw new BuildError(
      `componentize-qjs has no build for this machine (${process.platform}, ${process.arch}): ${error.message}`,
    );
  });
  try {
    // The default is for hosts of WASI 0.3; `sync` is what today's take.
    const options = { jsSource: code, world: WORLD, sync: true };
    const made = await withWorld(parts, (witPath) => quickjs({ witPath, ...options }));
    return nameImports(stripInit(made.component));
  } catch (error) {
    const text = explain(/** @type {Error} */ (error).message, locate);
    const [, needed] = text.split(`${MISFIT} `);
    if (needed === undefined) throw new BuildError(text, { cause: error });
    const words = needed.split("\n", 1)[0]?.split(" ") ?? [];
    throw new OtherWorld(DECIDED.filter((part) => words.includes(part)));
  }
}

/**
 * The message of the engine, with the places of the sources.
 *
 * @param {string} message
 * @param {import("../fault.js").Locate} locate
 */
function explain(message, locate) {
  const thrown =
    /Failed to finish JavaScript module evaluation: ([^]*)$/.exec(message)?.[1] ?? message;
  const lines = thrown
    .trimEnd()
    .split("\n")
    .map((line) => {
      const frame = /^\s+at (.*)$/.exec(line)?.[1];
      if (frame === undefined) return line;
      const place = locate(frame);
      return place && `    at ${place}`;
    });
  return lines.filter((line) => line !== undefined).join("\n");
}
