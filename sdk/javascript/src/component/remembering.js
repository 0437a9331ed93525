/** Groups that are remembered, where the code of the application joins or reads them. */

import { join, read } from "tidegate:channels/history@0.1.1";

import { host } from "./host.js";

host.remembering = { join, read };
