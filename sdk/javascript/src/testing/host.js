/** The host of a test. */

import { bytes, kind, text } from "../bytes.js";
import { packMessage, unpack } from "../content.js";
import { sending } from "../calls.js";
import { Group, fullName } from "../group.js";
import { Tick } from "../schedule.js";
import { run } from "./call.js";
import { TestFetch, nameOf } from "./fetch.js";
import { send } from "./http.js";
import { TestData } from "./inspection.js";
import { checkChannel, checkContent, isModule } from "./rules.js";
import { connect } from "./websocket.js";
import { World } from "./world.js";

/** @typedef {import("../app.js").App} App */

/**
 * @typedef {object} HostOptions
 * @property {string} [module] the name under which the module is deployed; `test` if not given
 * @property {string[]} [granted] channels and groups of others that the module may use
 * @property {string[]} [grantedData] other modules whose data the module may read
 * @property {boolean} [grantedSessions] whether the module may sign users in and out, as `grants.sessions` says
 * @property {string[]} [reaching] servers outside that the module may reach, as `grants.http` has them:
 *   `api.example.com`, `*.example.com`, `localhost:3000`, also with a scheme before them. Networks are
 *   not compared here
 * @property {Record<string, string>} [environment] variables and secrets, for `cx.variable`
 * @property {Date} [at] the time that `cx.now` tells at first; that of the machine if not given
 *
 * @typedef {{ readonly cookies: readonly string[] }} Cookies
 *
 * @typedef {import("./users.js").SignedIn & RequestFields} RequestOptions
 * @typedef {import("./users.js").SignedIn & WebsocketFields} WebsocketOptions
 *
 * @typedef {object} RequestFields
 * @property {Record<string, string | string[]>} [headers] `host` is `localhost` if not given
 * @property {Cookies} [cookiesOf] a response whose cookies are sent back, as a browser does
 * @property {import("../bytes.js").Bytes} [body]
 * @property {unknown} [json] a body, with its content type
 *
 * @typedef {object} WebsocketFields
 * @property {Record<string, string | string[]>} [headers]
 * @property {Cookies} [cookiesOf] a response whose cookies are sent, as a browser does
 * @property {string[]} [subprotocols] the first is the client's favourite
 */

/**
 * Runs the consumers of a module natively, with the rules of the host: an outbox that is sent in
 * order after a run without fault and dropped after any other, one event of a connection at a time,
 * names and ownership of channels and groups, requests on hold, delayed messages, state of at most
 * 16 KiB, an outbox of at most 1,000 entries and 8 MiB.
 *
 * ```js
 * const host = new TestHost(app, { module: "tide" });
 * const response = await host.request("POST", "/tide/3");
 * assert.equal(response.status, 200);
 * ```
 *
 * When a call has resolved, the event and all that followed from it have run. Time stands still
 * until `advance`. The test plays the servers outside: `fetch`. The test host leaves out fuel, memory
 * and deadlines, full channels, and the loss of messages. Memory is that of the test: what a module
 * keeps in its variables is there for the next event.
 */
export class TestHost {
  #world;
  /** @type {Promise<void>} */
  #settling = Promise.resolve();

  /**
   * @param {App} app
   * @param {HostOptions} [options]
   * @throws {TypeError} the module's name is not 1 to 63 of `a-z 0-9 -`
   */
  constructor(app, options = {}) {
    const { module = "test", granted = [], grantedData = [], reaching = [] } = options;
    const { environment = {}, at, grantedSessions = false } = options;
    if (!isModule(module))
      throw new TypeError(`module ${JSON.stringify(module)}: its name has 1 to 63 of a-z 0-9 -`);
    if (!Array.isArray(reaching))
      throw new TypeError(`reaching is ${kind(reaching)}: give an array of servers`);
    const world = new World(app);
    this.#world = world;
    world.module = module;
    world.granted = new Set(granted);
    world.grantedData = new Set(grantedData);
    world.grantedSessions = grantedSessions;
    world.reachable = [...reaching];
    world.environment = new Map(Object.entries(environment));
    if (at) world.epoch = at.getTime();
  }

