/** How long to wait before the next attempt. */

/**
 * Draws a delay, in milliseconds. The whole of it is drawn at random ("full jitter"): clients that
 * lost their connections together would otherwise come back together, each time.
 *
 * @param {Exclude<import("./codes.js").Advice, "end">} advice
 * @param {number} failures how many connections failed in a row, at least 1
 * @param {boolean} quiet nobody is looking, or there is no network: never hurry
 * @param {import("./options.js").Settings} settings
 * @param {() => number} random from 0 to below 1
 * @returns {number}
 */
export function delay(advice, failures, quiet, settings, random) {
  const { first, longest, factor, spread, later } = settings;
  const span = Math.min(longest, first * factor ** (failures - 1));
  const drawn = random();
  let wait = drawn * span;
  if (advice === "spread") wait = drawn * Math.max(spread, span);
  if (advice === "later") wait = later + drawn * span;
  return quiet ? Math.max(wait, (longest * (1 + drawn)) / 2) : wait;
}
