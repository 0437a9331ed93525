/** Consumers of channels that are run by the clock. */

import { kind } from "./bytes.js";
import { isPlain } from "./content.js";
import { DeclarationError } from "./errors.js";
import { readOptions } from "./route.js";

const MISSED = ["once", "skip"];
const OVERLAP = [undefined, "skip", "queue"];

/**
 * The message of a schedule. A consumer whose option `schedule` is set gets one at each moment.
 *
 * ```js
 * const schedule = { expression: "@daily" };
 * channel("shop.report", { schedule }, (tick, cx) => cx.info(tick.due.toISOString()));
 * ```
 */
export class Tick {
  /**
   * @param {Date} due
   * @throws {TypeError} it is no Date that is valid
   */
  constructor(due) {
    if (!(due instanceof Date) || Number.isNaN(due.getTime()))
      throw new TypeError(`the moment of a Tick is ${kind(due)}: give a Date that is valid`);
    /** The moment of the schedule. The consumer may run later. @type {Date} */
    this.due = due;
  }

  /** The message, which has the moment in milliseconds since 1970. */
  toMessage() {
    return { due: this.due.getTime() };
  }
}

/**
 * Reads a message on the channel of a consumer with a schedule.
 *
 * @param {unknown} message
 * @returns {unknown} a Tick, or the message where it is none: others may send to the channel, too
 */
export function readTick(message) {
  if (!isPlain(message) || Object.keys(message).length !== 1) return message;
  if (!Number.isInteger(message.due)) return message;
  const due = new Date(/** @type {number} */ (message.due));
  return Number.isNaN(due.getTime()) ? message : new Tick(due);
}

/**
 * Checks a schedule as far as no host is needed.
 *
 * @param {unknown} schedule
 * @param {string} what
 * @returns {import("./types.js").WireSchedule | undefined}
 * @throws {DeclarationError}
 */
export function readSchedule(schedule, what) {
  if (schedule === undefined) return undefined;
  if (Array.isArray(schedule)) {
    throw new DeclarationError(
      `${what}: its schedule is an array, and a consumer has one: let two channels do the same work`,
    );
  }
  if (!isPlain(schedule)) {
    throw new DeclarationError(
      `${what}: its schedule is ${kind(schedule)}: give { expression: "30 3 * * *", zone: "Europe/Berlin" }`,
    );
  }
  const of = `${what}: schedule`;
  const options = readOptions(schedule, ["expression", "zone", "missed", "overlap"], of);
  const { expression, zone = "UTC", missed = "once", overlap } = options;
  checkExpression(expression, of);
  if (typeof zone !== "string") {
    throw new DeclarationError(
      `${of}: zone is ${kind(zone)}: give a name of the IANA database, such as "Europe/Berlin"`,
    );
  }
  if (!MISSED.includes(missed)) {
    throw new DeclarationError(
      `${of}: missed is "once", which runs the last of the moments that were missed, or "skip", and not ${shown(missed)}`,
    );
  }
  if (!OVERLAP.includes(overlap)) {
    throw new DeclarationError(
      `${of}: overlap is "skip", which leaves a moment out while the run of the one before is not over, or "queue", which waits until that one is over, and not ${shown(overlap)}`,
    );
  }
  return { expression, zone, missed, overlap };
}

/** @param {unknown} given */
function shown(given) {
  return typeof given === "string" ? JSON.stringify(given) : kind(given);
}

/**
 * @param {unknown} expression
 * @param {string} of
 * @throws {DeclarationError}
 */
function checkExpression(expression, of) {
  if (typeof expression !== "string") {
    throw new DeclarationError(
      `${of}: its expression is ${kind(expression)}: give text, such as "30 3 * * *"`,
    );
  }
  const count = expression.split(/\s+/).filter(Boolean).length;
  if (!expression.startsWith("@") && count !== 5 && count !== 6) {
    throw new DeclarationError(
      `${of}: an expression has 5 fields, minute, hour, day of the month, month and day of the week, or 6 with seconds before them; this one has ${count}`,
    );
  }
}