  /**
   * Runs events until none is left.
   *
   * @returns {Promise<void>}
   */
  #settle = () => {
    this.#settling = this.#settling.then(async () => {
      // What is announced may have consumers of its own.
      do {
        for (let job = this.#world.queue.shift(); job; job = this.#world.queue.shift())
          await run(this.#world, job);
      } while (this.#world.groups.announce());
    });
    return this.#settling;
  };

  /**
   * Deploys another version of the module: open connections stay, with their state, and the next
   * event meets the new consumers. A connection whose consumer is gone closes with code 1012.
   *
   * @param {App} app
   */
  async replace(app) {
    this.#world.replace(app);
    await this.#settle();
  }

  /**
   * Sends a GET request.
   *
   * @param {string} path with the query
   * @param {RequestOptions} [options]
   */
  get(path, options) {
    return this.request("GET", path, options);
  }

  /**
   * Sends an HTTP request. A request on hold has no response yet: ask it again after what should
   * answer it.
   *
   * @param {string} method
   * @param {string} path with the query
   * @param {RequestOptions} [options]
   * @returns {Promise<import("./http.js").TestResponse>}
   */
  request(method, path, options = {}) {
    return send(this.#world, this.#settle, method, path, options);
  }

  /**
   * Asks for a WebSocket.
   *
   * @param {string} path with the query
   * @param {WebsocketOptions} [options]
   * @returns {Promise<import("./websocket.js").TestSocket>}
   * @throws {import("./websocket.js").Denied} the handshake is denied
   */
  websocket(path, options = {}) {
    return connect(this.#world, this.#settle, path, options);
  }

  /**
   * Sends a message to a channel, as another program may.
   *
   * @param {string} channel
   * @param {import("../types.js").Message} message
   * @throws {import("../errors.js").SendError} the name or the content breaks a rule
   */
  async send(channel, message) {
    const content = packMessage(message, "send");
    sending(() => {
      checkChannel(text(channel, "the channel of send"));
      checkContent(content);
    });
    this.#world.send(channel, content, this.#world.nextId());
    await this.#settle();
  }

  /**
   * Sends a Tick of this moment to a consumer that has a schedule.
   *
   * @param {string} consumer
   * @throws {TypeError} the module has no such consumer, or it has no schedule
   */
  async fire(consumer) {
    const { app, epoch, now } = this.#world;
    const entry = app.byName.get(consumer);
    if (!entry) {
      const known = [...app.byName.keys()].join(", ");
      throw new TypeError(
        `the module has no consumer ${JSON.stringify(consumer)}; it has ${known}`,
      );
    }
    if (!entry.schedule || entry.trigger.tag !== "channel") {
      throw new TypeError(
        `consumer \`${consumer}\` has no schedule: give channel() the option \`schedule\``,
      );
    }
    await this.send(entry.trigger.val.name, new Tick(new Date(epoch + now)));
  }

  /**
   * The request to a server outside that has waited longest of those with this method and URL. It waits
   * until it is answered.
   *
   * ```js
   * await host.fetch("GET https://api.example.com/").answer(200, "fine");
   * ```
   *
   * @param {string} methodAndUrl
   * @returns {TestFetch}
   * @throws {Error} no such request waits
   */
  fetch(methodAndUrl) {
    const found = this.#world.fetches.find((waiting) => nameOf(waiting) === methodAndUrl);
    if (found) return new TestFetch(this.#world, this.#settle, found);
    throw new Error(
      `no request ${JSON.stringify(methodAndUrl)} waits; these do: ${JSON.stringify(this.fetches)}`,
    );
  }

  /**
   * Answers the next request with this method and URL that a run waits for, by `cx.fetchNow`.
   *
   * @param {string} methodAndUrl
   * @param {number} status
   * @param {import("../bytes.js").Bytes} [body]
   * @param {Record<string, string>} [headers]
   */
  answers(methodAndUrl, status, body = "", headers = {}) {
    const fields = Object.entries(headers).map(([name, value]) => ({
      name: name.toLowerCase(),
      value: bytes(value, `the header field \`${name}\``),
    }));
    const outcome = { status, headers: fields, body: bytes(body, "the body of an answer") };
    this.#world.prepared.push({ of: methodAndUrl, outcome });
  }

  /**
   * Has the next request with this method and URL that a run waits for fail, for one of the reasons of
   * `FetchFailed`.
   *
   * @param {string} methodAndUrl
   * @param {string} reason
   */
  fails(methodAndUrl, reason) {
    this.#world.prepared.push({ of: methodAndUrl, outcome: { reason } });
  }

  /** Methods and URLs of the requests that wait for an answer, the one that has waited longest first. */
  get fetches() {
    return this.#world.fetches.map(nameOf);
  }

  /**
   * Moves the clock, that of `cx.now` too. Runs what is due on the way, in the order of time.
   *
   * @param {number} span in milliseconds
   */
  async advance(span) {
    const end = this.#world.now + span;
    while (this.#world.nextDue(end)) await this.#settle();
  }

  /**
   * What was sent to a channel so far, also by way of a delay that has passed.
   *
   * @param {string} channel
   * @returns {any[]}
   */
  messages(channel) {
    return this.#world.sent
      .filter(({ to }) => to === channel)
      .map(({ content }) => unpack(content));
  }

  /**
   * The channels in a group.
   *
   * @param {string | Group} group
   * @returns {string[]}
   */
  group(group) {
    return this.#world.groups.channels(fullName(group, this.#world.module));
  }

  /**
   * The keys of the members that are present in a group, in their order.
   *
   * @param {string | Group} group
   * @returns {string[]}
   */
  members(group) {
    const name = fullName(group, this.#world.module);
    return this.#world.groups.presence.page(name, undefined, Infinity).members.map(({ key }) => key);
  }

  /**
   * Forgets the history of a group, as a host does that has no room for it, or that is started again. A client that comes
   * back from a position before that is told that messages are gone.
   *
   * @param {string | Group} group
   */
  forget(group) {
    this.#world.groups.histories.forget(fullName(group, this.#world.module));
  }

  /**
   * What was sent to a group so far.
   *
   * @param {string | Group} group
   * @returns {any[]}
   */
  groupMessages(group) {
    const name = fullName(group, this.#world.module);
    return this.#world.groupSent
      .filter(({ to }) => to === name)
      .map(({ content }) => unpack(content));
  }

  /** The data of the module in the store. */
  get data() {
    return this.dataOf(this.#world.module);
  }

  /**
   * The data of another module.
   *
   * @param {string} module
   */
  dataOf(module) {
    return new TestData(this.#world, module);
  }

  /**
   * Changes data between the end of the next run that uses the store and its commit. If the run has
   * read what `change` changes, it is done again. Several calls are for several commits, one each.
   *
   * ```js
   * host.beforeCommit((data) => data.set("seat:8", { by: "eve" }));
   * ```
   *
   * @param {(data: TestData) => void} change
   */
  beforeCommit(change) {
    this.#world.changes.push(change);
  }

  /**
   * Lets the next run that uses the store find that a key has changed when it commits. If it has
   * read the key, it is done again and sees the same. Several calls are for several commits, one
   * each.
   *
   * @param {string} key one that has a value then
   */
  conflictOnce(key) {
    this.beforeCommit((data) => data.touch(key));
  }

  /** The lines that consumers logged. A fault does not take them back. */
  get logs() {
    return [...this.#world.logs];
  }

  /** The invocations that failed: the consumer, and a text for the record. */
  get faults() {
    return [...this.#world.faults];
  }

  /** Why messages reached nobody: the connection is gone, or its kind takes no such message. */
  get drops() {
    return [...this.#world.drops];
  }
}
