/** Requests to servers outside that a run waits for, which a test answers. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { FetchFailed, app, channel, http } from "@tidegate/sdk";
import { TestHost } from "@tidegate/sdk/testing";

const RATES = "https://rates.example.com/eur";

const shop = app({
  rate: http("GET /rate", (_, cx) => {
    try {
      const answer = cx.fetchNow(RATES, { headers: { "X-Mine": "yes" } });
      return [answer.status, answer.text(), answer.header("X-Age") ?? null];
    } catch (error) {
      if (!(error instanceof FetchFailed)) throw error;
      return [error.reason, error.message];
    }
  }),
  other: http("GET /other/{*url}", ({ params }, cx) => {
    try {
      return cx.fetchNow(params.url).text();
    } catch (error) {
      return String(error);
    }
  }),
  wrong: http("POST /wrong", (request, cx) => {
    try {
      return cx.fetchNow(RATES, request.json()).text();
    } catch (error) {
      return String(error);
    }
  }),
  count: channel("shop.count", (_, cx) => {
    cx.store.set("count", cx.store.counter("count") + 1);
    cx.fetchNow(RATES);
  }),
});
const host = () => new TestHost(shop, { module: "shop", reaching: ["*.example.com"] });

test("a run gets the answer that the test has prepared, whatever its status", async () => {
  const it = host();
  it.answers(`GET ${RATES}`, 200, "1.08", { "X-Age": "7" });
  it.answers(`GET ${RATES}`, 503, "busy");
  it.fails(`GET ${RATES}`, "timeout");
  assert.deepEqual((await it.get("/rate")).json(), [200, "1.08", "7"]);
  assert.deepEqual((await it.get("/rate")).json(), [503, "busy", null]);
  assert.deepEqual((await it.get("/rate")).json(), ["timeout", "as the test says"]);
});

test("a request that the test has not prepared fails the run and says how to", async () => {
  const it = host();
  assert.equal((await it.get("/rate")).status, 500);
  assert.match(it.faults[0]?.text ?? "", /say host\.answers\("GET https:\/\/rates\.example\.com\/eur", 200/);
});

test("a server without a grant, and a request that breaks a rule, are refused with the fix", async () => {
  const it = host();
  const other = async (/** @type {string} */ url) => (await it.get(`/other/${url}`)).text();
  assert.match(await other("https://example.com/"), /^FetchFailed: .*add "https:\/\/example\.com" to modules\.shop\.grants\.http/);
  assert.match(await other("nowhere"), /^FetchFailed: the URL is not valid/);
  const wrong = async (/** @type {object} */ json) => (await it.request("POST", "/wrong", { json })).text();
  assert.match(await wrong({ then: "shop.count" }), /^TypeError: fetchNow has no option `then`; there are method, headers/);
  assert.match(await wrong({ body: "a", json: 1 }), /^TypeError: fetch has a body, which is text, and json/);
  assert.match(await wrong({ timeout: -1 }), /^RangeError: the timeout of fetch is -1/);
  assert.match(await wrong({ headers: { host: "a" } }), /^FetchFailed: the header field host is written by the host/);
});

test("a run that has made a request is not done again when its data has changed", async () => {
  const it = host();
  it.data.set("count", 1);
  it.answers(`GET ${RATES}`, 200);
  it.conflictOnce("count");
  await it.send("shop.count", {});
  assert.equal(it.faults.length, 1);
  assert.equal(it.data.get("count"), 1);
});
