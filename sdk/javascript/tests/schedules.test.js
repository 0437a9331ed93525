/** Consumers that are run by the clock, in the test host. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Tick, app, channel, http, websocket } from "@tidegate/sdk";
import { TestHost } from "@tidegate/sdk/testing";

import { unpack } from "../src/content.js";

const NIGHT = new Date("2027-01-04T03:30:00.250Z");

const report = channel(
  "shop.report",
  { retries: 5, schedule: { expression: "30 3 * * 1-5", zone: "Europe/Berlin", missed: "skip" } },
  (tick, cx) => cx.info(tick instanceof Tick ? tick.due.toISOString() : JSON.stringify(tick)),
);
const hourly = channel("shop.hourly", { schedule: { expression: "@hourly" } }, () => {});
const orders = channel("shop.orders", () => {});
const page = http("GET /", () => "open\n");

/** @param {TestHost} host */
const lines = (host) => host.logs.map(({ text }) => text);

test("a consumer gets the moment as a Date", async () => {
  const host = new TestHost(app({ report }), { at: NIGHT });
  await host.fire("report");
  await host.advance(60_000.5);
  await host.fire("report");
  assert.deepEqual(lines(host), ["2027-01-04T03:30:00.250Z", "2027-01-04T03:31:00.250Z"]);
  assert.deepEqual(host.messages("shop.report")[0], { due: NIGHT.getTime() });
});

test("others may send to the same channel, a Tick among them", async () => {
  const host = new TestHost(app({ report }));
  await host.send("shop.report", new Tick(NIGHT));
  const others = [{}, { due: "soon" }, { due: 0.5 }, { due: 9e15 }, { due: 7, by: "hand" }];
  for (const other of others) await host.send("shop.report", other);
  assert.deepEqual(lines(host), [NIGHT.toISOString(), ...others.map((it) => JSON.stringify(it))]);
});

test("a consumer without a schedule gets what was sent", async () => {
  const plain = channel("plain", (message, cx) => cx.info(JSON.stringify(message)));
  const host = new TestHost(app({ plain }));
  await host.send("plain", new Tick(NIGHT));
  assert.deepEqual(lines(host), [`{"due":${NIGHT.getTime()}}`]);
});

test("only a consumer with a schedule is fired", async () => {
  const host = new TestHost(app({ report, orders }));
  await assert.rejects(host.fire("orders"), /consumer `orders` has no schedule: give channel\(\)/);
  await assert.rejects(
    host.fire("reports"),
    /the module has no consumer "reports"; it has report, orders/,
  );
  assert.deepEqual(host.messages("shop.orders"), []);
});

test("a Tick has a moment", () => {
  const wrong = /** @type {any} */ (Tick);
  assert.throws(() => new wrong(7), /the moment of a Tick is the number 7: give a Date that is valid/);
  assert.throws(() => new Tick(new Date(NaN)), /the moment of a Tick is a Date: give a Date/);
});

/** @type {any} */
const wrong = { http, websocket, channel };
const done = () => {};

/** @type {[schedule: unknown, message: RegExp][]} */
const refused = [
  ["@daily", /^channel\("a"\): its schedule is text: give \{ expression: "30 3 \* \* \*", zone: /],
  [null, /its schedule is null: give/],
  [
    [{ expression: "@daily" }, { expression: "@hourly" }],
    /its schedule is an array, and a consumer has one: let two channels do the same work/,
  ],
  [{}, /schedule: its expression is undefined: give text, such as "30 3 \* \* \*"/],
  [{ expression: 30 }, /its expression is the number 30: give text/],
  [{ expression: "30 3 * *" }, /has 5 fields, minute, hour, .* or 6 with seconds before them; this one has 4/],
  [{ expression: " " }, /this one has 0/],
  [{ expression: "@daily", zone: 1 }, /zone is the number 1: give a name of the IANA database/],
  [
    { expression: "@daily", missed: "twice" },
    /missed is "once", which runs the last of the moments that were missed, or "skip", and not "twice"/,
  ],
  [{ expression: "@daily", missed: true }, /and not the boolean true/],
  [{ expression: "@daily", zoned: "UTC" }, /there is no option `zoned`; there are expression, zone, missed, overlap/],
  [
    { expression: "@daily", overlap: "wait" },
    /overlap is "skip", which leaves a moment out .* or "queue", which waits until that one is over, and not "wait"/,
  ],
  [{ expression: "@daily", overlap: null }, /and not null/],
  [{ expression: "@daily", overlap: true }, /and not the boolean true/],
];

for (const [schedule, message] of refused) {
  test(`refused: the schedule ${JSON.stringify(schedule)}`, () => {
    assert.throws(
      () => wrong.channel("a", { schedule }, done),
      (error) => {
        assert.equal(/** @type {Error} */ (error).name, "DeclarationError");
        assert.match(/** @type {Error} */ (error).message, message);
        return true;
      },
    );
  });
}

test("only a consumer of a channel has a schedule", () => {
  const schedule = { expression: "@daily" };
  const message =
    /^(http\("GET \/a"\)|websocket\("\/a"\)): a schedule sends a message to the channel of a consumer, and this consumer has none: give it to channel\(/;
  assert.throws(() => wrong.http("GET /a", { schedule }, done), { message });
  assert.throws(() => wrong.websocket("/a", { schedule }), { message });
});

test("what is declared has each schedule with its defaults", async () => {
  const { checkWorld, declarations } = await import("../src/component/declarations.js");
  const listed = app({ report, hourly, orders, page });
  assert.deepEqual(unpack(declarations(listed).declare()), {
    report: { schedule: { expression: "30 3 * * 1-5", zone: "Europe/Berlin", missed: "skip" } },
    hourly: { schedule: { expression: "@hourly", zone: "UTC", missed: "once" } },
  });
  for (const overlap of /** @type {const} */ (["skip", "queue"])) {
    const schedule = { expression: "@daily", overlap };
    assert.deepEqual(unpack(declarations(app({ a: channel("a", { schedule }, () => {}) })).declare()), {
      a: { schedule: { expression: "@daily", zone: "UTC", missed: "once", overlap } },
    });
  }
  checkWorld(listed, ["declaring"]);
  checkWorld(app({ orders }), []);
  assert.throws(() => checkWorld(listed, []), /the world does not fit .* needs: declaring$/);
  assert.throws(() => checkWorld(app({ orders }), ["declaring"]), / needs: nothing$/);
});
