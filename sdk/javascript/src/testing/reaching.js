/** The connections of users as one run reaches them, in the test host. */

import { packMessage } from "../content.js";
import { Close } from "../messages.js";
import * as rules from "./rules.js";

/** @typedef {import("../types.js").ReachingHost} ReachingHost */

/** @implements {ReachingHost} */
export class Reaching {
  #world;
  #put;

  /**
   * @param {import("./world.js").World} world
   * @param {(item: import("./world.js").Item) => void} put
   */
  constructor(world, put) {
    this.#world = world;
    this.#put = put;
  }

  /** @type {ReachingHost["send"]} */
  send(user, content) {
    checkId(user);
    rules.asInvalid(() => rules.checkContent(content));
    this.#put({ is: "user-send", user, content });
  }

  /** @type {ReachingHost["close"]} */
  close(user, code, reason) {
    checkId(user);
    rules.checkClose(code, reason);
    this.#put({ is: "user-send", user, content: packMessage(new Close(code, reason), "close") });
  }

  /** @type {ReachingHost["count"]} */
  count(user) {
    checkId(user);
    return this.#world.connectionsOf(user).length;
  }
}

/** @param {string} user */
function checkId(user) {
  if (rules.isId(user)) return;
  const rule = `the id of a user has 1 to ${rules.ID_BYTES_MAX} bytes and no control characters`;
  rules.refuse("invalid", rule);
}
