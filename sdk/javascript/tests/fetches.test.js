/** Requests to servers outside, which a test plays. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { FetchError, app, channel, http } from "@tidegate/sdk";
import { TestHost } from "@tidegate/sdk/testing";

import { Answer, FetchFailure, Fetched } from "../src/fetched.js";

const CHARGES = "https://pay.example.com/charges";
const ASKED = `POST ${CHARGES}`;

const order = http("POST /orders/{id}/{cents}", ({ params }, cx) => {
  const order = { id: Number(params.id), cents: Number(params.cents) };
  cx.fetch(CHARGES, {
    method: "POST",
    json: order,
    then: "shop.charged",
    value: order,
    retries: 2,
    idempotencyKey: `order-${params.id}`,
  });
  cx.store.add("orders");
  return "we will see\n";
});
const charged = channel("shop.charged", { fetched: true, retries: 5 }, (fetched, cx) => {
  const { value, attempts, answer, failure } = fetched;
  const told = answer ? `${answer.status} ${answer.text()}` : `${failure}`;
  cx.info(`${value?.id}, attempt ${attempts}: ${told}`);
});

/** @param {import("@tidegate/sdk").Consumers} [more] */
function shop(more) {
  const consumers = app({ order, charged, ...more });
  return new TestHost(consumers, { module: "shop", reaching: ["*.example.com"] });
}

/** @param {TestHost} host */
const lines = (host) => host.logs.map(({ text }) => text);

test("the answer comes as a message with the value of the request", async () => {
  const host = shop();
  assert.equal((await host.request("POST", "/orders/7/250")).status, 200);
  assert.deepEqual(host.fetches, [ASKED]);
  const asked = host.fetch(ASKED);
  assert.deepEqual(asked.json(), { id: 7, cents: 250 });
  assert.deepEqual(asked.headers, [
    ["idempotency-key", "order-7"],
    ["content-type", "application/json"],
  ]);
  assert.deepEqual([asked.header("Idempotency-Key"), asked.header("x")], ["order-7", undefined]);
  await asked.answer(201, "done");
  assert.deepEqual(lines(host), ["7, attempt 1: 201 done"]);
  assert.deepEqual([host.fetches, host.faults], [[], []]);
});

test("requests wait in their order until they are answered", async () => {
  const host = shop();
  for (const id of [1, 2]) await host.request("POST", `/orders/${id}/5`);
  assert.equal(host.fetch(ASKED).header("idempotency-key"), "order-1");
  const first = host.fetch(ASKED);
  await first.answer(200);
  await assert.rejects(first.answer(200), {
    message: `${ASKED} is concluded already: ask for the next one with \`host.fetch\``,
  });
  assert.equal(host.fetch(ASKED).header("idempotency-key"), "order-2");
  assert.throws(() => host.fetch("GET /"), {
    message: `no request "GET /" waits; these do: ["${ASKED}"]`,
  });
});

test("a request with retries waits again while the server is busy", async () => {
  const host = shop();
  await host.request("POST", "/orders/7/5");
  await host.fetch(ASKED).answer(503);
  await host.fetch(ASKED).fail("timeout");
  assert.deepEqual(lines(host), []);
  await host.fetch(ASKED).answer(429, "too often");
  assert.deepEqual(lines(host), ["7, attempt 3: 429 too often"]);
  await host.request("POST", "/orders/8/5");
  await host.fetch(ASKED).lose();
  await host.fetch(ASKED).fail("tls");
  assert.deepEqual(lines(host).slice(1), ["8, attempt 2: tls: as the test says"]);
  assert.deepEqual(host.fetches, []);
});

test("a request without retries has one result", async () => {
  const once = http("POST /{what}", ({ params }, cx) => {
    cx.fetch(`http://localhost:3000/${params.what}`, { then: "shop.charged" });
    return "";
  });
  const host = new TestHost(app({ once, charged }), { reaching: ["localhost:3000"] });
  for (const what of ["busy", "lost", "gone"]) await host.request("POST", `/${what}`);
  await host.fetch("GET http://localhost:3000/busy").answer(503);
  await host.fetch("GET http://localhost:3000/lost").lose();
  await host.fetch("GET http://localhost:3000/gone").fail("connect");
  assert.deepEqual(lines(host), [
    "undefined, attempt 1: 503 ",
    "undefined, attempt 1: unknown: the process that made the request ended",
    "undefined, attempt 1: connect: as the test says",
  ]);
});

