/** Who somebody is, where a consumer of the application asks for it. */

import { current } from "tidegate:channels/users@0.1.1";

import { host } from "./host.js";

host.knowing = {
  currentUser() {
    // The bindings have null for what is not there.
    const user = current();
    return user ? { ...user, expires: user.expires ?? undefined } : undefined;
  },
};
