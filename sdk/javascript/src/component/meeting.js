/** The members of groups, where the code of the application asks for them. */

import { memberCount, members, present } from "tidegate:channels/presence@0.1.1";

import { host } from "./host.js";

/** @type {import("../types.js").MeetingHost} */
host.meeting = {
  present,
  members(group, cursor, limit) {
    const page = members(group, cursor, limit);
    // The bindings have null for what is not there.
    return { ...page, cursor: page.cursor ?? undefined };
  },
  memberCount,
};
