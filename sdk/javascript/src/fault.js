/** A thrown error as the host is told it, and as the lines of its stack. */

import { kind, linesOf } from "./bytes.js";
import { HttpError, StateUnreadable } from "./errors.js";
import { Response } from "./response.js";

/** The longest text of a failure and of a line, in characters. */
const TEXT_MAX = 2000;
const LINES_MAX = 60;
const CAUSES_MAX = 5;

/** Finds where a place of the built file stands in the sources. @typedef {(line: string) => string | undefined} Locate */

/**
 * The failure that the host records: what is wrong, and where.
 *
 * @param {unknown} error
 * @param {Locate} locate
 * @returns {import("./types.js").Failure}
 */
export function failure(error, locate) {
  if (error instanceof StateUnreadable) return { tag: "state-unreadable", val: error.message };
  const place = frames(error, locate)[0];
  const where = place ? ` (at ${place.replace(/^.*\((.*)\)$/, "$1")})` : "";
  return { tag: "failed", val: describe(error).slice(0, TEXT_MAX).toWellFormed() + where };
}

/**
 * The lines for the record: the error, its stack, and what caused it.
 *
 * @param {unknown} error
 * @param {Locate} locate
 * @returns {string[]}
 */
export function lines(error, locate) {
  const told = [];
  for (
    let cause = error, depth = 0;
    depth === 0 || (cause !== undefined && depth < CAUSES_MAX);
    depth++
  ) {
    const text = depth === 0 ? describe(cause) : `caused by ${describe(cause)}`;
    told.push(
      ...linesOf(text).slice(0, LINES_MAX),
      ...frames(cause, locate).map((frame) => `    at ${frame}`),
    );
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return told.slice(0, LINES_MAX).map((line) => line.slice(0, TEXT_MAX).toWellFormed());
}

/**
 * @param {unknown} error
 * @returns {string}
 */
function describe(error) {
  if (error instanceof HttpError || error instanceof Response) {
    const response = error instanceof Response ? error : error.response;
    return `answered with status ${response.statusCode}, but only an HTTP request can be answered`;
  }
  if (error instanceof Error) return error.message ? `${error.name}: ${error.message}` : error.name;
  const thrown = typeof error === "string" ? JSON.stringify(error) : kind(error);
  return `${thrown} was thrown: throw an Error, which knows its place`;
}

/**
 * The places in the application that lead to the error, the innermost one first.
 *
 * @param {unknown} error
 * @param {Locate} locate
 * @returns {string[]}
 */
function frames(error, locate) {
  if (!(error instanceof Error) || typeof error.stack !== "string") return [];
  const found = [];
  for (const line of error.stack.split("\n")) {
    const frame = /^\s*at (.*)$/.exec(line)?.[1];
    const place = frame && locate(frame);
    if (place) found.push(place);
  }
  return found;
}
