/** What every consumer can do: send, join groups, log, and facts of the run. */

import { bytes, milliseconds, text } from "./bytes.js";
import { flushing, meeting, replying, sending } from "./calls.js";
import { packMessage } from "./content.js";
import { PresenceError, SendError } from "./errors.js";
import { ask, askNow } from "./fetch.js";
import { fullName } from "./group.js";
import * as history from "./history.js";
import { UserConnections } from "./online.js";
import * as presence from "./presence.js";
import { Hold, Response, Streamed } from "./response.js";
import { Scope } from "./scope.js";
import { Session, Sessions } from "./session.js";
import { Store } from "./store.js";
import { Throttle } from "./throttle.js";
import { Timer, sendAt } from "./timer.js";
import { User } from "./user.js";

/** @typedef {import("./types.js").Run} Run */
/** @typedef {import("./types.js").Message} Message */
/** @typedef {import("./group.js").Group} Group */

/**
 * What a consumer does besides returning: send messages, join groups, write lines for the record.
 *
 * Nothing here waits. What is sent, joined or left is kept in the invocation's *outbox*, which the
 * host sends in order when the consumer has returned without fault; after a fault only what `flush`
 * sent has been sent.
 */
export class Context {
  /** @type {Run} */
  #run;
  /** @type {string | undefined} */
  #replyChannel;
  /** @type {Scope | null | undefined} */
  #scope;
  /** @type {User<any> | null | undefined} */
  #user;

  /**
   * @param {Run} run
   * @param {string} [replyChannel]
   * @param {Scope} [scope]
   */
  constructor(run, replyChannel, scope) {
    this.#run = run;
    this.#replyChannel = replyChannel;
    this.#scope = scope;
  }

  /** The name under which the module is deployed. */
  get module() {
    return this.#run.invocation.module;
  }

  /** The name of the consumer. */
  get consumer() {
    return this.#run.invocation.consumer;
  }

  /** What `app` puts before the consumer's path, for links to its neighbours. Empty without a prefix. */
  get prefix() {
    return this.#run.prefix;
  }

  /** 32 hexadecimal digits that follow one event through log, records, replies and background sends. */
  get correlationId() {
    return this.#run.invocation.correlationId;
  }

  /**
   * The id of the message that the consumer runs for: 32 hexadecimal digits, the same however often it is
   * delivered. With it another service knows that a request repeats one that it has had.
   *
   * `undefined` for an event of a connection, and where the sender of the message gave it none, as a
   * program in another language may.
   *
   * @returns {string | undefined}
   */
  get messageId() {
    return this.#telling.messageId();
  }

  /**
   * Which delivery of the message this is: 1 for the first, and 1 for an event of a connection.
   *
   * On a channel with `retries` it counts up with each delivery after a fault or the loss of a worker. A
   * run that is done again since data has changed is the same delivery. The channel keeps the count. So
   * it begins again in the channel for what cannot be done, and where a single process was started again.
   */
  get attempt() {
    return this.#telling.attempt();
  }

