/** The command `tidegate-sdk`. */

import { parseArgs } from "node:util";

import { BuildError, build } from "./index.js";

const USAGE = `Usage: tidegate-sdk build ENTRY [-o FILE]

Builds a module for a Tidegate host from ENTRY, the file of JavaScript or TypeScript
whose default export is app({ ... }).

  -o, --output FILE    where it goes; ENTRY with the ending .wasm if not given
  -h, --help           this text
`;

/**
 * @param {string[]} args
 * @returns {Promise<number>} the exit status: 0, 1 for an application that cannot be built, 2 for a
 *   wrong command line
 */
export async function main(args) {
  let parsed;
  try {
    parsed = parseArgs({
      args,
      allowPositionals: true,
      options: { output: { type: "string", short: "o" }, help: { type: "boolean", short: "h" } },
    });
  } catch (error) {
    return misuse(/** @type {Error} */ (error).message);
  }
  const { values, positionals } = parsed;
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const [command, entry, ...others] = positionals;
  if (command !== "build")
    return misuse(
      command ? `there is no command ${JSON.stringify(command)}` : "a command is missing",
    );
  if (entry === undefined || others.length > 0) return misuse("build takes one file");
  try {
    const output = values.output ?? `${entry.replace(/\.[^./\\]*$/, "")}.wasm`;
    const built = await build({ entry, output });
    process.stdout.write(`${built.output}: ${built.bytes} bytes, sha256 ${built.digest}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 1;
  }
}

/** @param {string} message */
function misuse(message) {
  process.stderr.write(`${message}\n\n${USAGE}`);
  return 2;
}
