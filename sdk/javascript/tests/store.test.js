/** The store and the timers in the test host. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { StoreError, app, badRequest, channel, http } from "@tidegate/sdk";
import { TestHost, runCases } from "@tidegate/sdk/testing";

import keeping from "./keeping.js";

test("the store passes its cases natively", async () => {
  const host = new TestHost(keeping, { module: "keeping" });
  await runCases(await readFile(new URL("keeping.json", import.meta.url), "utf8"), host);
  assert.deepEqual(
    host.faults.map(({ text }) => text.replace(/ \(at .*/, "")),
    ["Error: after a write"],
  );
  await host.advance(20_000);
  assert.deepEqual(host.messages("keeping.due"), [{ said: "without a key" }, { said: "by key" }]);
});

const book = http("POST /seats/{number}/{name}", ({ params: { number, name } }, cx) => {
  const taken = cx.store.get(`seat:${number}`);
  if (taken) throw badRequest(`${taken.by} has it\n`);
  cx.store.set(`seat:${number}`, { by: name });
  cx.store.add("taken");
  cx.send("seats.booked", { number });
  return "booked\n";
});
const booked = channel("seats.booked", () => {});
const seats = app({ book, booked });

test("a run whose reads have changed is done again", async () => {
  const host = new TestHost(seats, { module: "seats" });
  host.beforeCommit((data) => data.set("seat:8", { by: "eve" }));
  const answer = await host.request("POST", "/seats/8/bob");
  assert.deepEqual([answer.status, answer.text()], [400, "eve has it\n"]);
  assert.equal(host.data.counter("taken"), 0);
  assert.deepEqual(host.messages("seats.booked"), []);
  assert.deepEqual(host.faults, []);
});

test("a run that only adds is not disturbed", async () => {
  const count = http("POST /count", (_, cx) => {
    cx.store.add("count", 2);
    return "counted\n";
  });
  const host = new TestHost(app({ count }));
  host.data.set("count", 40);
  host.conflictOnce("count");
  assert.equal((await host.request("POST", "/count")).text(), "counted\n");
  assert.equal(host.data.counter("count"), 42);
});

test("a run is tried 10 times, and logs of one attempt stay", async () => {
  let runs = 0;
  const read = http("POST /read", (_, cx) => {
    cx.info(`run ${++runs}`);
    cx.store.set("copy", cx.store.get("level"));
    return "copied\n";
  });
  const host = new TestHost(app({ read }));
  host.data.set("level", 1);
  host.conflictOnce("level");
  assert.equal((await host.request("POST", "/read")).text(), "copied\n");
  assert.deepEqual(host.logs.map(({ text }) => text), ["run 2"]);
  for (let i = 0; i < 10; i++) host.conflictOnce("level");
  assert.equal((await host.request("POST", "/read")).status, 500);
  assert.equal(runs, 12);
  assert.deepEqual(host.logs.map(({ text }) => text), ["run 2", "run 12"]);
  assert.deepEqual(
    host.faults.map(({ text }) => text),
    [
      'the key "level" changed while the run used it, each time that it was tried; read fewer keys, or use `add`, or let one channel do the work in turn',
    ],
  );
});

test("a key that appears in a listing is a conflict", async () => {
  const sum = http("POST /sum", (_, cx) => {
    let total = 0;
    for (const [, score] of cx.store.list("score:")) total += score;
    cx.store.set("total", total);
    return String(total);
  });
  const host = new TestHost(app({ sum }));
  host.data.set("score:a", 1);
  host.beforeCommit((data) => data.set("score:b", 2));
  assert.equal((await host.request("POST", "/sum")).text(), "3");
  host.beforeCommit((data) => data.set("other:c", 4));
  assert.equal((await host.request("POST", "/sum")).text(), "3");
});

