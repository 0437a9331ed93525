/** The socket that applications use: connections one after the other, and what is said between. */

import { advice } from "./codes.js";
import { Connection } from "./connection.js";
import { delay } from "./delay.js";
import { SendError } from "./errors.js";
import { SocketEvent } from "./events.js";
import { settings } from "./options.js";
import { platform } from "./platform.js";
import { Positions } from "./positions.js";
import { Presence, decode } from "./presence.js";
import { Queue, size } from "./queue.js";
import { Resume } from "./resume.js";
import { Streams } from "./streams.js";
import { EXPIRED, offered, Question } from "./token.js";

/** @typedef {"connecting" | "open" | "waiting" | "closing" | "closed"} State */

/**
 * A WebSocket that reconnects. Fires
 *
 * - `open`: a connection is open, the first or another one; `resumed`. Unless that is true, the server knows nothing
 *   of an earlier one, so this is the place to join again.
 * - `message`: `data`, as with a WebSocket; `group` and `position` for one of a group that the host
 *   remembers. Not once `stream` was called.
 * - `gap`: messages of a group that the host remembers are gone; `group`, `position` (from where on
 *   all come again).
 * - `close`: a connection that was open ended; `code`, `reason`, `wasClean`.
 * - `reconnecting`: the next attempt is due; `attempt`, `delay` (ms), `code`, `reason`.
 * - `error`: a message belongs to no stream, `shouldReconnect` threw, there is no token, or sent messages are lost;
 *   `error`, `data`.
 * - `end`: it is over for good; `code`, `reason`, `unsent` (messages that were still in the queue).
 */
export class Socket extends EventTarget {
  #url;
  #settings;
  #platform;
  #queue;
  #resume;
  #positions = new Positions();
  /** @type {Streams | undefined} */
  #streams = undefined;
  /** Collections of members, by group. @type {Map<string | undefined, Presence>} */
  #presences = new Map();
  /** @type {Connection | undefined} */
  #connection = undefined;
  /** @type {Question | undefined} */
  #question = undefined;
  /** Whether the last token may have expired. */
  #fresh = false;
  /** @type {State} */
  #state = "connecting";
  /** Connections that failed, since one lasted. */
  #failures = 0;
  /** @type {unknown} */
  #timer = undefined;
  /** When the next attempt is due, and before when no event of the page may bring it forward. */
  #due = 0;
  #earliest = 0;
  #watching = new AbortController();

