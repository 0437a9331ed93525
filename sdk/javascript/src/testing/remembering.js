/** The histories that one run reads, and the groups that it joins from a position, in the test host. */

import { MESSAGES_MAX } from "./history.js";
import * as rules from "./rules.js";

/** @typedef {import("../types.js").RememberingHost} RememberingHost */

/** @implements {RememberingHost} */
export class Remembering {
  #world;
  #connection;
  #mayUse;
  #put;

  /**
   * @param {import("./world.js").World} world
   * @param {string | undefined} connection that of the event
   * @param {(group: string) => void} mayUse
   * @param {(item: import("./world.js").Item) => void} put
   */
  constructor(world, connection, mayUse, put) {
    this.#world = world;
    this.#connection = connection;
    this.#mayUse = mayUse;
    this.#put = put;
  }

  /** @param {string} group */
  #mayRemember(group) {
    rules.asInvalid(() => this.#mayUse(group));
    if (this.#world.groups.histories.rule(group)) return;
    rules.refuse(
      "invalid",
      `group ${group} is not remembered; a consumer of its module declares that it is, by the option history: "room.*"`,
    );
  }

  /** @type {RememberingHost["read"]} */
  read(group, after, limit) {
    this.#mayRemember(group);
    if (limit < 1 || limit > MESSAGES_MAX) {
      const rule = `a page has 1 to ${MESSAGES_MAX} messages; this call asks for ${limit}`;
      rules.refuse("invalid", rule);
    }
    const page = this.#world.groups.histories.page(group, after, limit);
    return /** @type {import("../types.js").WirePage} */ (page);
  }

  /** @type {RememberingHost["join"]} */
  join(group, after, latest) {
    this.#mayRemember(group);
    if (latest > MESSAGES_MAX) {
      const rule = `a join sends at most the latest ${MESSAGES_MAX} messages, not ${latest}`;
      rules.refuse("invalid", rule);
    }
    const channel = this.#connection;
    if (channel === undefined) {
      const rule = "a message on a channel has no connection of its own that could join";
      return rules.refuse("invalid", rule);
    }
    this.#put({ is: "group-join", group, channel, after, latest });
  }
}
