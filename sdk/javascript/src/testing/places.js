/** Places of an application that runs in Node. */

import { dirname, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

const SDK = resolve(dirname(fileURLToPath(import.meta.url)), "..") + sep;

/**
 * @param {string} frame such as `handle (file:///home/ada/app.js:7:20)`
 * @returns {string | undefined} the frame with a path that is relative to the working directory;
 *   `undefined` where the
 *   place is Node's or the SDK's
 */
export function locate(frame) {
  const [, name = "", url, line] = /^(.*?)\(?(file:\/\/[^ ()]*?):(\d+):\d+\)?$/.exec(frame) ?? [];
  if (url === undefined) return undefined;
  const path = fileURLToPath(url.replace(/\?.*$/, ""));
  if (path.startsWith(SDK) || path.includes(`${sep}node_modules${sep}`)) return undefined;
  const place = `${relative(process.cwd(), path)}:${line}`;
  const of = name.trim().replace(/^async /, "");
  return of ? `${of} (${place})` : place;
}
