/** The requests of one run to servers outside, in the test host. */

import * as fetchRules from "./fetch-rules.js";
import * as rules from "./rules.js";

/** @typedef {import("../types.js").FetchingHost} FetchingHost */

/** @implements {FetchingHost} */
export class Fetching {
  #world;
  #storing;
  #maySend;

  /**
   * @param {import("./world.js").World} world
   * @param {import("./storing.js").Storing} storing has the transaction
   * @param {(channel: string) => void} maySend
   */
  constructor(world, storing, maySend) {
    this.#world = world;
    this.#storing = storing;
    this.#maySend = maySend;
  }

  /** @type {FetchingHost["fetch"]} */
  fetch(request) {
    fetchRules.checkFetch(request);
    this.#checkThen(request.then);
    const server = fetchRules.serverOf(request.url);
    const { reachable, module } = this.#world;
    if (!reachable.some((granted) => fetchRules.names(granted, server))) {
      const named = JSON.stringify(server);
      rules.refuse(
        "forbidden",
        `no entry of the grants names the host of ${named}; add ${named} to modules.${module}.grants.http, and in a test new TestHost(app, { reaching: [${named}] })`,
      );
    }
    this.#storing.fetch(request);
  }

  /**
   * Whether the result of a request may go to a channel.
   *
   * @param {string} channel
   */
  #checkThen(channel) {
    try {
      rules.checkChannel(channel);
    } catch (error) {
      rules.refuse("invalid", rules.payloadOf(error).val);
    }
    if (channel.includes("!")) {
      rules.refuse(
        "forbidden",
        `${channel} is a reply channel: its connection may be over when the result comes; have it sent to a channel of your own, and send from there to a group`,
      );
    }
    try {
      this.#maySend(channel);
    } catch {
      const named = JSON.stringify(channel);
      rules.refuse(
        "forbidden",
        `channel ${channel} is not declared by this module; declare a consumer of it, as channel(${named}, handler), or let it be granted: modules.${this.#world.module}.grants.channels = [${named}]`,
      );
    }
  }
}
