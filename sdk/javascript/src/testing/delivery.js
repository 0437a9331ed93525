/** Messages that come again: the channels with retries of the test host. */

/** Milliseconds before the second delivery. The pause doubles each time. */
const FIRST_PAUSE = 1000;
const PAUSE_MAX = 60_000;

/**
 * Which message, by 32 hexadecimal digits, and which delivery of it, counted from 1.
 *
 * @typedef {{ id: string, attempt: number }} Delivery
 */

/**
 * How long a message waits that comes again.
 *
 * @param {Delivery} failed
 */
export function pauseAfter({ attempt }) {
  return Math.min(FIRST_PAUSE * 2 ** Math.min(attempt - 1, 16), PAUSE_MAX);
}