test("a run that fails makes no request, and one that is done again makes one", async () => {
  const host = shop({
    fails: http("POST /fail", (_, cx) => {
      cx.fetch(CHARGES, { then: "shop.charged" });
      throw new Error("no");
    }),
    flushes: http("POST /flush", (_, cx) => {
      cx.fetch(CHARGES, { then: "shop.charged" });
      cx.flush();
      throw new Error("no");
    }),
    again: http("POST /again", (_, cx) => {
      cx.fetch(`${CHARGES}/${cx.store.counter("level")}`, { then: "shop.charged" });
      return "";
    }),
  });
  assert.equal((await host.request("POST", "/fail")).status, 500);
  assert.deepEqual(host.fetches, []);
  assert.equal((await host.request("POST", "/flush")).status, 500);
  assert.deepEqual(host.fetches, [`GET ${CHARGES}`]);
  host.beforeCommit((data) => data.set("level", 2));
  assert.equal((await host.request("POST", "/again")).status, 200);
  assert.deepEqual(host.fetches.slice(1), [`GET ${CHARGES}/2`]);
});

/** @type {[url: string, options: Record<string, unknown>, code: string, text: string][]} */
const refused = [
  [
    "https://other.example/x?key=1",
    {},
    "forbidden",
    'no entry of the grants names the host of "https://other.example"; add "https://other.example" to modules.shop.grants.http, and in a test new TestHost(app, { reaching: ["https://other.example"] })',
  ],
  ["https://pay.example.com:8443/", {}, "forbidden", '"https://pay.example.com:8443"'],
  ["ftp://pay.example.com/", {}, "invalid", "the scheme of the URL is neither https nor http"],
  ["https://me:pw@pay.example.com/", {}, "invalid", "a user name or a password; take them out"],
  ["/charges", {}, "invalid", "the URL is not valid: it has no ://"],
  ["https:///charges", {}, "invalid", "the URL is not valid: it has no host"],
  [CHARGES, { method: "CONNECT" }, "invalid", '"CONNECT" is not a method of a request; use GET,'],
  [CHARGES, { method: "post" }, "invalid", '"post" is not a method of a request'],
  [CHARGES, { method: "GET", retries: 11 }, "invalid", "made again 10 times at most, not 11"],
  [CHARGES, { retries: 1 }, "invalid", "a POST is not idempotent, so that a server may do it twice"],
  [CHARGES, { method: "PATCH", retries: 1 }, "invalid", "the header field idempotency-key with a"],
  [CHARGES, { timeout: 0 }, "invalid", "a timeout is at least 1 ms"],
  [CHARGES, { headers: { Host: "x" } }, "invalid", "field host is written by the host; leave it out"],
  [CHARGES, { headers: { "a b": "x" } }, "invalid", 'the header field "a b" has a name or a value'],
  [CHARGES, { headers: [["a", "1\r\nb: 2"]] }, "invalid", 'the header field "a" has a name or a'],
  [
    CHARGES,
    { then: "other.work" },
    "forbidden",
    'channel other.work is not declared by this module; declare a consumer of it, as channel("other.work", handler), or let it be granted: modules.shop.grants.channels = ["other.work"]',
  ],
  [CHARGES, { then: "http.request" }, "forbidden", "channel http.request is not declared by"],
  [CHARGES, { then: "test!1" }, "forbidden", "test!1 is a reply channel: its connection may be over"],
  [CHARGES, { then: "" }, "invalid", "the result goes nowhere: name a channel, as in then:"],
  [CHARGES, { then: "a b" }, "invalid", `name "a b": ' ' is not one of a-z A-Z 0-9 . _ -`],
  [
    CHARGES,
    { body: new Uint8Array(1_114_112) },
    "invalid",
    "a request has at most 1112064 bytes in all; this one has 11142",
  ],
  [CHARGES, { value: nested(32) }, "invalid", "the value that comes back with the result: maps and"],
];

/**
 * @param {number} depth
 * @returns {unknown}
 */
function nested(depth) {
  return depth === 0 ? 1 : [nested(depth - 1)];
}

