/** Calls of the host whose refusals become errors of the SDK. */

import {
  FetchError,
  FetchFailed,
  FlushError,
  HistoryError,
  OnlineError,
  PresenceError,
  ReplyError,
  SendError,
  SessionError,
  StoreError,
  TimerError,
} from "./errors.js";

/** @typedef {{ tag: string, val?: any }} Refusal */

/**
 * The contract's error, where the host has refused.
 *
 * @param {unknown} error
 * @returns {any}
 */
function payload(error) {
  return typeof error === "object" && error !== null && "payload" in error
    ? error.payload
    : undefined;
}

/**
 * @param {() => void} call
 * @throws {SendError}
 */
export function sending(call) {
  try {
    call();
  } catch (error) {
    const refusal = payload(error);
    if (refusal?.tag === undefined) throw error;
    const size = refusal.val;
    const message =
      refusal.tag === "too-large"
        ? `content of ${size.bytes} bytes, and the limit is ${size.limit}`
        : String(refusal.val);
    throw new SendError(refusal.tag, message);
  }
}

/**
 * Throws an error of a class where the host refuses with a word and a text.
 *
 * @template T
 * @param {new (code: any, message: string) => Error} Refused
 * @param {() => T} call
 * @returns {T}
 */
function refusedAs(Refused, call) {
  try {
    return call();
  } catch (error) {
    const refusal = payload(error);
    if (refusal?.tag === undefined) throw error;
    throw new Refused(refusal.tag, String(refusal.val));
  }
}

/** @param {() => void} call @throws {ReplyError} */
export function replying(call) {
  refusedAs(ReplyError, call);
}

/** @template T @param {() => T} call @returns {T} @throws {StoreError} */
export function storing(call) {
  return refusedAs(StoreError, call);
}

/** @param {() => void} call @throws {TimerError} */
export function timing(call) {
  refusedAs(TimerError, call);
}

/** @param {() => void} call @throws {FetchError} */
export function fetching(call) {
  refusedAs(FetchError, call);
}

/** @template T @param {() => T} call @returns {T} @throws {FetchFailed} */
export function waiting(call) {
  return refusedAs(FetchFailed, call);
}

/** @template T @param {() => T} call @returns {T} @throws {HistoryError} */
export function remembering(call) {
  return refusedAs(HistoryError, call);
}

/** @template T @param {() => T} call @returns {T} @throws {SessionError} */
export function holding(call) {
  return refusedAs(SessionError, call);
}

/** @template T @param {() => T} call @returns {T} @throws {OnlineError} */
export function reaching(call) {
  return refusedAs(OnlineError, call);
}

/** @template T @param {() => T} call @returns {T} @throws {PresenceError} */
export function meeting(call) {
  return refusedAs(PresenceError, call);
}

/**
 * @param {() => void} call
 * @param {number} size of the state, in bytes
 * @throws {ReplyError}
 */
export function keeping(call, size) {
  try {
    call();
  } catch (error) {
    const refusal = payload(error);
    switch (refusal?.tag) {
      case "no-connection":
        throw new ReplyError("wrong-event", "only WebSocket events have a state");
      case "too-large":
        throw new ReplyError(
          "state-too-large",
          `state of ${size} bytes, and the limit is ${refusal.val}`,
        );
      default:
        throw error;
    }
  }
}

/**
 * @param {() => void} call
 * @throws {FlushError}
 */
export function flushing(call) {
  try {
    call();
  } catch (error) {
    const refusal = payload(error);
    if (refusal?.reason === undefined) throw error;
    const { index, channel, reason } = refusal;
    throw new FlushError(reason.tag, flushText(channel, reason), channel, index);
  }
}

/**
 * @param {string} channel
 * @param {Refusal} reason
 */
function flushText(channel, reason) {
  switch (reason.tag) {
    case "channel-full":
      return `channel \`${channel}\` is full`;
    case "unavailable":
      return `no layer to send to \`${channel}\`: ${reason.val}`;
    default:
      return channel === "" ? reason.val : `\`${channel}\`: ${reason.val}`;
  }
}
