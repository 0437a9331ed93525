/** Users: who is let in, and whom a consumer sees. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { User, app, channel, guarded, http, websocket } from "@tidegate/sdk";
import { Denied, TestHost } from "@tidegate/sdk/testing";

import { declarations } from "../src/component/declarations.js";
import { unpack } from "../src/content.js";
import users from "./users.js";

const host = () => new TestHost(users, { module: "users" });
const role = "https://example.com/role";

/** @param {import("@tidegate/sdk").App} of */
const declared = (of) => unpack(declarations(of).declare());

test("a consumer sees the user that it asks for", async () => {
  const it = host();
  const me = await it.get("/users/me", { signedIn: "ada", claims: { a: [1, 2n ** 40n] } });
  assert.deepEqual(me.json(), { id: "ada", claims: { a: [1, 2 ** 40] }, expires: null });
  assert.equal((await it.get("/users/home", { signedIn: "ada" })).text(), "ada {}");
  assert.equal((await it.get("/users/home")).text(), "nobody");
  const missing = await it.get("/users/me");
  assert.deepEqual(
    [missing.status, missing.text(), missing.header("www-authenticate")],
    [401, "sign in first\n", "Bearer"],
  );
});

test("without a guard nobody is looked for", async () => {
  assert.equal((await host().get("/users/open", { signedIn: "ada" })).text(), "nobody");
});

test("claims are compared with their types", async () => {
  const it = host();
  const close = (/** @type {Record<string, unknown>} */ claims) =>
    it.request("POST", "/users/close", { signedIn: "ada", claims });
  for (const [claims, status] of /** @type {[Record<string, unknown>, number][]} */ ([
    [{ role: "owner", level: 2 }, 200],
    [{ role: ["reader", "owner"], level: [1, 2] }, 200],
    [{ role: "owner", level: "2" }, 403],
    [{ role: "owner", level: true }, 403],
    [{ role: "owner", level: 2.5 }, 403],
    [{ role: "owner", level: [[2]] }, 403],
    [{ role: "reader", level: 2 }, 403],
    [{ role: "owner" }, 403],
    [{}, 403],
  ])) {
    assert.equal((await close(claims)).status, status, JSON.stringify(claims));
  }
  assert.equal((await it.request("POST", "/users/close")).status, 401);
});

test("a socket has the user of its handshake to its end, and a message has none", async () => {
  const it = host();
  const claims = { [role]: ["reader", "admin"] };
  const room = await it.websocket("/users/room", { signedIn: "ada", claims });
  const who = `ada ${JSON.stringify(claims)}`;
  assert.equal(room.receive(), `welcome ${who}`);
  await room.send("ahoy");
  assert.deepEqual([room.receive(), room.receive()], [`${who}: ahoy`, "nobody"]);
  await room.close();
  for (const [options, status] of /** @type {const} */ ([
    [{}, 401],
    [{ signedIn: "bob" }, 403],
    [{ signedIn: "bob", claims: { role: "admin" } }, 403],
  ])) {
    await assert.rejects(it.websocket("/users/room", options), (error) => {
      assert.ok(error instanceof Denied);
      assert.equal(error.status, status);
      return true;
    });
  }
  const waiting = await it.get("/users/wait", { signedIn: "eve" });
  await waiting.leave();
  assert.deepEqual(
    it.logs.map(({ text }) => text),
    [`${who} left`, "eve {} left"],
  );
  assert.deepEqual(it.faults, []);
});

test("what stands before a prefix is for each consumer below it", async () => {
  const it = host();
  const desk = (/** @type {Record<string, unknown>} */ claims) =>
    it.get("/users/staff/desk", { signedIn: "ada", claims });
  assert.equal((await desk({ staff: true, level: 1 })).status, 200);
  assert.equal((await desk({ staff: true, level: 3 })).status, 403);
  assert.equal((await desk({ level: 1 })).status, 403);
  assert.equal((await it.get("/users/staff/desk")).status, 401);
});