  /**
   * Begins to connect.
   *
   * @param {string | URL} url `ws:`, `wss:`, `http:`, `https:`, or relative to the page
   * @param {Partial<import("./options.js").Settings>
   *   & { platform?: Partial<import("./platform.js").Platform> }} [options]
   * @throws {TypeError | RangeError | SyntaxError} the address or an option is wrong
   */
  constructor(url, { platform: given = {}, ...options } = {}) {
    super();
    this.#settings = settings(options);
    this.#platform = platform(given);
    const { queueMessages, queueBytes, resume } = this.#settings;
    this.#queue = new Queue(queueMessages, queueBytes);
    this.#resume = new Resume(resume, queueBytes);
    this.#url = address(url);
    this.#connect();
    const page = { wake: () => this.#wake(), leave: () => this.#leave() };
    this.#platform.page.watch(page, this.#watching.signal);
  }

  /** The address, in full. */
  get url() {
    return this.#url;
  }

  /**
   * - `connecting`: an attempt is made.
   * - `open`: messages go out at once.
   * - `waiting`: for the time of the next attempt.
   * - `closing`: `close` was called, and the server has not answered.
   * - `closed`: over for good.
   *
   * @returns {State}
   */
  get state() {
    return this.#state;
  }

  /** The subprotocol that the server chose for the present connection. */
  get protocol() {
    return this.#connection?.protocol ?? "";
  }

  /** Bytes that were not sent yet: in the browser, and in the queue. */
  get bufferedAmount() {
    return (this.#connection?.bufferedAmount ?? 0) + this.#queue.bytes;
  }

  /**
   * Sends text or bytes, or puts them into the queue if there is one. A message that went out when
   * the connection broke may or may not have arrived; it is sent again only where the connection is
   * resumed and the host has not read it.
   *
   * @param {import("./queue.js").Data} data
   * @throws {SendError} it is not open, and there is no room in the queue
   * @throws {TypeError} it is neither text nor bytes
   */
  send(data) {
    if (this.#state === "closing" || this.#state === "closed") {
      throw new SendError("ended", "tidegate: the socket was closed");
    }
    if (this.#state !== "open" || !this.#connection?.writable) return this.#queue.push(data);
    size(data);
    this.#send(data);
  }

  /**
   * Sends a value as JSON, in a text message.
   *
   * @param {unknown} value
   * @throws {SendError | TypeError} as `send`, or JSON cannot hold the value
   */
  sendJson(value) {
    const json = JSON.stringify(value);
    if (json === undefined) throw new TypeError(`tidegate: JSON has no ${typeof value}`);
    this.send(json);
  }

  /**
   * One of several streams over this socket, always the same for a name. From the first call on all
   * messages belong to streams: what belongs to none fires `error`.
   *
   * @param {string} name
   * @returns {import("./streams.js").Stream}
   */
  stream(name) {
    this.#streams ??= new Streams();
    return this.#streams.open(name, (text) => this.send(text));
  }

  /**
   * The place behind the last message of a group that the host remembers. The next connection names
   * it, so that the host can send what was missed.
   *
   * @param {string} group the whole name, as messages have it
   * @returns {string | undefined}
   */
  position(group) {
    return this.#positions.get(group);
  }

  /**
   * Forgets the position in a group, for one that the page has left.
   *
   * @param {string} group
   */
  forget(group) {
    this.#positions.forget(group);
  }

  /**
   * The members of a group, always the same collection for a group. Without a group those of any group that the
   * host tells of, for a socket that is in one.
   *
   * @param {string} [group] the name in full, with the module's part
   * @returns {Presence}
   */
  presence(group) {
    let presence = this.#presences.get(group);
    if (!presence) this.#presences.set(group, (presence = new Presence()));
    return presence;
  }

  /**
   * Closes for good. `end` follows; at once if no connection is open.
   *
   * @param {number} [code] 1000, or from 3000 to 4999
   * @param {string} [reason] at most 123 bytes
   * @throws {RangeError} the code or the reason may not be sent
   */
  close(code = 1000, reason = "") {
    if (code !== 1000 && !(Number.isInteger(code) && code >= 3000 && code <= 4999)) {
      throw new RangeError(`tidegate: ${code} may not be sent; 1000 and 3000 to 4999 may`);
    }
    if (size(reason) > 123) throw new RangeError("tidegate: a reason has at most 123 bytes");
    if (this.#state === "waiting") return this.#end(code, reason);
    if (this.#state === "closing" || this.#state === "closed") return;
    const connecting = this.#state === "connecting";
    this.#state = "closing";
    if (connecting) this.#abandon(code, reason);
    else this.#connection?.close(code, reason);
  }

  #connect() {
    this.#state = "connecting";
    const { token, protocols, openTimeout } = this.#settings;
    if (token === undefined) return this.#open(offered(protocols, token, this.#resume.entry));
    this.#question = new Question(token, this.#fresh, openTimeout, this.#platform, {
      answered: (given) => this.#answered(given),
      failed: (error) => this.#failed(error),
    });
  }

  /** @param {import("./token.js").Token} token */
  #answered(token) {
    this.#question = undefined;
    let protocols;
    try {
      protocols = offered(this.#settings.protocols, token, this.#resume.entry);
    } catch (error) {
      return this.#failed(error);
    }
    this.#open(protocols);
  }

  /**
   * There is no token, and so no attempt.
   *
   * @param {unknown} error
   */
  #failed(error) {
    this.#question = undefined;
    this.#fire("error", { error });
    // A listener may have closed the socket.
    if (this.#state !== "connecting") return;
    this.#over({ code: 1006, reason: "there is no token", wasClean: false });
  }

  /** @param {string | string[]} protocols */
  #open(protocols) {
    const url = this.#positions.address(this.#url);
    this.#connection = new Connection(url, protocols, this.#resume.isAsking, this.#settings, this.#platform, {
      opened: (first) => this.#opened(first),
      received: (event) => this.#received(event),
      over: (ending) => this.#over(ending),
    });
  }

  /**
   * Ends what is under way without waiting for anybody.
   *
   * @param {number} code
   * @param {string} reason
   */
  #abandon(code, reason) {
    this.#question?.drop();
    this.#question = undefined;
    if (this.#connection) this.#connection.drop(code, reason);
    else this.#over({ code, reason, wasClean: false });
  }

  /** @param {MessageEvent} [first] */
  #opened(first) {
    const { resumed, again, lost } = this.#resume.begin(first?.data);
    this.#state = "open";
    this.#fresh = false;
    for (const presence of this.#presences.values()) presence.find(resumed);
    // The messages of before keep their places: in front of all that listeners send.
    for (const data of again) this.#connection?.send(data);
    this.#fire("open", { resumed });
    if (lost > 0) {
      const error = new SendError("lost", `tidegate: ${lost} messages did not arrive and were not kept`);
      this.#fire("error", { error });
    }
    // First the listeners who join again, then the queue: the server would not know whose it is.
    while (this.#state === "open" && this.#connection?.writable) {
      const data = this.#queue.shift();
      if (data === undefined) break;
      this.#send(data);
    }
    if (first && this.#connection) this.#received(first);
  }

  /** @param {import("./queue.js").Data} data */
  #send(data) {
    this.#resume.sends(data);
    this.#connection?.send(data);
  }

  /** @param {MessageEvent} event */
  #received({ data: received, origin }) {
    if (this.#resume.takes(received)) return;
    const opened = this.#positions.open(received);
    const { group, position, gap, data } = opened ?? { data: received };
    if (opened && data === undefined) {
      if (gap) this.#fire("gap", { group, position });
      return;
    }
    const told = this.#presences.size > 0 ? decode(data) : undefined;
    const presence = told && (this.#presences.get(told.group) ?? this.#presences.get(undefined));
    if (presence) return presence.receive(told);
    if (!this.#streams) {
      const event = new MessageEvent("message", { data, origin });
      this.dispatchEvent(Object.assign(event, { group, position }));
      return;
    }
    try {
      this.#streams.receive(data);
    } catch (error) {
      this.#fire("error", { error, data });
    }
  }

  /** @param {{ code: number, reason: string, wasClean: boolean }} ending */
  #over({ code, reason, wasClean }) {
    const openFor = this.#connection?.openFor;
    const opened = openFor !== undefined;
    // A host that took the handshake and said nothing has not resumed.
    if (!opened && this.#connection?.writable) this.#resume.forget();
    this.#resume.ended(code);
    // Why a handshake failed a browser does not tell.
    this.#fresh = code === EXPIRED || !opened;
    // One that opens and closes again at once has failed, too.
    if (opened && openFor >= this.#settings.stableAfter) this.#failures = 0;
    this.#failures += 1;
    this.#connection = undefined;
    for (const presence of this.#presences.values()) presence.lose();
    const closing = this.#state === "closing";
    this.#state = "waiting";
    if (opened) this.#fire("close", { code, reason, wasClean });
    // A listener may have closed the socket.
    if (this.#state !== "waiting") return;
    if (closing) return this.#end(code, reason);
    const what = this.#decide({ code, reason, wasClean, opened, attempt: this.#failures });
    if (this.#state !== "waiting") return;
    if (what === "end") return this.#end(code, reason);
    this.#wait(what, code, reason);
  }

  /**
   * @param {import("./options.js").Ending} ending
   * @returns {import("./codes.js").Advice}
   */
  #decide(ending) {
    // With another token it may come back.
    const isExpired = ending.code === EXPIRED && this.#settings.token !== undefined;
    const usual = isExpired ? "backoff" : advice(ending.code);
    let wanted;
    try {
      wanted = this.#settings.shouldReconnect?.(ending);
    } catch (error) {
      this.#fire("error", { error });
    }
    if (wanted === undefined) return usual;
    if (!wanted) return "end";
    return usual === "end" ? "backoff" : usual;
  }

  /**
   * @param {Exclude<import("./codes.js").Advice, "end">} what
   * @param {number} code
   * @param {string} reason
   */
  #wait(what, code, reason) {
    const { page, random, now } = this.#platform;
    const attempt = this.#failures;
    // A browser that believes to be offline may be wrong, so the attempts do not stop altogether.
    const quiet = !page.online() || (page.hidden() && attempt > 1);
    const wait = delay(what, attempt, quiet, this.#settings, random);
    this.#earliest = now() + (what === "later" ? wait : this.#settings.first);
    this.#schedule(wait);
    this.#fire("reconnecting", { attempt, delay: wait, code, reason });
  }

  /** @param {number} wait */
  #schedule(wait) {
    const { now, setTimeout, clearTimeout } = this.#platform;
    clearTimeout(this.#timer);
    this.#due = now() + wait;
    this.#timer = setTimeout(() => this.#connect(), wait);
  }

  /** The network is back, or somebody looks at the page. */
  #wake() {
    if (this.#state !== "waiting") return;
    const now = this.#platform.now();
    const at = Math.max(now, this.#earliest);
    if (at < this.#due) this.#schedule(at - now);
  }

  /** The page is left. A browser may keep it, and the connection: nobody would hear of leaving. */
  #leave() {
    if (this.#state !== "waiting" && this.#state !== "closed") this.#abandon(1001, "the page was left");
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #end(code, reason) {
    this.#state = "closed";
    this.#platform.clearTimeout(this.#timer);
    this.#watching.abort();
    this.#fire("end", { code, reason, unsent: this.#queue.take() });
  }

  /**
   * @param {string} type
   * @param {Record<string, unknown>} values
   */
  #fire(type, values) {
    this.dispatchEvent(new SocketEvent(type, values));
  }
}

/**
 * @param {string | URL} url
 * @returns {string}
 */
function address(url) {
  const full = new URL(url, globalThis.location?.href);
  full.protocol = full.protocol.replace(/^http/, "ws");
  if (!/^wss?:$/.test(full.protocol)) {
    throw new SyntaxError(`tidegate: ${full.protocol} is no WebSocket`);
  }
  full.hash = "";
  return full.href;
}