for (const [url, options, code, text] of refused) {
  test(`refused in the run with the fix: ${text.slice(0, 60)}`, async () => {
    const asks = http("POST /", (_, cx) => {
      try {
        cx.fetch(url, { method: "POST", then: "shop.charged", ...options });
      } catch (error) {
        assert.ok(error instanceof FetchError);
        return `${error.code}: ${error.message}`;
      }
      return "taken";
    });
    const host = shop({ asks });
    const answer = (await host.request("POST", "/")).text();
    assert.ok(answer.startsWith(`${code}: `) && answer.includes(text), answer);
    assert.deepEqual([host.fetches, host.faults], [[], []]);
  });
}

/** @type {[url: any, options: any, message: RegExp][]} */
const wrong = [
  [undefined, { then: "a" }, /^TypeError: the address of fetch is undefined: give text/],
  [CHARGES, undefined, /^TypeError: the options of fetch are undefined: give an object/],
  [CHARGES, {}, /^FetchError: the result goes nowhere: name a channel, as in then: "shop\.charged"/],
  [CHARGES, { then: 7 }, /^TypeError: the option `then` of fetch is the number 7: give text/],
  [CHARGES, { then: "a", method: null }, /^TypeError: the method of fetch is null: give text/],
  [CHARGES, { then: "a", body: 7 }, /^TypeError: the body of fetch is the number 7: give text, a/],
  [CHARGES, { then: "a", body: "x", json: {} }, /^TypeError: fetch has a body, which is text, and/],
  [CHARGES, { then: "a", json: () => 1 }, /^TypeError: the option `json` of fetch: JSON cannot hold/],
  [CHARGES, { then: "a", headers: { x: 7 } }, /^TypeError: the header field `x` is the number 7/],
  [CHARGES, { then: "a", headers: 7 }, /^TypeError: header fields are the number 7: give an object/],
  [CHARGES, { then: "a", retries: -1 }, /^RangeError: retries is -1: give a whole number from 0/],
  [CHARGES, { then: "a", idempotencyKey: 7 }, /^TypeError: the idempotencyKey of fetch is the number/],
  [CHARGES, { then: "a", timeout: "1s" }, /^TypeError: the timeout of fetch is text: give a number of/],
  [CHARGES, { then: "a", value: () => 1 }, /^TypeError: the value of fetch is a function, which a/],
  [CHARGES, { then: "a", retry: 5 }, /^TypeError: fetch has no option `retry`; there are method,/],
];

for (const [url, options, message] of wrong) {
  test(`a wrong type is an error: ${message.source.slice(1, 60)}`, async () => {
    const asks = http("POST /", (_, cx) => {
      cx.fetch(url, options);
      return "";
    });
    const host = shop({ asks });
    assert.equal((await host.request("POST", "/")).status, 500);
    assert.match(host.faults[0]?.text ?? "", message);
  });
}

test("a body is bytes or text or JSON, whose type a header field may say", async () => {
  const asks = http("POST /", (_, cx) => {
    const put = { method: "PUT", then: "shop.charged" };
    cx.fetch(`${CHARGES}/1`, { ...put, body: Uint8Array.of(0xff), timeout: 0.25 });
    cx.fetch(`${CHARGES}/2`, { ...put, body: "ä", timeout: 365 * 24 * 3600 * 1000 });
    /** @type {[string, string | Uint8Array][]} */
    const headers = [["Content-Type", "application/vnd.api+json"], ["x", Uint8Array.of(0xff)]];
    cx.fetch(`${CHARGES}/3`, { ...put, json: [1, "ä"], headers });
    cx.fetch(`${CHARGES}/4`, put);
    return "";
  });
  const host = shop({ asks });
  assert.equal((await host.request("POST", "/")).status, 200);
  const asked = host.fetches.map((name) => host.fetch(name));
  assert.deepEqual(asked[0]?.bytes(), Uint8Array.of(0xff));
  assert.deepEqual(asked.slice(1).map((it) => it.text()), ["ä", '[1,"ä"]', ""]);
  assert.deepEqual(asked.map((it) => it.header("content-type")), [
    undefined,
    undefined,
    "application/vnd.api+json",
    undefined,
  ]);
  assert.equal(asked[2]?.header("x"), undefined);
});

