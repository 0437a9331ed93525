/** Which message a run is for, where the code of the application asks. */

import { attempt, messageId } from "tidegate:channels/invocation@0.1.1";

import { host } from "./host.js";

// The bindings have null for what is not there.
host.telling = { attempt, messageId: () => messageId() ?? undefined };
