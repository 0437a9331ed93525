/**
 * Write consumers for a Tidegate host in JavaScript or TypeScript.
 *
 * @module @tidegate/sdk
 */

export { Guarded, guarded } from "./access.js";
export { App, app } from "./app.js";
export { channel } from "./consumers/channel.js";
export { http } from "./consumers/http.js";
export { websocket } from "./consumers/websocket.js";
export { Context } from "./context.js";
export {
  DeclarationError,
  FetchError,
  FetchFailed,
  FlushError,
  HistoryError,
  HttpError,
  OnlineError,
  PresenceError,
  Problem,
  ReplyError,
  SendError,
  SessionError,
  StoreError,
  TimerError,
  badRequest,
  notFound,
} from "./errors.js";
export { Group } from "./group.js";
export { History } from "./history.js";
export { Chunk, Close, Frame } from "./messages.js";
export { UserConnections } from "./online.js";
export { integer } from "./params.js";
export { Query } from "./query.js";
export { Request } from "./request.js";
export { Hold, Response, Streamed } from "./response.js";
export { Tick } from "./schedule.js";
export { Scope } from "./scope.js";
export { Session, Sessions } from "./session.js";
export { Socket } from "./socket.js";
export { Store, StoreView } from "./store.js";
export * as sse from "./sse.js";
export { Throttle } from "./throttle.js";
export { Timer } from "./timer.js";
export { User } from "./user.js";

/** @typedef {import("./types.js").Access} Access */
/** @typedef {import("./fetched.js").Answer} Answer */
/** @typedef {import("./types.js").ClaimValue} ClaimValue */
/** @typedef {import("./types.js").Consumer} Consumer */
/** @typedef {import("./types.js").Consumers} Consumers */
/** @typedef {import("./types.js").CookieOptions} CookieOptions */
/** @template [V=any] @typedef {import("./types.js").Fetched<V>} Fetched */
/** @typedef {import("./fetched.js").FetchFailure} FetchFailure */
/** @typedef {import("./types.js").FetchNowOptions} FetchNowOptions */
/** @typedef {import("./types.js").FetchOptions} FetchOptions */
/** @typedef {import("./types.js").Handshake} Handshake */
/** @template [M=any] @typedef {import("./types.js").HistoryPage<M>} HistoryPage */
/** @typedef {import("./types.js").HistoryRule} HistoryRule */
/** @typedef {import("./types.js").Level} Level */
/** @template [F=any] @typedef {import("./types.js").Member<F>} Member */
/** @template [F=any] @typedef {import("./types.js").Members<F>} Members */
/** @typedef {import("./types.js").Message} Message */
/** @typedef {import("./types.js").Presence} Presence */
/** @template [F=any] @typedef {import("./types.js").PresenceChange<F>} PresenceChange */
/** @template [M=any] @typedef {import("./types.js").Remembered<M>} Remembered */
/** @typedef {import("./types.js").ResponseInit} ResponseInit */
/** @typedef {import("./types.js").Schedule} Schedule */
/** @typedef {import("./types.js").SignedIn} SignedIn */
/** @typedef {import("./types.js").Since} Since */
/** @template T @typedef {import("./types.js").Shape<T>} Shape */
/** @typedef {import("./bytes.js").Bytes} Bytes */
