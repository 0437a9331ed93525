/** The connections of users, where the code of the application asks for them. */

import { userClose, userConnections, userSend } from "tidegate:channels/online@0.1.1";

import { host } from "./host.js";

host.reaching = { send: userSend, close: userClose, count: userConnections };
