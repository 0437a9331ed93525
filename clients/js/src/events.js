/** Events with values of their own. `CloseEvent` is not there outside of browsers. */

/** An event that carries named values, such as `code` and `reason`. */
export class SocketEvent extends Event {
  /**
   * @param {string} type
   * @param {Record<string, unknown>} values
   */
  constructor(type, values) {
    super(type);
    Object.assign(this, values);
  }
}
