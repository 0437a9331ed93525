/** Places in the sources, from places in the built file. */

/**
 * Runs of lines: from a line of the built file on, so many lines are those of a source from a line on.
 *
 * @typedef {[line: number, count: number, source: number, sourceLine: number]} Lines
 * @typedef {{ sources: string[], runs: Lines[] }} Places
 */

/** @type {Places} */
let places = { sources: [], runs: [] };

/**
 * The build calls it at the end of the file.
 *
 * @param {Places} table
 */
export function setPlaces(table) {
  places = table;
}

/**
 * @param {string} frame such as `handle (componentize-qjs:user.js:7:20)`
 * @returns {string | undefined} the frame with its place in the sources; `undefined` where that is not in the
 *   application
 */
export function locate(frame) {
  const [, before = "", line, column] = /^(.*?)\(?[^ (]*:(\d+):(\d+)\)?$/.exec(frame) ?? [];
  const at = Number(line);
  const lines = places.runs.find(([first, count]) => at >= first && at < first + count);
  if (!lines) return undefined;
  const [first, , source, sourceLine] = lines;
  const place = `${places.sources[source]}:${sourceLine + at - first}:${column}`;
  return before.trim() ? `${before.trim()} (${place})` : place;
}
