/** What is declared wrong is refused while the module is built, with the fix. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Query, app, channel, http, websocket } from "@tidegate/sdk";

const answer = () => "";
const a = http("GET /a/{id}", answer);
/** @type {any} */
const wrong = { http, websocket, channel };

/** @type {[() => unknown, RegExp][]} */
const refused = [
  [() => wrong.http("GET", answer), /route "GET": it has one or more methods, a space and a path/],
  [() => wrong.http("get /a", answer), /"get" is not a method in upper case/],
  [() => wrong.http("GET|GET /a", answer), /GET stands there twice/],
  [() => http("GET /a{b}", answer), /"a\{b\}" is not a whole segment such as \{id\}/],
  [() => http("GET /{*rest}/x", answer), /\{\*rest\} stands at the end/],
  [() => http("GET /{a}/{a}", answer), /\{a\} stands there twice/],
  [() => wrong.http("GET /a"), /the handler is undefined: give a function/],
  [
    () => wrong.http("GET /a", { disconect: answer }, answer),
    /there is no option `disconect`; there are params, host, headers, user, claims, presence, history, disconnect/,
  ],
  [
    () => wrong.http("GET /a", { params: { b: Number } }, answer),
    /params has `b`, and the path has no \{b\}/,
  ],
  [() => wrong.websocket("/a", { recieve: answer }), /there is no option `recieve`/],
  [
    () => wrong.websocket("/a", { incoming: "xml" }),
    /incoming is text: give "text", "binary", "json" or a function/,
  ],
  [() => channel("a b", () => {}), /channel "a b": it has 1 to 99 of/],
  [() => channel("http.request", () => {}), /belong to the host/],
  [
    () => channel("a", { retries: 101 }, () => {}),
    /retries is 101: give a whole number from 0 to 100/,
  ],
  [() => app({}), /lists no consumer/],
  [
    () => app(/** @type {any} */ ({ a: answer })),
    /consumer `a` is a function: give what http, websocket or channel returns/,
  ],
  [
    () => app({ a, b: http("GET|PUT /a/{id}", answer) }),
    /consumers `a` and `b` take the same requests/,
  ],
  [
    () => app({ a, b: http("PUT /a/{name}", answer) }),
    /differ only in the names of their parameters/,
  ],
  [() => app({ a, "/b": { a } }), /two consumers have the name `a`/],
  [
    () => app({ a: channel("x", () => {}), b: channel("x", () => {}) }),
    /a channel has one consumer/,
  ],
  [
    () => app({ "/x": { a: channel("x", () => {}) } }),
    /has no path: list it outside of the prefix \/x/,
  ],
  [() => app({ "/x/": { a } }), /prefix "\/x\/": it has no slash at its end/],
];

for (const [declare, message] of refused) {
  test(`refused: ${message.source}`, () => assert.throws(declare, message));
}

test("guards tell consumers apart", () => {
  const { entries } = app({
    a,
    b: http("GET /a/{id}", { host: "*.Example.com", headers: { "X-Version": "2" } }, answer),
  });
  const { trigger } = /** @type {{ trigger: any }} */ (entries[1]);
  assert.equal(trigger.val.guards.host, "*.example.com");
  assert.equal(trigger.val.guards.headers[0].name, "x-version");
});

test("a query is read as web browsers read it", () => {
  for (const text of [
    "",
    "a",
    "a=b&a=c",
    "=b&&c=",
    "a=%41%zz%e4+%C3%A4%",
    "%=%+&a=b=c",
    "a=\u{1F30A}",
  ]) {
    assert.deepEqual([...new Query(text)], [...new URLSearchParams(text)], text);
  }
});