test("an answer reads as text and as JSON", () => {
  const bytes = (/** @type {string} */ text) => new TextEncoder().encode(text);
  const headers = [
    { name: "x-a", value: bytes("1") },
    { name: "x-a", value: bytes("2") },
    { name: "x-b", value: Uint8Array.of(0xff) },
  ];
  const answer = new Answer(200, headers, bytes('{"id":7}'));
  assert.deepEqual([answer.header("X-A"), answer.header("x-b")], ["1", undefined]);
  assert.deepEqual(answer.json(), { id: 7 });
  const other = new Answer(200, [], Uint8Array.of(0x61, 0xff));
  assert.equal(other.text(), "a\ufffd");
  assert.throws(() => other.json(), /^SyntaxError: the body of the answer is not UTF-8/);
  assert.throws(() => new Answer(200, [], bytes("{")).json(), SyntaxError);
  const statuses = [199, 200, 299, 300].map((status) => new Answer(status, [], bytes("")));
  assert.deepEqual(statuses.map(({ isSuccess }) => isSuccess), [false, true, true, false]);
});

test("a test answers with header fields and JSON", async () => {
  const reads = channel("shop.read", { fetched: true }, ({ value, answer }, cx) => {
    cx.info(`${value} ${answer?.header("retry-after")} ${JSON.stringify(answer?.json())}`);
  });
  const asks = http("POST /", (_, cx) => {
    for (const value of [undefined, 2 ** 40]) cx.fetch(CHARGES, { then: "shop.read", value });
    return "";
  });
  const host = shop({ asks, reads });
  await host.request("POST", "/");
  await host.fetch(`GET ${CHARGES}`).answer(200, '{"id":1}', { "Retry-After": "5" });
  await host.fetch(`GET ${CHARGES}`).answerJson(200, { id: 2 });
  assert.deepEqual(lines(host), ['null 5 {"id":1}', `${2 ** 40} undefined {"id":2}`]);
});

test("a result that is sent on reads again", async () => {
  const header = { name: "a", value: Uint8Array.of(0xff) };
  for (const [outcome, line] of /** @type {const} */ ([
    [new Answer(204, [header], new Uint8Array()), "7, attempt 2: 204 "],
    [new FetchFailure("tls", "expired"), "7, attempt 2: tls: expired"],
    [
      new FetchFailure("unknown", "lost"),
      "7, attempt 2: unknown: the process that made the request ended",
    ],
  ])) {
    const host = shop();
    await host.send("shop.charged", new Fetched({ id: 7 }, 2, outcome));
    assert.deepEqual(lines(host), [line]);
  }
});

for (const message of [
  {},
  { result: "done", value: 1, attempts: 1 },
  { result: "answered", value: 1, attempts: 1 },
  { result: "unknown", attempts: 1 },
  { result: "unknown", value: 1 },
]) {
  test(`a message that is no result is a fault: ${JSON.stringify(message)}`, async () => {
    const host = shop();
    await host.send("shop.charged", message);
    assert.match(
      host.faults[0]?.text ?? "",
      /^TypeError: the message is not the result of a request \(its keys: .+\): a consumer with the option `fetched` takes results alone/,
    );
    assert.ok(!lines(host).some((line) => line.includes("attempt ")));
  });
}

test("a consumer without the option gets the message", async () => {
  const plain = channel("shop.plain", (message, cx) => cx.info(JSON.stringify(message)));
  const asks = http("POST /", (_, cx) => {
    cx.fetch(CHARGES, { then: "shop.plain", value: 7 });
    return "";
  });
  const host = shop({ asks, plain });
  await host.request("POST", "/");
  await host.fetch(`GET ${CHARGES}`).fail("tls");
  assert.deepEqual(JSON.parse(lines(host)[0] ?? ""), {
    result: "failed",
    reason: "tls",
    message: "as the test says",
    attempts: 1,
    value: 7,
  });
});

test("the option `fetched` is true, and stands beside no schedule", () => {
  const wrong = /** @type {any} */ (channel);
  assert.throws(() => wrong("a", { fetched: "yes" }, () => {}), {
    name: "DeclarationError",
    message: 'channel("a"): fetched is text: give true for a consumer of the results of requests',
  });
  assert.throws(() => wrong("a", { fetched: true, schedule: { expression: "@daily" } }, () => {}), {
    name: "DeclarationError",
    message: /has a schedule, takes the results of requests, or is told of presence: make two channels/,
  });
});

test("servers are an array", () => {
  const wrong = /** @type {any} */ ({ reaching: "pay.example.com" });
  assert.throws(() => new TestHost(app({ charged }), wrong), {
    name: "TypeError",
    message: "reaching is text: give an array of servers",
  });
});
