/** The store and the timers, where the code of the application names them. */

import {
  add,
  delete as remove,
  getMany,
  getManyOf,
  list,
  set,
} from "tidegate:channels/store@0.1.1";
import { cancel as cancelTimer, set as setTimer } from "tidegate:channels/timers@0.1.1";

import { host } from "./host.js";

host.storing = { getMany, getManyOf, set, remove, add, list, setTimer, cancelTimer };
