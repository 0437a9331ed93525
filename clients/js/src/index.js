/**
 * A WebSocket that comes back: it reconnects with growing pauses, obeys close codes, and carries
 * several streams if asked to. Nothing but browser APIs; the files run as they are.
 *
 * @module tidegate
 */

export { advice } from "./codes.js";
export { FrameError, SendError } from "./errors.js";
export { Socket } from "./socket.js";
