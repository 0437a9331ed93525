/** Requests to servers outside, where the code of the application names them. */

import { fetch } from "tidegate:channels/outside@0.1.1";

import { host } from "./host.js";

host.fetching = { fetch };