test("after a flush that changed data a run is not done again", async () => {
  let runs = 0;
  const twice = http("POST /twice", (_, cx) => {
    runs++;
    cx.store.set("first", 1);
    cx.flush();
    cx.store.set("copy", cx.store.get("level"));
    return "";
  });
  const host = new TestHost(app({ twice }));
  host.data.set("level", 1);
  host.beforeCommit(() => {});
  host.conflictOnce("level");
  assert.equal((await host.request("POST", "/twice")).status, 500);
  assert.equal(runs, 1);
  assert.deepEqual(host.data.keys, ["first", "level"]);
});

test("a conflict that a consumer catches at flush is one all the same", async () => {
  let runs = 0;
  const deaf = http("POST /deaf", (_, cx) => {
    runs++;
    cx.store.set("copy", cx.store.get("level"));
    try {
      cx.flush();
    } catch {
      return "deaf\n";
    }
    return "flushed\n";
  });
  const host = new TestHost(app({ deaf }));
  host.data.set("level", 1);
  host.conflictOnce("level");
  assert.equal((await host.request("POST", "/deaf")).text(), "flushed\n");
  assert.equal(runs, 2);
});

test("values expire", async () => {
  const remember = http("POST /remember", (_, cx) => {
    cx.store.set("brief", 1, { timeToLive: 1000 });
    cx.store.add("brief");
    return String(cx.store.get("brief"));
  });
  const host = new TestHost(app({ remember }));
  assert.equal((await host.request("POST", "/remember")).text(), "2");
  await host.advance(999);
  assert.equal(host.data.get("brief"), 2);
  await host.advance(1);
  assert.equal(host.data.get("brief"), undefined);
  host.data.set("test", "x", { timeToLive: 5 });
  await host.advance(5);
  assert.deepEqual(host.data.keys, []);
});

test("bytes below a counter at the commit are a fault", async () => {
  const count = http("POST /count", (_, cx) => {
    cx.store.add("count");
    return "counted\n";
  });
  const host = new TestHost(app({ count }));
  host.data.set("count", "many");
  assert.equal((await host.request("POST", "/count")).status, 500);
  assert.match(host.faults[0]?.text ?? "", /^"count" is not an integer, and `add` changes/);
});

test("keys of other modules are read with a grant", async () => {
  const level = http("GET /level", (_, cx) => {
    const harbour = cx.store.of("harbour");
    return [harbour.get("level"), harbour.counter("boats"), harbour.getMany(["none"])[0] ?? null];
  });
  const host = new TestHost(app({ level }), { grantedData: ["harbour"] });
  host.dataOf("harbour").set("level", { metres: 3 });
  host.dataOf("harbour").set("boats", 12);
  assert.deepEqual((await host.get("/level")).json(), [{ metres: 3 }, 12, null]);
});

test("timers are replaced and cancelled by key, and set by a run that commits", async () => {
  const seen = http("POST /seen/{name}", ({ params, query }, cx) => {
    cx.timer(params.name).sendLater("seen.gone", { who: params.name }, 60_000);
    if (query.get("fail")) throw new Error("not this time");
    return "noted\n";
  });
  const stay = http("POST /stay/{name}", ({ params }, cx) => {
    cx.timer(params.name).cancel();
    return "noted\n";
  });
  const gone = channel("seen.gone", (/** @type {{ who: string }} */ { who }, cx) => cx.info(who));
  const host = new TestHost(app({ seen, stay, gone }), { module: "seen" });
  for (let i = 0; i < 3; i++) {
    await host.request("POST", "/seen/ada");
    await host.advance(59_999);
  }
  await host.request("POST", "/seen/ada?fail=yes");
  assert.deepEqual(host.logs.filter(({ level }) => level === "info"), []);
  await host.advance(1);
  assert.equal(host.logs.at(-1)?.text, "ada");
  await host.request("POST", "/seen/bob");
  await host.request("POST", "/stay/bob");
  await host.advance(60_000);
  assert.equal(host.messages("seen.gone").length, 1);
});

test("a test is told what the store does not take", () => {
  const host = new TestHost(seats);
  assert.throws(() => host.data.set("", 1), StoreError);
  assert.throws(() => host.data.set("key", undefined), /is undefined: delete the key instead/);
  assert.throws(() => host.data.touch("key"), /nothing is below the key "key": set it before/);
});
