/** One attempt to connect and, when it succeeds, one connection. It never connects again. */

const OPEN = 1;

/** The close code for a connection on which nothing came. The server sees it, if it is there. */
const IDLE = 4408;

/**
 * @typedef {object} Owner
 * @property {(first?: MessageEvent) => void} opened it is open; with the first message, if it was waited for
 * @property {(event: MessageEvent) => void} received a message came
 * @property {(ending: { code: number, reason: string, wasClean: boolean }) => void} over it ended;
 *   said once, and nothing is said after it
 */

export class Connection {
  #socket;
  #settings;
  #platform;
  #owner;
  /** @type {unknown} */
  #timer = undefined;
  /** @type {number | undefined} */
  #openedAt = undefined;
  #heardAt = 0;

  /**
   * @param {string} url
   * @param {string | string[]} protocols
   * @param {boolean} waits whether it counts as open only once a message has come
   * @param {import("./options.js").Settings} settings
   * @param {import("./platform.js").Platform} platform
   * @param {Owner} owner
   */
  constructor(url, protocols, waits, settings, platform, owner) {
    this.#settings = settings;
    this.#platform = platform;
    this.#owner = owner;
    this.#socket = new platform.WebSocket(url, protocols);
    this.#socket.binaryType = settings.binaryType;
    this.#socket.onopen = () => waits || this.#opened();
    this.#socket.onmessage = (event) => {
      if (this.#openedAt === undefined) return this.#opened(event);
      this.#heardAt = platform.now();
      owner.received(event);
    };
    this.#socket.onclose = ({ code, reason, wasClean }) => this.#over({ code, reason, wasClean });
    const { openTimeout } = settings;
    if (openTimeout > 0) {
      this.#timer = platform.setTimeout(
        () => this.drop(1006, `no answer within ${openTimeout} ms`),
        openTimeout,
      );
    }
  }

  /** Whether a message would go out now. A connection that is closing loses it without a word. */
  get writable() {
    return this.#socket.readyState === OPEN;
  }

  /** The subprotocol that the server chose. */
  get protocol() {
    return this.#socket.protocol;
  }

  /** Bytes that the browser has not sent yet. */
  get bufferedAmount() {
    return this.#socket.bufferedAmount;
  }

  /** For how long it has been open; `undefined` before that. */
  get openFor() {
    return this.#openedAt === undefined ? undefined : this.#platform.now() - this.#openedAt;
  }

  /** @param {import("./queue.js").Data} data */
  send(data) {
    this.#socket.send(/** @type {any} */ (data));
  }

  /**
   * Asks the server to close. The end follows.
   *
   * @param {number} code
   * @param {string} reason
   */
  close(code, reason) {
    this.#socket.close(code, reason);
  }

  /**
   * Ends it without waiting for the server, which may not be there any more.
   *
   * @param {number} code what the owner is told
   * @param {string} reason
   * @param {number} [sent] what the server is told
   */
  drop(code, reason, sent = 1000) {
    const socket = this.#socket;
    this.#over({ code, reason, wasClean: false });
    socket.close(sent);
  }

  /** @param {MessageEvent} [first] */
  #opened(first) {
    const { now, clearTimeout } = this.#platform;
    clearTimeout(this.#timer);
    this.#openedAt = this.#heardAt = now();
    if (this.#settings.idleTimeout > 0) this.#listen(this.#settings.idleTimeout);
    this.#owner.opened(first);
  }

  /**
   * Waits until nothing has come for too long. One timer, not one for each message.
   *
   * @param {number} rest
   */
  #listen(rest) {
    const { now, setTimeout } = this.#platform;
    const { idleTimeout } = this.#settings;
    this.#timer = setTimeout(() => {
      const left = this.#heardAt + idleTimeout - now();
      if (left > 0) this.#listen(left);
      else this.drop(1006, `nothing came for ${idleTimeout} ms`, IDLE);
    }, rest);
  }

  /** @param {{ code: number, reason: string, wasClean: boolean }} ending */
  #over(ending) {
    const socket = this.#socket;
    socket.onopen = socket.onmessage = socket.onclose = null;
    this.#platform.clearTimeout(this.#timer);
    this.#owner.over(ending);
  }
}
