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
    this.#checkServer(request.url, "forbidden");
    this.#storing.fetch(request);
  }

  /**
   * Answers a request that the run waits for, as the test has said before.
   *
   * @type {import("../types.js").OutgoingHost["send"]}
   */
  send({ method, url, headers }) {
    this.#storing.isFinal = true;
    for (const [name, value] of headers) fetchRules.checkHeader(name, value);
    this.#checkServer(url, "refused");
    return this.#world.preparedAnswer(`${method} ${url}`);
  }

  /**
   * @param {string} url
   * @param {string} code of the refusal
   */
  #checkServer(url, code) {
    const server = fetchRules.serverOf(url);
    const { reachable, module } = this.#world;
    if (reachable.some((granted) => fetchRules.names(granted, server))) return;
    const named = JSON.stringify(server);
    rules.refuse(
      code,
      `no entry of the grants names the host of ${named}; add ${named} to modules.${module}.grants.http, and in a test new TestHost(app, { reaching: [${named}] })`,
    );
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
