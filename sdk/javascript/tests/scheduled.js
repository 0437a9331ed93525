/** Consumers that are run by the clock, and a WebSocket that is told each moment. */

import { Frame, app, channel, websocket } from "@tidegate/sdk";

const everySecond = { expression: "* * * * * *", zone: "Europe/Berlin" };
/** @type {import("@tidegate/sdk").Schedule} */
const everyYear = { expression: "@yearly", missed: "skip" };

export default app({
  second: channel("scheduled.second", { schedule: everySecond, retries: 2 }, (tick, cx) => {
    cx.store.add("seconds");
    cx.groupSend("seconds", Frame.text(tick.due.toISOString()));
  }),
  yearly: channel("scheduled.yearly", { schedule: everyYear }, () => {}),
  seconds: websocket("/seconds", { groups: () => ["seconds"] }),
});
