/** The templates of `tidegate new` in JavaScript and TypeScript, filled in as it does. */

import { mkdir, readFile, readdir, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

const TEMPLATES = fileURLToPath(new URL("../../../host/templates/", import.meta.url));
const PACKAGE = fileURLToPath(new URL("..", import.meta.url));

/** Each language with the file that is built. */
export const languages = { javascript: "app.js", typescript: "app.ts" };

export const kinds = /** @type {const} */ (["http", "websocket", "channel"]);

/**
 * Makes a project of a template. Its packages are those that the SDK is tested with.
 *
 * @param {keyof typeof languages} language
 * @param {typeof kinds[number]} kind
 * @param {string} folder where it goes; its last part is the name of the module
 */
export async function fill(language, kind, folder) {
  const name = basename(folder);
  await mkdir(folder, { recursive: true });
  const from = join(TEMPLATES, language);
  const sources = [
    ...(await files(from)).map((file) => [
      join(from, file),
      file === "gitignore" ? ".gitignore" : file,
    ]),
    ...(await files(join(from, kind))).map((file) => [join(from, kind, file), file]),
  ];
  if (kind === "websocket") sources.push([join(TEMPLATES, "rust", kind, "page.html"), "page.html"]);
  for (const [source = "", file = ""] of sources) {
    const text = await readFile(source, "utf8");
    const filled = text
      .replaceAll("module-name", name)
      .replaceAll("module_name", name.replaceAll("-", "_"));
    await writeFile(join(folder, file), filled);
  }
  await link(folder);
}

/** @param {string} folder */
async function files(folder) {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

/**
 * What `npm install` makes of the path of a checkout: links.
 *
 * @param {string} folder
 */
async function link(folder) {
  const packages = join(folder, "node_modules");
  for (const within of ["@tidegate", ".bin"])
    await mkdir(join(packages, within), { recursive: true });
  await symlink(PACKAGE, join(packages, "@tidegate/sdk"), "dir");
  await symlink("../@tidegate/sdk/bin/tidegate-sdk.js", join(packages, ".bin/tidegate-sdk"));
  for (const name of ["@types", "typescript", "undici-types"]) {
    await symlink(join(PACKAGE, "node_modules", name), join(packages, name), "dir");
  }
}
