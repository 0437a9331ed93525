/**
 * Runs where npm installs this package from a checkout, and where it packs it: brings the packages
 * that the lock names, and makes the declarations of types. npm alone does neither for a folder that
 * lies outside the project that depends on it.
 */

import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

const cwd = fileURLToPath(new URL(".", import.meta.url));
const LOCK = new URL("package-lock.json", import.meta.url);
/** The lock whose packages are there; `scripts/npm-packages` writes it, too. */
const INSTALLED = new URL("node_modules/.installed.json", import.meta.url);

/** @param {string[]} args */
function run(...args) {
  const { status, error } = spawnSync(process.execPath, args, { cwd, stdio: "inherit" });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

/** npm was called in this folder, and has brought the packages itself. */
const isOwn = resolve(process.env.npm_config_local_prefix ?? "/") === resolve(cwd);
const isInstalled = existsSync(INSTALLED) && readFileSync(INSTALLED).equals(readFileSync(LOCK));

if (!isOwn && !isInstalled) {
  const npm = process.env.npm_execpath;
  if (!npm) throw new Error("npm runs this file: `npm run prepare`");
  run(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error");
  copyFileSync(LOCK, INSTALLED);
}
run("node_modules/typescript/bin/tsc", "--project", "tsconfig.json");
