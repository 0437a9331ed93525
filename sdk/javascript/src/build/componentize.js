/** Turns a bundle into a component with the engine in it. */

import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { MISFIT } from "../component/declarations.js";
import { BuildError, OtherWorld } from "./errors.js";
import { stripInit } from "./strip.js";

/** @typedef {"quickjs"} Engine */

const WIT = resolve(dirname(fileURLToPath(import.meta.url)), "../../wit");

/**
 * @param {string} code
 * @param {{ engine: Engine, world: string, locate: import("../fault.js").Locate }} options
 * @returns {Promise<Uint8Array>}
 * @throws {BuildError}
 */
export async function componentize(code, { engine, world, locate }) {
  if (engine !== "quickjs")
    throw new BuildError(`there is no engine ${JSON.stringify(engine)}: give quickjs`);
  const { componentize: quickjs } = await import("componentize-qjs").catch((error) => {
    throw new BuildError(
      `componentize-qjs has no build for this machine (${process.platform}, ${process.arch}): ${error.message}`,
    );
  });
  try {
    // The default is for hosts of WASI 0.3; `sync` is what today's take.
    const { component } = await quickjs({ witPath: WIT, jsSource: code, world, sync: true });
    return stripInit(component);
  } catch (error) {
    const text = explain(/** @type {Error} */ (error).message, locate);
    const Kind = text.includes(MISFIT) ? OtherWorld : BuildError;
    throw new Kind(text, { cause: error });
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
