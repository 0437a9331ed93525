/** Places in the sources, from places in the built file. */

/**
 * From a place of the built file on, up to the next one, a line of a source; `source` is -1 for
 * what is not in the application. Lines and columns count from 1, and the places are in order.
 *
 * @typedef {[line: number, column: number, source: number, sourceLine: number]} Place
 * @typedef {{ sources: string[], places: Place[] }} Places
 */

/**
 * @param {Places} table
 * @returns {import("../fault.js").Locate} of a frame such as `handle
 *   (componentize-qjs:user.js:7:20)`, gives it with
 *   its place in the sources; `undefined` where that is not in the application
 */
export function locator({ sources, places }) {
  return (frame) => {
    const [, name = "", line, column] = /^(.*?)\(?[^ (]*:(\d+):(\d+)\)?$/.exec(frame) ?? [];
    const found = find(places, Number(line), Number(column));
    if (!found || found[2] < 0) return undefined;
    const place = `${sources[found[2]]}:${found[3]}`;
    return name.trim() ? `${name.trim()} (${place})` : place;
  };
}

/**
 * @param {Place[]} places
 * @param {number} line
 * @param {number} column
 * @returns {Place | undefined} the last one that is not behind the place
 */
function find(places, line, column) {
  let found;
  for (const place of places) {
    if (place[0] > line || (place[0] === line && place[1] > column)) break;
    found = place;
  }
  return found;
}
