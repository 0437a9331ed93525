/** Sessions, where the code of the application names them. */

import {
  begin,
  current,
  end,
  endAll,
  listOf,
  signIn,
  signOut,
} from "tidegate:channels/sessions@0.1.1";

import { host } from "./host.js";

// The bindings have null for what is not there.
host.holding = { current: () => current() ?? undefined, begin, signIn, signOut, listOf, end, endAll };
