/** Errors that the SDK throws, and errors that consumers throw to answer a request. */

import { Response } from "./response.js";

/**
 * Answers the request in place of the consumer's return value. It is no fault: what the consumer
 * has sent goes out. In `connect` of a WebSocket it denies the handshake.
 *
 * ```js
 * throw new HttpError(409, "sold out\n");
 * ```
 */
export class HttpError extends Error {
  /**
   * @param {number} status 200 to 599
   * @param {string | Response} answer text, or a whole response whose status is replaced
   */
  constructor(status, answer) {
    super(`status ${status}`);
    this.name = "HttpError";
    /** The answer. @type {Response} */
    this.response =
      answer instanceof Response ? answer.status(status) : Response.text(answer, { status });
  }
}

/**
 * The request cannot be read: status 400.
 *
 * @param {string} text for the client
 */
export function badRequest(text) {
  return new HttpError(400, text);
}

/**
 * There is nothing under this path: status 404.
 *
 * @param {string} text for the client
 */
export function notFound(text) {
  return new HttpError(404, text);
}

/**
 * An error for a client, as JSON of the form of RFC 9457: `application/problem+json`.
 *
 * ```js
 * throw new Problem(409, "Sold out", { back: "Monday" });
 * ```
 */
export class Problem extends HttpError {
  /**
   * @param {number} status 400 to 599
   * @param {string} title the same for all problems of its kind
   * @param {Record<string, unknown>} [members] `type`, `detail`, `instance`, and members of your
   *   own
   */
  constructor(status, title, members = {}) {
    const response = Response.json({ ...members, title, status });
    super(status, response.replaceHeader("content-type", "application/problem+json"));
    this.name = "Problem";
  }
}

/** @typedef {"invalid-name" | "forbidden" | "invalid-content" | "too-large" | "no-connection"} SendErrorCode */

/** A message, a membership or a delay was refused. Trying again gives the same answer. */
export class SendError extends Error {
  /**
   * @param {SendErrorCode} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.name = "SendError";
    /** @type {SendErrorCode} */
    this.code = code;
  }
}

/** @typedef {"wrong-event" | "invalid" | "state-too-large"} ReplyErrorCode */

/** An answer to the own connection was refused. */
export class ReplyError extends Error {
  /**
   * @param {ReplyErrorCode} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.name = "ReplyError";
    /** @type {ReplyErrorCode} */
    this.code = code;
  }
}

/** @typedef {"channel-full" | "unavailable" | "refused"} FlushErrorCode */

/**
 * `flush` stopped. What stood before the failed entry is sent, the failed one is removed, the rest
 * stays in the outbox. Unless it was refused, sending it again later may work.
 */
export class FlushError extends Error {
  /**
   * @param {FlushErrorCode} code
   * @param {string} message
   * @param {string} channel the channel or group of the failed entry
   * @param {number} index its position, counted from 0 since the last flush
   */
  constructor(code, message, channel, index) {
    super(message);
    this.name = "FlushError";
    /** @type {FlushErrorCode} */
    this.code = code;
    this.channel = channel;
    this.index = index;
  }
}

/** @typedef {"invalid" | "forbidden" | "unavailable" | "newer-schema" | "unreadable"} StoreErrorCode */

/**
 * A call of the store did nothing, or read nothing that the code understands. `unavailable` may
 * work later; all others give the same answer again.
 */
export class StoreError extends Error {
  /**
   * @param {StoreErrorCode} code
   * @param {string} message
   * @param {string} [key] of a value that was not understood
   */
  constructor(code, message, key) {
    super(message);
    this.name = "StoreError";
    /** @type {StoreErrorCode} */
    this.code = code;
    this.key = key;
  }
}

/** @typedef {"invalid" | "forbidden"} TimerErrorCode */

/** A timer was not set or not cancelled. Trying again gives the same answer. */
export class TimerError extends Error {
  /**
   * @param {TimerErrorCode} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.name = "TimerError";
    /** @type {TimerErrorCode} */
    this.code = code;
  }
}

/** @typedef {"invalid" | "forbidden"} FetchErrorCode */

/**
 * A request was refused, and the host does not make it: it breaks a rule (`invalid`), or the module may
 * not reach the server or not use the channel (`forbidden`; the text says which setting grants it).
 * Trying again gives the same answer.
 */
export class FetchError extends Error {
  /**
   * @param {FetchErrorCode} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.name = "FetchError";
    /** @type {FetchErrorCode} */
    this.code = code;
  }
}

/** @typedef {"invalid" | "forbidden" | "unavailable" | "no-connection" | "no-user"} PresenceErrorCode */

/**
 * A connection was not made present in a group, or the members of a group are not known. `unavailable` may
 * work later; all others give the same answer again.
 */
export class PresenceError extends Error {
  /**
   * @param {PresenceErrorCode} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.name = "PresenceError";
    /** @type {PresenceErrorCode} */
    this.code = code;
  }
}

/** @typedef {"invalid" | "unavailable"} OnlineErrorCode */

/**
 * Nothing was done with the connections of a user. `unavailable` may work later; `invalid` gives the same answer again.
 */
export class OnlineError extends Error {
  /**
   * @param {OnlineErrorCode} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.name = "OnlineError";
    /** @type {OnlineErrorCode} */
    this.code = code;
  }
}

/** @typedef {"invalid" | "forbidden" | "unavailable"} HistoryErrorCode */

/**
 * A group was not joined from a position, or its history not read. `unavailable` may work later; all others give the
 * same answer again.
 */
export class HistoryError extends Error {
  /**
   * @param {HistoryErrorCode} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.name = "HistoryError";
    /** @type {HistoryErrorCode} */
    this.code = code;
  }
}

/** @typedef {"invalid" | "no-session" | "forbidden" | "unavailable"} SessionErrorCode */

/**
 * Nothing was done with a session. `no-session`: there is none here, and none can begin. `unavailable` may work later;
 * all others give the same answer again.
 */
export class SessionError extends Error {
  /**
   * @param {SessionErrorCode} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.name = "SessionError";
    /** @type {SessionErrorCode} */
    this.code = code;
  }
}

/** A request that a run waited for has no answer; `cx.fetchNow` throws it. */
export class FetchFailed extends Error {
  /**
   * @param {string} reason
   * @param {string} message
   */
  constructor(reason, message) {
    super(message);
    this.name = "FetchFailed";
    /**
     * A word: `invalid` (the request breaks a rule), `refused` (the server is not granted, or the guard refuses its
     * address; the text says which setting grants it), `resolve`, `connect`, `tls`, `timeout` or `broken`.
     */
    this.reason = reason;
  }
}

/** The state of a connection was written by another version and cannot be read. The connection closes with 1012. */
export class StateUnreadable extends Error {
  /** @param {string} message */
  constructor(message) {
    super(`state is unreadable: ${message}`);
    this.name = "StateUnreadable";
  }
}

/** A consumer, a route or an option is declared wrong. It is thrown while the module is built. */
export class DeclarationError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "DeclarationError";
  }
}
