/** Options with their defaults, checked once. */

/**
 * All times are in milliseconds.
 *
 * @typedef {object} Settings
 * @property {string | string[]} protocols subprotocols to offer
 * @property {import("./token.js").TokenSource | undefined} token gives the token of the user, before each
 *   attempt
 * @property {boolean} resume whether a connection that was lost goes on where it stopped, if the host lets it
 * @property {BinaryType} binaryType as the WebSocket's own, but `arraybuffer` by default
 * @property {number} first the longest that the first pause may be
 * @property {number} longest the longest that any pause may be
 * @property {number} factor what each pause may be longer than the one before
 * @property {number} spread over so long clients come back that were closed together
 * @property {number} later how long to wait at least when the server has too much to do
 * @property {number} stableAfter a connection that lasts so long is no failure
 * @property {number} openTimeout a handshake that takes longer has failed; 0 waits without end
 * @property {number} idleTimeout a connection on which nothing comes for so long is dead; 0 is off
 * @property {number} queueMessages messages that may wait for a connection; 0 is off
 * @property {number} queueBytes bytes of them, and with `resume` of the sent messages that are kept
 * @property {((ending: Ending) => boolean | undefined) | undefined} shouldReconnect decides in
 *   place of the close code; `undefined` leaves it to the code
 */

/**
 * How a connection or an attempt ended.
 *
 * @typedef {object} Ending
 * @property {number} code the close code; 1006 if there was none, as when the handshake failed
 * @property {string} reason what the server gave as the reason
 * @property {boolean} wasClean whether both sides took part in closing
 * @property {boolean} opened whether it had been open
 * @property {number} attempt how many failed in a row, this one included
 */

/** @type {Readonly<Settings>} */
const DEFAULTS = Object.freeze({
  protocols: [],
  token: undefined,
  resume: false,
  binaryType: "arraybuffer",
  first: 1_000,
  longest: 30_000,
  factor: 2,
  spread: 5_000,
  later: 5_000,
  stableAfter: 5_000,
  openTimeout: 20_000,
  idleTimeout: 0,
  queueMessages: 0,
  queueBytes: 65_536,
  shouldReconnect: undefined,
});

/** The longest time of `setTimeout`. Beyond it a browser does not wait at all. */
const LONGEST_TIMER = 2 ** 31 - 1;

const TIMES = /** @type {const} */ ([
  "first",
  "longest",
  "spread",
  "later",
  "stableAfter",
  "openTimeout",
  "idleTimeout",
]);

/**
 * @param {Partial<Settings>} given
 * @returns {Settings}
 * @throws {TypeError} an option of that name is not there
 * @throws {RangeError} a number is out of range
 */
export function settings(given) {
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(DEFAULTS, name)) throw new TypeError(`tidegate: there is no option ${name}`);
  }
  const all = { ...DEFAULTS };
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined) Object.assign(all, { [name]: value });
  }
  if (all.token !== undefined && typeof all.token !== "function") {
    throw new TypeError("tidegate: token is a function, which gives the token before each attempt");
  }
  if (typeof all.resume !== "boolean") throw new TypeError("tidegate: resume is true or false");
  for (const name of TIMES) within(name, all[name], 0, LONGEST_TIMER);
  within("first", all.first, 1, all.longest);
  within("later", all.later, 0, LONGEST_TIMER - all.longest);
  within("factor", all.factor, 1, Number.MAX_VALUE);
  within("queueMessages", all.queueMessages, 0, Number.MAX_SAFE_INTEGER);
  within("queueBytes", all.queueBytes, 0, Number.MAX_SAFE_INTEGER);
  return all;
}

/**
 * @param {string} name
 * @param {number} value
 * @param {number} least
 * @param {number} most
 */
function within(name, value, least, most) {
  if (typeof value !== "number" || !(value >= least && value <= most)) {
    throw new RangeError(`tidegate: ${name} is ${value}, and must be from ${least} to ${most}`);
  }
}
