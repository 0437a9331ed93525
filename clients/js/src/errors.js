/** What can go wrong, as types. */

/** A message that was not sent, and will not be. Or, with `lost`, messages that did not arrive. */
export class SendError extends Error {
  /**
   * @param {"not-open" | "queue-full" | "ended" | "lost"} reason
   * @param {string} message
   */
  constructor(reason, message) {
    super(message);
    this.name = "SendError";
    /**
     * `not-open` without a queue, `queue-full` with one, `ended` when it is over for good; `lost` when a connection was
     * resumed, and the client did not keep all messages that the host has not read.
     */
    this.reason = reason;
  }
}

/** A message from the server that belongs to no stream. */
export class FrameError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "FrameError";
  }
}
