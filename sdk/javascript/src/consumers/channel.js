/** Consumers of messages on channels. */

import { integer, kind } from "../bytes.js";
import { unpack } from "../content.js";
import { Context } from "../context.js";
import { DeclarationError } from "../errors.js";
import { readFetched } from "../fetched.js";
import { readHistory } from "../history.js";
import { readPresence } from "../presence.js";
import { checkName, readOptions } from "../route.js";
import { readSchedule, readTick } from "../schedule.js";

/** @typedef {import("../types.js").Consumer} Consumer */

const RETRIES_MAX = 100;

/**
 * Makes a consumer of the messages on a channel, which the module then owns.
 *
 * ```js
 * channel("thumbnails.make", { retries: 5 }, (picture, cx) => cx.send(picture.next, { id:
 * picture.id }))
 * ```
 *
 * Delivery is at most once, and with `retries` at least once: the consumer may run more than once
 * for one message, and must not mind.
 *
 * @template [M=any]
 * @overload
 * @param {string} name
 * @param {import("../types.js").ChannelHandler<M>} handler
 * @returns {Consumer}
 */
/**
 * Makes a consumer of the messages on a channel, which the module then owns.
 *
 * ```js
 * channel("thumbnails.make", { retries: 5 }, (picture, cx) => cx.send(picture.next, { id:
 * picture.id }))
 * ```
 *
 * Delivery is at most once, and with `retries` at least once: the consumer may run more than once
 * for one message, and must not mind.
 *
 * @template [M=any]
 * @overload
 * @param {string} name
 * @param {import("../types.js").ChannelOptions} options
 * @param {import("../types.js").ChannelHandler<M>} handler
 * @returns {Consumer}
 */
/**
 * Makes a consumer of a channel that is run by the clock: at each moment of its schedule it gets a
 * `Tick`.
 *
 * ```js
 * const schedule = { expression: "30 3 * * 1-5", zone: "Europe/Berlin" };
 * channel("shop.report", { schedule }, (tick, cx) => cx.info(tick.due.toISOString()));
 * ```
 *
 * Others may send to the channel, too; what they send arrives as it is. In a test `host.fire` stands
 * for the clock.
 *
 * @overload
 * @param {string} name
 * @param {import("../types.js").ScheduledOptions} options
 * @param {import("../types.js").ChannelHandler<import("../schedule.js").Tick>} handler
 * @returns {Consumer}
 */
/**
 * Makes a consumer of a channel that the results of requests go to: it gets each as a `Fetched`.
 *
 * ```js
 * channel("shop.charged", { fetched: true, retries: 5 }, ({ value, answer, failure }, cx) => {
 *   if (failure) cx.warn(`order ${value.id} is unclear: ${failure}`);
 *   else if (answer.isSuccess) cx.store.set(`paid:${value.id}`, answer.json());
 * });
 * ```
 *
 * A message that is not the result of a request is a fault. In a test `host.fetch` has the requests that
 * wait for an answer.
 *
 * @template [V=any]
 * @overload
 * @param {string} name
 * @param {import("../types.js").FetchedOptions} options
 * @param {import("../types.js").ChannelHandler<import("../types.js").Fetched<V>>} handler
 * @returns {Consumer}
 */
/**
 * Makes a consumer of a channel that is told who comes to groups and leaves them: it gets each
 * `PresenceChange`.
 *
 * ```js
 * channel("board.changes", { presence: "board.*" }, ({ group, joined, left }, cx) => {
 *   for (const key of Object.keys(joined)) cx.info(`${key} came to ${group}`);
 *   for (const key of left) cx.info(`${key} left ${group}`);
 * });
 * ```
 *
 * Others may send to the channel, too; what they send arrives as it is.
 *
 * @template [F=any]
 * @overload
 * @param {string} name
 * @param {import("../types.js").PresenceOptions} options
 * @param {import("../types.js").ChannelHandler<import("../types.js").PresenceChange<F>>} handler
 * @returns {Consumer}
 */
/**
 * @param {string} name 1 to 99 of `a-z A-Z 0-9 . _ -`
 * @param {any} optionsOrHandler
 * @param {any} [handlerAfterOptions]
 * @returns {Consumer}
 * @throws {DeclarationError} the name or an option is wrong
 */
export function channel(name, optionsOrHandler, handlerAfterOptions) {
  const what = `channel(${JSON.stringify(name)})`;
  checkName(name, "channel");
  if (/^(http|websocket)\./.test(name)) {
    throw new DeclarationError(
      `${what}: names that begin with http. or websocket. belong to the host`,
    );
  }
  const handler = typeof optionsOrHandler === "function" ? optionsOrHandler : handlerAfterOptions;
  const given = typeof optionsOrHandler === "function" ? {} : optionsOrHandler;
  if (typeof handler !== "function")
    throw new DeclarationError(`${what}: the handler is ${kind(handler)}: give a function`);
  const options = readOptions(given, ["retries", "schedule", "fetched", "presence", "history"], what);
  const { retries, fetched = false } = options;
  if (retries !== undefined) integer(retries, `${what}: retries`, 0, RETRIES_MAX);
  const schedule = readSchedule(options.schedule, what);
  checkFetched(fetched, what);
  const presence = readPresence(options.presence, what);
  if ([schedule, fetched, presence].filter(Boolean).length > 1) {
    throw new DeclarationError(
      `${what}: a consumer has a schedule, takes the results of requests, or is told of presence: make two channels, one for each`,
    );
  }
  return {
    trigger: { tag: "channel", val: { name, retries } },
    schedule,
    presence,
    history: readHistory(options.history, what),
    run(run, event) {
      if (event.tag !== "channel-message")
        throw new Error(`the consumer is made for a channel and not for ${event.tag}`);
      const message = unpack(event.val.content);
      const read = schedule ? readTick : fetched ? readFetched : asItIs;
      return handler(read(message), new Context(run));
    },
  };
}

/** @param {unknown} message */
function asItIs(message) {
  return message;
}

/**
 * @param {unknown} fetched
 * @param {string} what
 * @throws {DeclarationError}
 */
function checkFetched(fetched, what) {
  if (typeof fetched !== "boolean") {
    throw new DeclarationError(
      `${what}: fetched is ${kind(fetched)}: give true for a consumer of the results of requests`,
    );
  }
}
