/** The store and the timers, where the code of the application names them. */

import {
  add,
  getMany,
  getManyOf,
  list,
  delete as remove,
  set,
} from "tidegate:channels/store@0.1.1";
import { cancel as cancelTimer, set as setTimer } from "tidegate:channels/timers@0.1.1";

import { host } from "./host.js";

// The bindings have null for what is not there.

/** @type {import("../types.js").StoringHost} */
host.storing = {
  getMany: (keys) => getMany(keys).map((value) => value ?? undefined),
  getManyOf: (module, keys) => getManyOf(module, keys).map((value) => value ?? undefined),
  set,
  remove,
  add,
  list(prefix, cursor, limit) {
    const page = list(prefix, cursor, limit);
    return { entries: page.entries, cursor: page.cursor ?? undefined };
  },
  setTimer,
  cancelTimer,
};