test("what is declared has what each consumer asks for", () => {
  assert.deepEqual(declared(users), {
    me: { user: "required" },
    home: { user: "optional" },
    close: { user: "required", claims: { role: ["admin", "owner"], level: [2] } },
    wait: { user: "optional" },
    room: { user: "required", claims: { [role]: ["admin"] } },
    desk: { user: "required", claims: { staff: [true], level: [1, 2] } },
  });
  const answer = () => "";
  const all = app(guarded({ user: "optional" }, { a: http("GET /a", answer) }));
  assert.deepEqual(declared(all), { a: { user: "optional" } });
});

test("the end of a user is a Date", () => {
  const claims = Uint8Array.of(0x80);
  const ends = (/** @type {number | undefined} */ expires) =>
    new User({ id: "ada", claims, expires }).expires?.toISOString();
  assert.equal(ends(1_799_033_400), "2027-01-04T03:30:00.000Z");
  assert.equal(ends(undefined), undefined);
  assert.equal(ends(2 ** 63), undefined);
});

const answer = () => "";
/** @type {any} */
const wrong = { http, websocket, channel, guarded };

/** @type {[() => unknown, RegExp][]} */
const refused = [
  [() => wrong.http("GET /a", { user: true }, answer), /user is "required" or "optional", and not the boolean true/],
  [() => wrong.http("GET /a", { user: "needed" }, answer), /user is "required" or "optional", and not "needed"/],
  [() => wrong.websocket("/a", { claims: "admin" }), /claims is text: give an object such as/],
  [() => http("GET /a", { claims: {} }, answer), /claims has 0 names: give 1 to 32/],
  [() => http("GET /a", { claims: { role: [] } }, answer), /the claim role has 0 values: give 1 to 32/],
  [() => http("GET /a", { claims: { level: 1.5 } }, answer), /the claim level is compared with text, an integer or a boolean, and not with the number 1.5/],
  [() => http("GET /a", { claims: { level: 2n ** 63n } }, answer), /compared with text, an integer/],
  [() => wrong.http("GET /a", { claims: { level: [1, null] } }, answer), /and not with null/],
  [() => http("GET /a", { user: "optional", claims: { a: 1 } }, answer), /claims are those of a user/],
  [() => wrong.channel("a", { user: "required" }, answer), /a message of a channel has no user: give `user` to consumers/],
  [() => wrong.guarded({}, {}), /guarded\(\) asks for nothing: give \{ user: "required" \}/],
  [() => wrong.guarded({ users: "required" }, {}), /guarded\(\): there is no option `users`; there are user, claims/],
  [() => app({ "/a": guarded({ user: "required" }, { a: http("GET /", { user: "optional" }, answer) }) }), /consumer `a`: what it asks of the user is said already, by guarded\(\)/],
  [() => app({ "/a": guarded({ claims: { a: 1 } }, { a: http("GET /", { claims: { a: 1 } }, answer) }) }), /consumer `a`: the claim `a` is there already/],
  [() => app({ "/a": guarded({ user: "optional" }, { a: http("GET /", { claims: { a: 1 } }, answer) }) }), /consumer `a`: claims are those of a user/],
  [() => app(guarded({ user: "required" }, { "/a": guarded({ user: "required" }, {}) })), /guarded\(\): what it asks of the user is said already/],
  [() => app(guarded({ user: "required" }, { a: channel("a", () => {}) })), /consumer `a` of a channel has no user: list it outside of guarded\(\)/],
];

for (const [declare, message] of refused)
  test(`refused: ${message.source}`, () => assert.throws(declare, message));

test("a user that no token has is refused in a test", async () => {
  for (const [options, message] of /** @type {[any, RegExp][]} */ ([
    [{ signedIn: "" }, /"" is not 1 to 256 bytes without control characters/],
    [{ signedIn: "\u00e4".repeat(129) }, /is not 1 to 256 bytes/],
    [{ signedIn: "a\u0085" }, /without control characters/],
    [{ signedIn: 7 }, /signedIn is the number 7: give the id of the user/],
    [{ signedIn: "ada", claims: { a: "x".repeat(4096) } }, /the claims have 4102 bytes; at most 4096/],
    [{ signedIn: "ada", claims: ["a"] }, /claims is an array: give an object/],
    [{ claims: {} }, /claims are those of a user: give the option signedIn, too/],
  ])) {
    await assert.rejects(host().get("/users/me", options), message);
    await assert.rejects(host().websocket("/users/room", options), message);
  }
});
