/** The store and the timers, for `keeping.json`. */

import { Response, StoreError, TimerError, app, channel, http } from "@tidegate/sdk";

/** @typedef {import("@tidegate/sdk").Context} Context */

const YEAR = 365 * 24 * 3600 * 1000;

/** @type {Record<string, (cx: Context) => unknown>} */
const refusals = {
  empty: (cx) => cx.store.get(""),
  long: (cx) => cx.store.delete("ä".repeat(257)),
  large: (cx) => cx.store.set("large", new Uint8Array(262_140)),
  brief: (cx) => cx.store.set("brief", 1, { timeToLive: 0 }),
  many: (cx) => cx.store.getMany(Array.from({ length: 1001 }, (_, i) => `key:${i}`)),
  none: (cx) => cx.store.getMany([]),
  foreign: (cx) => cx.store.of("harbour").get("level"),
  noModule: (cx) => cx.store.of("Harbour").get("level"),
  text: (cx) => {
    cx.store.set("text", "high");
    cx.store.add("text");
  },
  far: (cx) => {
    cx.store.set("far", Number.MAX_SAFE_INTEGER);
    cx.store.add("far");
    return cx.store.get("far");
  },
  counted: (cx) => {
    cx.store.set("text", "high");
    return cx.store.counter("text");
  },
  newer: (cx) => {
    cx.store.set("newer", {}, { schema: 3 });
    return cx.store.get("newer", { schema: 2 });
  },
  older: (cx) => {
    cx.store.set("older", {}, { schema: 1 });
    return cx.store.get("older", { schema: 2 });
  },
  late: (cx) => cx.timer("late").sendLater("keeping.due", {}, YEAR + 1),
  unnamed: (cx) => cx.timer("").cancel(),
  reply: (cx) => cx.sendAt(String(cx.replyChannel), {}, 0),
  undefined: (cx) => cx.store.set("key", undefined),
  fraction: (cx) => cx.store.add("key", 0.5),
  moment: (cx) => cx.sendAt("keeping.due", {}, new Date(NaN)),
};

export default app({
  set: http("PUT /values/{key}", (request, cx) => {
    cx.store.set(request.params.key, request.json(), { schema: 1 });
    return Response.json(cx.store.get(request.params.key));
  }),
  get: http("GET /values/{key}", ({ params }, cx) =>
    Response.json(cx.store.get(params.key) ?? null),
  ),
  migrated: http("GET /migrated/{key}", ({ params }, cx) => ({
    value: cx.store.get(params.key, { schema: 2, migrate: (schema, old) => [schema, old] }),
  })),
  several: http("GET /several", ({ query }, cx) =>
    cx.store.getMany(query.getAll("key")).map((value) => (value === undefined ? "nothing" : value)),
  ),
  remove: http("DELETE /values/{key}", ({ params }, cx) => {
    cx.store.delete(params.key);
    return [...cx.store.keys("")];
  }),
  add: http("POST /counters/{key}/{delta}", ({ params }, cx) => {
    cx.store.add(params.key, Number(params.delta));
    return String(cx.store.counter(params.key));
  }),
  wide: http("GET /wide", (_, cx) => {
    cx.store.set("wide", 2n ** 63n - 1n);
    cx.store.set("narrow", 7n);
    cx.store.add("narrow");
    return `${cx.store.get("wide")} ${cx.store.get("narrow")}`;
  }),
  list: http("GET /list/{prefix}", ({ params }, cx) =>
    Object.fromEntries(cx.store.list(`${params.prefix}:`)),
  ),
  fill: http("POST /fill/{count}", ({ params }, cx) => {
    for (let i = 0; i < Number(params.count); i++) cx.store.set(`fill:${i}`, i);
    return "filled\n";
  }),
  filled: http("GET /filled", (_, cx) => {
    const keys = [...cx.store.keys("fill:")];
    return [keys.length, keys[0], keys.at(-1)];
  }),
  fail: http("POST /fail", (_, cx) => {
    cx.store.set("failed", true);
    throw new Error("after a write");
  }),
  refuse: http("GET /refuse/{what}", ({ params: { what } }, cx) => {
    try {
      refusals[what]?.(cx);
    } catch (error) {
      const { name, message } = /** @type {Error} */ (error);
      const code =
        error instanceof StoreError || error instanceof TimerError ? `${name} ${error.code}` : name;
      throw Response.text(`${code}: ${message}\n`, { status: 400 });
    }
    return "taken\n";
  }),
  later: http("POST /later", (_, cx) => {
    cx.timer("one").sendLater("keeping.due", { said: "replaced" }, 10_000);
    cx.timer("one").sendAt("keeping.due", { said: "cancelled" }, new Date(cx.now().getTime() + 9000));
    cx.timer("one").cancel();
    cx.timer("two").sendLater("keeping.due", { said: "replaced, too" }, 10_000);
    cx.timer("two").sendLater("keeping.due", { said: "by key" }, 1);
    cx.sendAt("keeping.due", { said: "without a key" }, cx.now());
    return "noted\n";
  }),
  due: channel("keeping.due", (/** @type {{ said: string }} */ { said }, cx) => {
    cx.store.set(`due:${said}`, true);
    cx.info(`due: ${said}`);
  }),
});
