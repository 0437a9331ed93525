/** The host behind the imports of the contract. */

import { getScope, getState, setState } from "tidegate:channels/connection@0.1.0";
import {
  flush,
  groupAdd,
  groupDiscard,
  groupSend,
  send,
  sendLater,
} from "tidegate:channels/layer@0.1.0";
import { log } from "tidegate:channels/log@0.1.0";
import {
  accept,
  close,
  hold,
  respond,
  send as sendFrame,
  stream,
} from "tidegate:channels/reply@0.1.0";
import { getEnvironment } from "wasi:cli/environment@0.2.0";

/** @type {import("../types.js").Host} */
export const host = {
  send,
  sendLater,
  groupAdd,
  groupDiscard,
  groupSend,
  flush,
  respond,
  stream,
  hold,
  accept,
  sendFrame,
  close,
  getScope,
  getState,
  setState,
  log,
  now: () => Date.now(),
  storing: undefined,
  fetching: undefined,
  outgoing: undefined,
  knowing: undefined,
  meeting: undefined,
  reaching: undefined,
  remembering: undefined,
  holding: undefined,
  telling: undefined,
  variable: (name) => getEnvironment().find(([known]) => known === name)?.[1],
};
