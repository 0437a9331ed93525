/** Bundles an application with the SDK into one file of JavaScript for the engine. */

import { readFile } from "node:fs/promises";
import { isBuiltin } from "node:module";
import { dirname, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

import { decode } from "@jridgewell/sourcemap-codec";
import * as esbuild from "esbuild";

import { DECIDED } from "../component/declarations.js";
import { BuildError } from "./errors.js";
import { readSpecifier } from "./files.js";
import { partsOf } from "./names.js";
import { OWN_WASI } from "./world.js";

const SDK = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const ENTRY = "tidegate-entry.js";
/** Packages that the SDK runs on; an application that uses them, too, sees none of their places. */
const OWN_PACKAGES =
  /[\\/]node_modules[\\/](promise-polyfill|core-js|@msgpack|@kayahr|object-inspect|cookie)[\\/]/;
/** Code, without comments, that names a class that the engine lacks. */
const NAMES_URL = /\bURL(SearchParams)?\b/;

/** @typedef {import("../component/places.js").Places} Places */

/** @typedef {import("./world.js").Part} Part */
/** @typedef {import("../component/declarations.js").Decided} Decided */
/** @typedef {{ code: string, parts: Part[], table: Places, inputs: string[] }} Bundle */

/**
 * Files of the SDK that bring the host behind a part.
 *
 * @type {[Part, string][]}
 */
const HOSTS = [
  ["storing", "component/storing.js"],
  ["fetching", "component/fetching.js"],
  ["outgoing", "component/outgoing.js"],
  ["knowing-messages", "component/telling.js"],
  ["knowing-users", "component/knowing.js"],
  ["meeting", "component/meeting.js"],
  ["reaching-users", "component/reaching.js"],
  ["remembering", "component/remembering.js"],
  ["holding-sessions", "component/holding.js"],
];

/**
 * @param {string} entry the file whose default export is the application
 * @param {readonly Decided[]} [decided] what the consumers need of what they decide; as the code says if not given
 * @returns {Promise<Bundle>}
 * @throws {BuildError}
 */
export async function bundle(entry, decided) {
  const plain = await run(entry, [], []);
  const named = await partsOf(plain.inputs.filter((path) => !isOwn(path)));
  const parts = decided ? [...named.filter((part) => !isDecided(part)), ...decided] : named;
  const before = NAMES_URL.test(plain.code) ? ["component/url.js"] : [];
  for (const [part, file] of HOSTS) if (parts.includes(part)) before.push(file);
  const needed = parts.filter(isDecided);
  const isPlain = before.length === 0 && needed.length === 0;
  const { code, table, inputs } = isPlain ? plain : await run(entry, before, needed);
  return {
    code: `${code}\nglobalThis.__tidegate.setPlaces(${JSON.stringify(table)});\n`,
    parts,
    table,
    inputs,
  };
}

/**
 * @param {Part} part
 * @returns {part is Decided}
 */
function isDecided(part) {
  return DECIDED.some((decided) => decided === part);
}

/**
 * @param {string} entry
 * @param {string[]} before files of the SDK that run first
 * @param {readonly Decided[]} decided what the world has of what the consumers decide
 */
async function run(entry, before, decided) {
  const result = await esbuild.build(options(entry, before, decided)).catch((error) => {
    throw new BuildError(report(error), { cause: error });
  });
  const [map, file] = [".map", ".js"].map((ending) =>
    result.outputFiles.find(({ path }) => path.endsWith(ending)),
  );
  if (!map || !file) throw new Error("esbuild made no file");
  const inputs = Object.keys(result.metafile.inputs).map((path) =>
    path.replace(/^tidegate-(text|bytes):/, ""),
  );
  return {
    code: file.text,
    table: readPlaces(map.text, dirname(map.path)),
    inputs: inputs
      .filter((path) => !path.endsWith(ENTRY) && !path.startsWith("(disabled):"))
      .map((path) => resolve(path)),
  };
}

/**
 * @param {string} entry
 * @param {string[]} before
 * @param {readonly Decided[]} decided
 * @returns {esbuild.BuildOptions & { write: false, metafile: true }}
 */
function options(entry, before, decided) {
  const from = (/** @type {string} */ path) => JSON.stringify(resolve(SDK, path));
  const declared = [
    `import { declarations as declare } from ${from("component/declarations.js")};`,
    "export const declarations = declare(app);",
  ];
  return {
    stdin: {
      contents: [
        ...[...before, "component/prelude.js"].map((path) => `import ${from(path)};`),
        `import { serve } from ${from("component/serve.js")};`,
        `import app from ${JSON.stringify(entry)};`,
        `export const consumer = serve(app, ${JSON.stringify(decided)});`,
        ...(decided.includes("declaring") ? declared : []),
      ].join("\n"),
      resolveDir: dirname(entry),
      sourcefile: ENTRY,
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
    external: ["tidegate:*", "wasi:*", `${OWN_WASI}:*`],
    define: { "process.env.NODE_ENV": '"production"' },
    sourcemap: "external",
    sourcesContent: false,
    // The engine keeps the text of each function. Names stay, since stacks are read by people.
    minifySyntax: true,
    minifyWhitespace: true,
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
      build.onLoad({ filter: /./, namespace }, async ({ path }) => ({
        contents: await readFile(path),
        loader,
        watchFiles: [path],
      }));
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
  if (/for import "default"/.test(text))
    return "the application has no default export: write `export default app({ ... })`";
  if (/Top-level await/.test(text)) return `${text}: await within a consumer instead`;
  if (/^Could not resolve "[^./]/.test(text)) return `${text}: install it with \`npm install\``;
  return text;
}

/**
 * The places of the application's lines in the built file.
 *
 * @param {string} map
 * @param {string} folder
 * @returns {Places}
 */
function readPlaces(map, folder) {
  const { mappings, sources } = JSON.parse(map);
  /** @type {Places} */
  const table = { sources: [], places: [] };
  const kept = sources.map((/** @type {string} */ source) => {
    const path = resolve(folder, source);
    return isOwn(path) ? -1 : table.sources.push(relative(process.cwd(), path)) - 1;
  });
  for (const [i, segments] of decode(mappings).entries()) {
    for (const [column, from, sourceLine = 0] of segments) {
      const source = kept[from ?? -1] ?? -1;
      const place = /** @type {import("../component/places.js").Place} */ ([
        i + 1,
        column + 1,
        source,
        source < 0 ? 0 : sourceLine + 1,
      ]);
      const last = table.places.at(-1);
      if (last?.[2] !== place[2] || last[3] !== place[3]) table.places.push(place);
    }
  }
  return table;
}

/**
 * Whether a file is the SDK's, or one that it brings along.
 *
 * @param {string} path
 */
function isOwn(path) {
  return path.startsWith(SDK + sep) || OWN_PACKAGES.test(path) || path.endsWith(ENTRY);
}
