/** Bundles an application with the SDK into one file of JavaScript for the engine. */

import { readFile } from "node:fs/promises";
import { isBuiltin } from "node:module";
import { dirname, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

import { decode } from "@jridgewell/sourcemap-codec";
import * as esbuild from "esbuild";

import { BuildError } from "./errors.js";
import { readSpecifier } from "./files.js";

const SDK = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const STORING = /^tidegate:channels\/(store|timers)@/;

/** @typedef {import("../component/places.js").Places} Places */

/**
 * @param {string} entry the file whose default export is the application
 * @returns {Promise<{ code: string, world: "plain" | "storing", inputs: string[] }>}
 * @throws {BuildError}
 */
export async function bundle(entry) {
  const result = await esbuild.build(options(entry)).catch((error) => {
    throw new BuildError(report(error), { cause: error });
  });
  const [map, file] = [".map", ".js"].map((ending) => result.outputFiles.find(({ path }) => path.endsWith(ending)));
  if (!map || !file) throw new Error("esbuild made no file");
  const table = JSON.stringify(readPlaces(map.text, dirname(map.path)));
  const isStoring = Object.values(result.metafile.outputs).some(({ imports }) => imports.some(({ path }) => STORING.test(path)));
  const inputs = Object.keys(result.metafile.inputs).filter((path) => !path.includes(":"));
  return {
    code: `${file.text}\nglobalThis.__tidegate.setPlaces(${table});\n`,
    world: isStoring ? "storing" : "plain",
    inputs: inputs.map((path) => resolve(path)),
  };
}

/**
 * @param {string} entry
 * @returns {esbuild.BuildOptions & { write: false, metafile: true }}
 */
function options(entry) {
  const from = (/** @type {string} */ path) => JSON.stringify(resolve(SDK, path));
  return {
    stdin: {
      contents: [
        `import ${from("component/prelude.js")};`,
        `import { serve } from ${from("component/serve.js")};`,
        `import app from ${JSON.stringify(entry)};`,
        "export const consumer = serve(app);",
      ].join("\n"),
      resolveDir: dirname(entry),
      sourcefile: "tidegate-entry.js",
    },
    bundle: true,
    write: false,
    metafile: true,
    outfile: resolve(dirname(entry), "module.js"),
    format: "esm",
    platform: "browser",
    target: "es2023",
    // The engine runs no jobs of promises, so the SDK does, with promises of its own.
    supported: { "async-await": false, "async-generator": false, "for-await": false },
    external: ["tidegate:*", "wasi:*"],
    define: { "process.env.NODE_ENV": '"production"' },
    sourcemap: "external",
    sourcesContent: false,
    // Names stay, since stacks are read by people.
    minifySyntax: true,
    keepNames: false,
    legalComments: "none",
    charset: "utf8",
    logLevel: "silent",
    plugins: [files, builtins],
  };
}

/** @type {esbuild.Plugin} */
const files = {
  name: "files",
  setup(build) {
    build.onResolve({ filter: /\?(text|bytes)$/ }, ({ path, resolveDir }) => {
      const file = readSpecifier(path);
      return file && { path: resolve(resolveDir, file.path), namespace: `tidegate-${file.as}` };
    });
    for (const loader of /** @type {const} */ (["text", "binary"])) {
      const namespace = loader === "text" ? "tidegate-text" : "tidegate-bytes";
      build.onLoad({ filter: /./, namespace }, async ({ path }) => ({ contents: await readFile(path), loader, watchFiles: [path] }));
    }
  },
};

/** @type {esbuild.Plugin} */
const builtins = {
  name: "builtins",
  setup(build) {
    build.onResolve({ filter: /^(node:|[a-z_/]+$)/ }, ({ path }) => {
      if (!isBuiltin(path)) return undefined;
      const text = `"${path}" is a part of Node, which a module does not have: leave it out, or take a package that works in browsers`;
      return { errors: [{ text }] };
    });
  },
};

/** @param {unknown} error */
function report(error) {
  const failures = /** @type {esbuild.BuildFailure} */ (error).errors;
  if (!failures) return String(error);
  return failures
    .map(({ text, location }) => {
      const place = location ? `${location.file}:${location.line}:${location.column + 1}: ` : "";
      return place + mend(text);
    })
    .join("\n");
}

/** @param {string} text */
function mend(text) {
  if (/for import "default"/.test(text)) return "the application has no default export: write `export default app({ ... })`";
  if (/Top-level await/.test(text)) return `${text}: await within a consumer instead`;
  if (/^Could not resolve "[^./]/.test(text)) return `${text}: install it with \`npm install\``;
  return text;
}

/**
 * The places of the application's lines in the built file; those of the SDK are left out.
 *
 * @param {string} map
 * @param {string} folder
 * @returns {Places}
 */
function readPlaces(map, folder) {
  const { mappings, sources } = JSON.parse(map);
  /** @type {Places} */
  const places = { sources: [], runs: [] };
  const kept = sources.map((/** @type {string} */ source) => {
    const path = resolve(folder, source);
    if (path.startsWith(SDK + sep) || path.endsWith("tidegate-entry.js")) return -1;
    return places.sources.push(relative(process.cwd(), path)) - 1;
  });
  for (const [i, segments] of decode(mappings).entries()) {
    const segment = segments.find(({ length }) => length >= 4);
    const source = kept[segment?.[1] ?? -1] ?? -1;
    if (source < 0) continue;
    const [line, sourceLine] = [i + 1, /** @type {number} */ (segment?.[2]) + 1];
    const last = places.runs.at(-1);
    if (last && last[0] + last[1] === line && last[2] === source && last[3] + last[1] === sourceLine) last[1] += 1;
    else places.runs.push([line, 1, source, sourceLine]);
  }
  return places;
}
