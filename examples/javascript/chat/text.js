/** Text from clients, checked once. */

/** What a client is told. */
export class Wrong extends Error {}

const SHORT = /^[a-z0-9-]+$/;

/**
 * The name of a room: 1 to 32 of `a-z 0-9 -`. It is part of a group's name, so it has its letters.
 *
 * @param {string} text
 * @returns {string | undefined}
 */
export function readRoom(text) {
  return text.length <= 32 && SHORT.test(text) ? text : undefined;
}

/**
 * The name of a person.
 *
 * @param {unknown} text
 */
export function readName(text) {
  return visible(text, 32, "Please say your name.", "A name has at most 32 characters.");
}

/**
 * What a client calls its connection: 1 to 36 of `a-z 0-9 -`, as in a UUID.
 *
 * @param {unknown} text
 */
export function readId(text) {
  if (typeof text === "string" && text.length <= 36 && SHORT.test(text)) return text;
  throw new Wrong("An id has 1 to 36 of a-z, 0-9 and -.");
}

/**
 * One line of a conversation.
 *
 * @param {unknown} text
 */
export function readLine(text) {
  return visible(text, 2000, "That line was empty.", "A line has at most 2000 characters.");
}

/**
 * The text without control characters and white space around it.
 *
 * @param {unknown} text
 * @param {number} limit
 * @param {string} empty
 * @param {string} long
 */
function visible(text, limit, empty, long) {
  const kept = (typeof text === "string" ? text : "").trim().replaceAll(/\p{Cc}/gu, "");
  if (kept === "") throw new Wrong(empty);
  if ([...kept].length > limit) throw new Wrong(long);
  return kept;
}
