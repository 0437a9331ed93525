/** Names of groups. */

import { text } from "./bytes.js";

/**
 * The name of a group as it is, for groups of other modules. Text alone is relative to the module:
 * in module `chat`, `"lobby"` is the group `chat.lobby`.
 *
 * ```js
 * cx.groupSend(Group.named("alerts.all"), Frame.text("storm ahead"));
 * ```
 */
export class Group {
  /** @param {string} name */
  constructor(name) {
    this.name = text(name, "the name of a group");
  }

  /**
   * @param {string} name the whole name, the module's part included
   */
  static named(name) {
    return new Group(name);
  }
}

/**
 * @param {string | Group} group
 * @param {string} module
 * @returns {string}
 */
export function fullName(group, module) {
  return group instanceof Group ? group.name : `${module}.${text(group, "the name of a group")}`;
}