  get #telling() {
    const { telling } = this.#run.host;
    if (telling) return telling;
    throw new Error(
      "the build has not found the name in the code: write `cx.messageId` and `cx.attempt`, with a dot",
    );
  }

  /** The connection's own channel. `undefined` for a message on a channel of the application. */
  get replyChannel() {
    return this.#replyChannel;
  }

  /** The facts of the connection. `undefined` for a message on a channel of the application. */
  get scope() {
    if (this.#scope === undefined) {
      const wire = this.#run.host.getScope();
      this.#scope = wire ? new Scope(wire) : null;
    }
    return this.#scope ?? undefined;
  }

  /**
   * The user of the connection, as of its request or handshake. `undefined`: nobody is signed in, the
   * consumer has neither the option `user` nor `claims`, or the event is a message on a channel.
   *
   * @returns {User<any> | undefined}
   */
  get user() {
    if (this.#user === undefined) {
      const wire = this.#run.host.knowing?.currentUser();
      this.#user = wire ? new User(wire) : null;
    }
    return this.#user ?? undefined;
  }

  /**
   * Sends a message to a channel: one that this module declares, or a reply channel whose name it
   * was handed.
   *
   * @param {string} channel
   * @param {Message} message an object; for a reply channel a Frame, a Response, a Close or a Chunk
   * @throws {SendError} the host refuses it
   * @throws {TypeError} the message is not an object with text keys
   */
  send(channel, message) {
    const content = packMessage(message, "send");
    sending(() => this.#run.host.send(text(channel, "the channel of send"), content));
  }

  /**
   * Sends a message to a channel, not before a delay has passed.
   *
   * @param {string} channel
   * @param {Message} message as in `send`
   * @param {number} delay in milliseconds, at most 24 hours
   * @throws {SendError} the host refuses it
   * @throws {TypeError | RangeError} a value has the wrong type, or the delay is negative
   */
  sendLater(channel, message, delay) {
    const content = packMessage(message, "sendLater");
    const span = milliseconds(delay, "the delay of sendLater");
    sending(() =>
      this.#run.host.sendLater(text(channel, "the channel of sendLater"), content, span),
    );
  }

  /**
   * Makes this connection, or any channel, a member of a group, until it leaves or ends.
   *
   * @param {string | Group} group
   * @param {string} [channel] the own connection if not given
   * @throws {SendError} the event has no connection, or the host refuses a name
   */
  groupAdd(group, channel) {
    const member = this.#member(channel, "groupAdd");
    sending(() => this.#run.host.groupAdd(fullName(group, this.module), member));
  }

  /**
   * Makes this connection a member of a group that is remembered, from a place on: the host sends it all that
   * it has missed, in order and once, or tells it that messages are gone. What it gets from the group carries
   * positions. One that has joined so already stays as it is.
   *
   * ```js
   * socket.groupJoin("room.blue", { after: socket.lastPosition("room.blue"), latest: 100 });
   * ```
   *
   * The option `history` of a consumer says which groups are remembered.
   *
   * @param {string | Group} group
   * @param {import("./types.js").Since} [since] from now on if not given
   * @throws {import("./errors.js").HistoryError} the event has no connection, the group is not remembered, or the
   *   host refuses its name
   * @throws {TypeError | RangeError} a value has the wrong type, or `latest` is out of range
   */
  groupJoin(group, since = {}) {
    history.join(this.#remembering, fullName(group, this.module), since);
  }

  /**
   * The last position in a group that the client says it has: the part behind the colon of
   * `after=GROUP:POSITION` in its query, else a lone `after=POSITION`, else the header field `last-event-id`,
   * which browsers send for a stream of events. The JavaScript client sends it. It may be any text: the host
   * checks it.
   *
   * @param {string | Group} group
   * @returns {string | undefined}
   */
  lastPosition(group) {
    const name = fullName(group, this.module);
    const { scope } = this;
    return scope && history.said(scope, name);
  }

  /**
   * The history of a group that is remembered.
   *
   * @param {string | Group} group
   */
  history(group) {
    return new history.History(this.#remembering, fullName(group, this.module));
  }

  get #remembering() {
    const { remembering } = this.#run.host;
    if (remembering) return remembering;
    throw new Error(
      "the build has not found history in the code: write `cx.groupJoin(...)` and `cx.history(...)`, with a dot",
    );
  }

  /**
   * Ends a membership. Without one, it does nothing.
   *
   * @param {string | Group} group
   * @param {string} [channel] the own connection if not given
   * @throws {SendError} the event has no connection, or the host refuses a name
   */
  groupDiscard(group, channel) {
    const member = this.#member(channel, "groupDiscard");
    sending(() => this.#run.host.groupDiscard(fullName(group, this.module), member));
  }

  /**
   * Sends a message to every member of a group.
   *
   * @param {string | Group} group
   * @param {Message} message as in `send`; for connections a Frame, a Response, a Close or a Chunk
   * @throws {SendError} the host refuses it
   */
  groupSend(group, message) {
    const content = packMessage(message, "groupSend");
    sending(() => this.#run.host.groupSend(fullName(group, this.module), content));
  }

  /**
   * Makes a connection a member of a group, as `groupAdd` does, and present in it as the member of a key. All
   * connections with one key are one member: three tabs of a browser are one, which leaves with the last of
   * them. Calling it again changes the facts, or the key.
   *
   * ```js
   * socket.present("board", socket.params.name, { colour: "blue" });
   * ```
   *
   * The option `presence` of a consumer says who is told.
   *
   * @param {string | Group} group
   * @param {string} key text of 1 to 256 bytes without control characters
   * @param {object} [facts] an object of at most 1 KiB, of values that JSON has, too
   * @param {string} [channel] the own connection if not given
   * @throws {PresenceError} the event has no connection, or the host refuses a value
   * @throws {TypeError} a value has the wrong type
   */
  present(group, key, facts = {}, channel) {
    const host = this.#meeting;
    if (channel === undefined && this.#replyChannel === undefined) {
      throw new PresenceError(
        "no-connection",
        "this event has no connection: name the reply channel of one, as in present(group, key, facts, channel)",
      );
    }
    const member = this.#member(channel, "present");
    presence.present(host, fullName(group, this.module), member, key, facts);
  }

  /**
   * The same with the id of the user as the key, so that all connections of a user are one member.
   *
   * @param {string | Group} group
   * @param {object} [facts]
   * @throws {PresenceError} there is no user, or as `present`
   */
  presentUser(group, facts) {
    const { user } = this;
    if (user) return this.present(group, user.id, facts);
    throw new PresenceError(
      "no-user",
      'there is no user: give the consumer the option user: "required", or name the member with present',
    );
  }

  /**
   * Lists the members of a group in the order of their keys: 1,000 at most. The cursor of a part gets the
   * next one. Parts are of different moments, and what is in the outbox is in none: this connection is there
   * from its next event on. A member whose last connection has ended is there until it has left. A run reads
   * 100 parts at most, counts among them.
   *
   * @template [F=any]
   * @param {string | Group} group
   * @param {{ cursor?: string | undefined, limit?: number }} [options] without a cursor from the beginning;
   *   `limit` is 1 to 1,000
   * @returns {import("./types.js").Members<F>}
   * @throws {PresenceError} the host refuses the call, or the layer does not answer
   * @throws {TypeError | RangeError} a value has the wrong type, or the limit is out of range
   */
  members(group, options = {}) {
    return presence.members(this.#meeting, fullName(group, this.module), options);
  }

  /**
   * Counts the members of a group.
   *
   * @param {string | Group} group
   * @returns {number}
   * @throws {PresenceError} as `members`
   */
  memberCount(group) {
    const host = this.#meeting;
    return meeting(() => host.memberCount(fullName(group, this.module)));
  }

  get #meeting() {
    const found = this.#run.host.meeting;
    if (found) return found;
    throw new Error(
      "the build has not found presence in the code: write `cx.present(...)`, `cx.members(...)` and the like, with a dot",
    );
  }

  /**
   * The connections of a user to this module: to send to them, to close and to count them.
   *
   * ```js
   * cx.connectionsOf(cx.user.id).close(4000, "signed out");
   * ```
   *
   * @param {string} user the id of the user
   * @throws {TypeError} the id is not text
   */
  connectionsOf(user) {
    const { reaching } = this.#run.host;
    if (reaching) return new UserConnections(reaching, user);
    throw new Error(
      "the build has not found connectionsOf in the code: write `cx.connectionsOf(...)`, with a dot",
    );
  }

  /**
   * Sends what is in the outbox now, replies included.
   *
   * @throws {import("./errors.js").FlushError} an entry could not be sent
   */
  flush() {
    flushing(() => this.#run.host.flush());
  }

  /**
   * Keeps the HTTP request open after the consumer has returned this, until somebody sends a
   * `Response` to its reply channel. After the timeout the host answers with status 504, or with
   * the response of `or`.
   *
   * ```js
   * cx.groupAdd("waiting");
   * return cx.hold(30_000).or(new Response(null, { status: 204 }));
   * ```
   *
   * @param {number} timeout in milliseconds, at most 1 hour
   */
  hold(timeout) {
    return new Hold(timeout);
  }

  /**
   * Starts a response whose body follows in parts. The body of `head`, if there is one, is the
   * first part. To let a part go out before the consumer returns, call `flush`.
   *
   * @param {Response} head
   * @throws {import("./errors.js").ReplyError} the event is no HTTP request, or it is answered
   *   already
   */
  startStream(head) {
    if (!(head instanceof Response)) throw new TypeError("startStream takes a Response");
    const { status, headers, body } = head.toWire();
    replying(() => this.#run.host.stream({ tag: "start", val: { status, headers } }));
    if (body.length > 0) this.write(body);
  }

  /**
   * Writes a part of the body of a streamed response.
   *
   * @param {import("./bytes.js").Bytes} part
   * @throws {import("./errors.js").ReplyError} no stream is open
   */
  write(part) {
    const val = bytes(part, "the part of write");
    replying(() => this.#run.host.stream({ tag: "chunk", val }));
  }

  /**
   * Ends a streamed response. An HTTP consumer returns the value that this returns.
   *
   * @returns {Streamed}
   * @throws {import("./errors.js").ReplyError} no stream is open
   */
  endStream() {
    replying(() => this.#run.host.stream({ tag: "end" }));
    return new Streamed();
  }

  /**
   * The sessions of the host: signing in and out. The consumer needs the option `user`, mostly `"optional"`.
   *
   * ```js
   * cx.sessions().signIn(name, { role: "member" });
   * ```
   */
  sessions() {
    return new Sessions(this.#holding);
  }

  /**
   * What the module keeps for the session of the connection, such as a basket. A module has one kind of data for
   * it. The consumer needs the option `user`, mostly `"optional"`.
   *
   * ```js
   * cx.session().update((basket = []) => [...basket, item]);
   * ```
   *
   * @template [T=any]
   * @param {import("./types.js").Shape<T>} [shape] how data of other versions is read
   * @returns {Session<T>}
   */
  session(shape = {}) {
    return new Session(this.#holding, this.store, this.#run.host.now(), shape);
  }

  /**
   * A bound on how often something is tried, by a subject.
   *
   * ```js
   * const wait = cx.throttle("login", { limit: 10, window: 900_000 }).count(name);
   * if (wait > 0) return new Response("too many tries\n", { status: 429 });
   * ```
   *
   * @param {string} name tells it from other throttles of the module
   * @param {{ limit: number, window: number }} bound so many tries in so many milliseconds
   * @throws {TypeError | RangeError} a value has the wrong type, or is out of range
   */
  throttle(name, bound) {
    return new Throttle(this.store, this.#run.host.now(), name, bound);
  }

  get #holding() {
    const { holding } = this.#run.host;
    if (holding) return holding;
    throw new Error(
      "the build has not found sessions in the code: write `cx.sessions()` and `cx.session()`, with a dot",
    );
  }

  /** The data of the module: keys and values that outlive connections and versions. */
  get store() {
    return new Store(this.#storing);
  }

  /**
   * The timer of a key, to be set, replaced or cancelled.
   *
   * ```js
   * cx.timer(`gone:${name}`).sendLater("gone", { name }, 60_000);
   * ```
   *
   * @param {string} key text of 1 to 512 bytes
   */
  timer(key) {
    return new Timer(this.#storing, text(key, "the key of a timer"));
  }

  /**
   * Sends a message to a channel at a moment, which outlives processes and versions. To replace or
   * cancel it use `timer`, which has the same method.
   *
   * @param {string} channel one that this module declares, or that it is granted
   * @param {Message} message
   * @param {Date | number} moment a Date, or milliseconds since 1970, at most a year ahead; one in
   *   the past is due at once
   * @throws {import("./errors.js").TimerError} the host refuses it
   */
  sendAt(channel, message, moment) {
    sendAt(this.#storing, undefined, channel, message, moment);
  }

  /**
   * Has the host make a request to a server outside when the run has committed. Nothing waits for it.
   *
   * It is part of the transaction of the run: it is made when the run commits, and not if the run fails.
   * Its result is a message to the channel `then`, once, also after the process that made it has ended;
   * the consumer takes it with the option `fetched`.
   *
   * The operator grants the servers of a module: `grants.http = ["api.example.com"]` in its settings.
   * Addresses of private networks need a grant of their own.
   *
   * ```js
   * cx.fetch("https://pay.example.com/charges", {
   *   method: "POST",
   *   json: order,
   *   then: "shop.charged",
   *   value: order,
   *   retries: 5,
   *   idempotencyKey: `order-${order.id}`,
   * });
   * ```
   *
   * @param {string} url of `https` or `http`
   * @param {import("./types.js").FetchOptions} options
   * @throws {import("./errors.js").FetchError} the host refuses it: it breaks a rule, or the server or the
   *   channel is not granted
   * @throws {TypeError | RangeError} a value has the wrong type
   */
  fetch(url, options) {
    const { fetching } = this.#run.host;
    if (!fetching)
      throw new Error("the build has not found fetch in the code: write `cx.fetch`, with a dot");
    ask(fetching, url, options);
  }

  /**
   * Makes a request to a server outside and waits for its answer, whatever its status.
   *
   * The wait counts against the deadline of the run and holds its slot: prefer `fetch` for what can come
   * later. A run that has made a request fails if its data has changed meanwhile; a channel with retries
   * delivers its message again, and then the request is made again. Redirects are not followed, and a
   * compressed body comes as it is.
   *
   * The operator grants the servers of a module, `grants.http = ["rates.example.com"]` in its settings; a
   * module whose code names `fetchNow` is refused without any.
   *
   * ```js
   * const answer = cx.fetchNow("https://rates.example.com/eur");
   * return answer.isSuccess ? answer.text() : "no rate\n";
   * ```
   *
   * @param {string} url of `https` or `http`
   * @param {import("./types.js").FetchNowOptions} [options]
   * @returns {import("./fetched.js").Answer}
   * @throws {import("./errors.js").FetchFailed} there is no answer
   * @throws {TypeError | RangeError} a value has the wrong type
   */
  fetchNow(url, options = {}) {
    const { outgoing } = this.#run.host;
    if (!outgoing)
      throw new Error(
        "the build has not found fetchNow in the code: write `cx.fetchNow`, with a dot",
      );
    return askNow(outgoing, url, options);
  }

  get #storing() {
    const { storing } = this.#run.host;
    if (storing) return storing;
    throw new Error(
      "the build has not found the store in the code: write `cx.store`, `cx.timer`, `cx.sendAt`, `cx.session()` or `cx.throttle()`, with a dot",
    );
  }

  /** The time. A test moves it with `host.advance`. */
  now() {
    return new Date(this.#run.host.now());
  }

  /**
   * A variable of the environment that the module is granted, secrets among them.
   *
   * @param {string} name
   * @returns {string | undefined} `undefined` if it is not granted
   */
  variable(name) {
    return this.#run.host.variable(text(name, "the name of a variable"));
  }

  /**
   * Adds a line to the invocation's record.
   *
   * @param {import("./types.js").Level} level
   * @param {string} line
   */
  log(level, line) {
    this.#run.host.log(level, text(line, "a line of the log"));
  }

  /** Adds a line for whoever looks for a defect. @param {string} line */
  debug(line) {
    this.log("debug", line);
  }

  /** Adds a line that an operator may want to know. @param {string} line */
  info(line) {
    this.log("info", line);
  }

  /** Adds a line about something that looks wrong. @param {string} line */
  warn(line) {
    this.log("warn", line);
  }

  /** Adds a line about something that failed. @param {string} line */
  error(line) {
    this.log("error", line);
  }

  /**
   * @param {string | undefined} channel
   * @param {string} what
   * @returns {string}
   */
  #member(channel, what) {
    if (channel !== undefined) return text(channel, `the channel of ${what}`);
    if (this.#replyChannel !== undefined) return this.#replyChannel;
    throw new SendError(
      "no-connection",
      `this event has no connection: name the channel, as in ${what}(group, channel)`,
    );
  }
}
