/** Sessions: who signs in stays signed in until somebody ends it, and what is kept for a session. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { app, http } from "@tidegate/sdk";
import { TestHost } from "@tidegate/sdk/testing";

import sessions from "./sessions.js";

/** @typedef {import("@tidegate/sdk/testing").TestResponse} TestResponse */

const host = (grantedSessions = true) => new TestHost(sessions, { module: "sessions", grantedSessions });

/** @param {TestHost} it @param {TestResponse | undefined} cookiesOf @param {string} call @param {...unknown} args */
const calls = (it, cookiesOf, call, ...args) =>
  it.request("POST", "/sessions/call", { json: { call, args }, ...(cookiesOf && { cookiesOf }) });

/** @param {TestHost} it @param {string} user @param {object} [claims] @param {TestResponse} [before] */
async function signedIn(it, user, claims = {}, before) {
  const response = await calls(it, before, "signIn", user, claims);
  assert.equal(response.status, 200, response.text());
  return response;
}

/** @param {TestHost} it @param {TestResponse} [cookiesOf] */
const me = async (it, cookiesOf) => (await it.get("/sessions/me", cookiesOf && { cookiesOf })).json();

const nobody = { user: null, role: null, cookies: {}, basket: null };

test("who signs in is known until signing out", async () => {
  const it = host();
  assert.deepEqual(await me(it), nobody);
  const login = await signedIn(it, "ada", { role: "owner" });
  assert.match(
    login.header("set-cookie") ?? "",
    /^__Host-session=[0-9a-f]{64}; Path=\/; Max-Age=2592000; HttpOnly; SameSite=Lax; Secure$/,
  );
  assert.deepEqual(await me(it, login), { ...nobody, user: "ada", role: "owner" });
  const headers = { Cookie: "a=1" };
  const both = await it.get("/sessions/me", { headers, cookiesOf: login });
  assert.deepEqual([both.json().user, both.json().cookies], ["ada", { a: "1" }]);
  const logout = await calls(it, login, "signOut");
  assert.match(logout.header("set-cookie") ?? "", /^__Host-session=; Path=\/; Max-Age=0;/);
  assert.deepEqual(logout.cookies, [], "the browser keeps none");
  assert.deepEqual(await me(it, login), nobody);
  assert.deepEqual((await calls(it, undefined, "signOut")).cookies, []);
  assert.deepEqual(it.faults, []);
});

test("a session ends by itself, and of two cookies none counts", async () => {
  const it = host();
  const login = await signedIn(it, "ada");
  const twice = { cookies: [...login.cookies, ...login.cookies] };
  assert.equal((await it.get("/sessions/me", { cookiesOf: twice })).json().user, null);
  await it.advance(30 * 24 * 3_600_000 - 1000);
  assert.equal((await me(it, login)).user, "ada");
  await it.advance(1000);
  assert.equal((await me(it, login)).user, null);
});

test("a token counts alone", async () => {
  const it = host();
  const login = await signedIn(it, "ada");
  const options = { signedIn: "eve", cookiesOf: login };
  assert.equal((await it.get("/sessions/me", options)).json().user, "eve");
  const refused = await it.request("POST", "/sessions/basket/rope", options);
  assert.equal(refused.json().code, "no-session");
});

test("signing in gives the session another id, and closes its sockets", async () => {
  const it = host();
  const first = await signedIn(it, "ada");
  const socket = await it.websocket("/sessions/room", { cookiesOf: first });
  const second = await signedIn(it, "ada", {}, first);
  assert.notDeepEqual(first.cookies, second.cookies);
  assert.deepEqual(socket.closed, { code: 4401, reason: "the session has ended" });
  assert.deepEqual([(await me(it, first)).user, (await me(it, second)).user], [null, "ada"]);
});

test("sessions of a user are listed, and ended one by one, all, or all others", async () => {
  const it = host();
  const browsers = [];
  for (const agent of ["Firefox", "Safari", "Lynx"]) {
    const json = { call: "signIn", args: ["ada"] };
    browsers.push(await it.request("POST", "/sessions/call", { json, headers: { "user-agent": agent } }));
    await it.advance(1000);
  }
  const [first, second, third] = browsers;
  const list = async () => (await calls(it, first, "of", "ada")).json().returned;
  const listed = await list();
  assert.deepEqual(
    listed.map((/** @type {any} */ { agent, isOwn, address }) => [agent, isOwn, address]),
    [["Lynx", false, "127.0.0.1"], ["Safari", false, "127.0.0.1"], ["Firefox", true, "127.0.0.1"]],
  );
  const [{ created, used, expires, id }] = listed;
  assert.deepEqual([created, Date.parse(expires) - Date.parse(created)], [used, 30 * 24 * 3_600_000]);
  const bob = await signedIn(it, "bob");
  await calls(it, bob, "end", "bob", id);
  assert.equal((await list()).length, 3, "it is none of bob's");
  await calls(it, bob, "end", "ada", id);
  assert.deepEqual([(await me(it, third)).user, (await list()).length], [null, 2]);
  await calls(it, first, "endOthers", "ada");
  assert.deepEqual([(await me(it, second)).user, (await me(it, first)).user], [null, "ada"]);
  await it.send("sessions.ban", { user: "ada" });
  assert.equal((await me(it, first)).user, "ada", "the run has failed");
  await calls(it, bob, "endAll", "ada");
  assert.deepEqual([(await me(it, first)).user, (await me(it, bob)).user], [null, "bob"]);
});

test("a basket stays when somebody signs in, and is not for another user", async () => {
  const it = host();
  const rope = await it.request("POST", "/sessions/basket/rope");
  assert.deepEqual(rope.json().returned, ["rope"]);
  const more = await it.request("POST", "/sessions/basket/buoy", { cookiesOf: rope });
  assert.deepEqual([more.json().returned, more.cookies], [["rope", "buoy"], []]);
  const ada = await signedIn(it, "ada", {}, rope);
  assert.deepEqual((await me(it, ada)).basket, ["rope", "buoy"]);
  const again = await signedIn(it, "ada", {}, ada);
  assert.deepEqual((await me(it, again)).basket, ["rope", "buoy"]);
  const bob = await signedIn(it, "bob", {}, again);
  assert.deepEqual((await me(it, bob)).basket, null);
  await it.request("POST", "/sessions/basket/lamp", { cookiesOf: bob });
  await it.request("POST", "/sessions/clear", { cookiesOf: bob });
  assert.deepEqual(await me(it, bob), { ...nobody, user: "bob" });
  assert.deepEqual((await it.request("POST", "/sessions/clear")).cookies, []);
  assert.deepEqual(it.faults, []);
});

test("data of a session goes with its lifetime", async () => {
  const it = host();
  await it.request("POST", "/sessions/basket/rope");
  const keys = () => it.data.keys.filter((key) => key.startsWith("session:"));
  assert.equal(keys().length, 1);
  await it.advance(30 * 24 * 3_600_000 + 1000);
  assert.equal(keys().length, 0);
});

test("data of a session has a shape", async () => {
  const shape = { schema: 2, migrate: (/** @type {number} */ _, /** @type {any} */ old) => ({ items: old }) };
  const put = http("POST /put", { user: "optional" }, (_, cx) => {
    cx.session().set(["rope"]);
    return "put\n";
  });
  const show = http("GET /", { user: "optional" }, (_, cx) => cx.session(shape).get() ?? {});
  const change = http("POST /", { user: "optional" }, (_, cx) => cx.session(shape).update((it) => it ?? { items: [] }));
  const it = new TestHost(app({ put, show, change }));
  const cookiesOf = await it.request("POST", "/put");
  assert.deepEqual((await it.get("/", { cookiesOf })).json(), { items: ["rope"] });
  assert.deepEqual((await it.request("POST", "/", { cookiesOf })).json(), { items: ["rope"] });
  assert.deepEqual((await it.get("/", { cookiesOf })).json(), { items: ["rope"] });
});

test("what a run that fails asked for is not done", async () => {
  const it = host();
  const failed = await it.request("POST", "/sessions/fail");
  const mute = await it.request("POST", "/sessions/mute");
  assert.deepEqual([failed.status, mute.status, failed.cookies], [500, 500, []]);
  assert.equal(it.data.get("failed"), undefined);
  assert.match(it.faults[1]?.text ?? "", /^it began a session and did not answer, so the browser would get no cookie/);
  const [before, after] = [
    await it.request("POST", "/sessions/flush/before"),
    await it.request("POST", "/sessions/flush/after"),
  ];
  assert.deepEqual([before.json().code, after.json().code], ["invalid", "refused"]);
  assert.match(before.json().message, /^the run has flushed, and its answer may have left/);
  assert.match(after.json().message, /^the run has asked for something of sessions, which is done when it returns/);
});

test("a handshake begins a session, and a message does not", async () => {
  const it = host();
  const ada = await it.websocket("/sessions/room", { headers: { "x-user": "ada" } });
  const cookies = [(ada.header("set-cookie") ?? "").split(";", 1)[0] ?? ""];
  const socket = await it.websocket("/sessions/room", { cookiesOf: { cookies } });
  await socket.send("rope");
  assert.deepEqual(socket.receiveJson(), { returned: ["rope"] });
  await socket.send("bye");
  assert.equal(socket.closed?.code, 4401);
  const other = await it.websocket("/sessions/room");
  await other.send("rope");
  const { code, message } = other.receiveJson();
  assert.equal(code, "no-session");
  assert.match(message, /^a browser takes a cookie with a response and with the acceptance of a handshake/);
  await it.send("sessions.ban", { user: "ada" });
  assert.equal(it.logs[0]?.text, "undefined");
  assert.match(it.faults[0]?.text ?? "", /^SessionError: a message of a channel has no session/);
});

test("without a guard nobody looks for a session", async () => {
  const answer = await host().request("POST", "/bare");
  assert.equal(answer.json().code, "no-session");
  assert.match(answer.json().message, /^no session is looked for here: the consumer declares no `user`/);
});

test("without a grant nobody is signed in", async () => {
  const it = host(false);
  for (const [call, ...args] of [["signIn", "ada"], ["of", "ada"], ["end", "ada", "1"], ["endAll", "ada"], ["endOthers", "ada"]]) {
    const { code, message } = (await calls(it, undefined, String(call), ...args)).json();
    assert.equal(code, "forbidden", call);
    assert.match(message, /let it be granted: modules\.sessions\.grants\.sessions = true, and in a test new TestHost\(app, \{ grantedSessions: true \}\)$/);
  }
  assert.equal((await calls(it, undefined, "signOut")).status, 200);
  assert.equal((await it.request("POST", "/sessions/basket/rope")).status, 200);
});

test("tries are counted by subject, in a window", async () => {
  const it = host();
  const tried = async (/** @type {string} */ name) => (await it.request("POST", `/sessions/tried/${name}`)).status;
  assert.deepEqual([await tried("ada"), await tried("ada"), await tried("ada"), await tried("bob")], [200, 200, 429, 200]);
  await it.advance(59_999);
  assert.equal(await tried("ada"), 429);
  await it.advance(1);
  assert.deepEqual([await tried("ada"), await tried("ada"), await tried("ada")], [200, 200, 429]);
  await it.request("POST", "/sessions/forget/ada");
  assert.equal(await tried("ada"), 200);
  // What is too long for a key counts together.
  const long = encodeURIComponent("ä".repeat(200));
  assert.deepEqual([await tried(`${long}1`), await tried(`${long}2`), await tried(`${long}3`)], [200, 200, 429]);
  const wait = http("POST /", (_, cx) => String(cx.throttle("a", { limit: 0, window: 5000.5 }).count("ada")));
  assert.equal((await new TestHost(app({ wait })).request("POST", "/")).text(), "5001");
});

/** @type {[call: string, args: unknown[], threw: string, message: RegExp][]} */
const refused = [
  ["signIn", [""], "invalid", /^the id of a user has 1 to 256 bytes and no control characters$/],
  ["signIn", ["ä".repeat(129)], "invalid", /has 1 to 256 bytes/],
  ["signIn", ["a\nb"], "invalid", /no control characters/],
  ["signIn", [7], "TypeError", /^the user of signIn is the number 7: give text$/],
  ["signIn", ["ada", "member"], "TypeError", /^the claims of signIn are text: give an object such as/],
  ["signIn", ["ada", null], "TypeError", /^the claims of signIn are null/],
  ["signIn", ["ada", { x: "x".repeat(4096) }], "invalid", /^the claims take 41\d\d bytes as MessagePack; at most 4096 are taken$/],
  ["signIn", ["ada", JSON.parse('{"__proto__":1}')], "invalid", /^the claims of signIn: .*__proto__/],
  ["of", [null], "TypeError", /^the user of of is null: give text$/],
  ["end", ["ada"], "TypeError", /^the id of end is undefined: give text$/],
  ["end", [7, "x"], "TypeError", /^the user of end is the number 7/],
  ["end", ["ada", "none"], "invalid", /^an id of a session is what `list-of` gives$/],
  ["endAll", [], "TypeError", /^the user of endAll is undefined/],
  ["endOthers", [{}], "TypeError", /^the user of endOthers is an object/],
];

for (const [call, args, threw, message] of refused) {
  test(`refused: ${call}(${JSON.stringify(args).slice(1, 60)})`, async () => {
    const answer = (await calls(host(), undefined, call, ...args)).json();
    assert.equal(answer.code ?? answer.threw, threw, JSON.stringify(answer));
    if (answer.code) assert.equal(answer.threw, "SessionError");
    assert.match(answer.message, message);
  });
}

test("a run ends the sessions of 100 users", async () => {
  const ends = http("POST /{count}", { user: "optional" }, ({ params }, cx) => {
    for (let i = 0; i < Number(params.count); i++) cx.sessions().endAll(`user-${i}`);
    return "done\n";
  });
  const it = new TestHost(app({ ends }), { grantedSessions: true });
  assert.deepEqual([(await it.request("POST", "/100")).status, (await it.request("POST", "/101")).status], [200, 500]);
  assert.match(it.faults[0]?.text ?? "", /^SessionError: a run ends the sessions of at most 100 users/);
});

/** @type {[(cx: any) => unknown, RegExp][]} */
const wrong = [
  [(cx) => cx.session(7), /^TypeError: the options of session are the number 7: give an object/],
  [(cx) => cx.session({ shape: 2 }), /^TypeError: session has no option `shape`; there are schema, migrate/],
  [(cx) => cx.session().set(undefined), /^TypeError: the data of a session is undefined: use clear\(\)/],
  [(cx) => cx.session().update(7), /^TypeError: the change of update is the number 7: give a function/],
  [(cx) => cx.session().update(() => {}), /^TypeError: the change of update returned undefined: return the data/],
  [(cx) => cx.session().update(async () => []), /^TypeError: the change of update returned a Promise/],
  [(cx) => cx.throttle("a"), /^TypeError: the options of throttle are undefined: give an object/],
  [(cx) => cx.throttle("a", { limit: 1 }), /^TypeError: the window of a throttle is undefined: give a number of milliseconds/],
  [(cx) => cx.throttle("a", { limit: -1, window: 1 }), /^RangeError: the limit of a throttle is -1/],
  [(cx) => cx.throttle("a", { limit: 1, window: 1, span: 1 }), /^TypeError: throttle has no option `span`; there are limit, window/],
  [(cx) => cx.throttle(7, { limit: 1, window: 1 }), /^TypeError: the name of a throttle is the number 7/],
  [(cx) => cx.throttle("a", { limit: 1, window: 1 }).count(7), /^TypeError: the subject of a throttle is the number 7/],
];

for (const [call, message] of wrong) {
  test(`refused: ${message.source.slice(0, 70)}`, async () => {
    const page = http("POST /", { user: "optional" }, (_, cx) => `${call(cx)}`);
    const it = new TestHost(app({ page }));
    assert.equal((await it.request("POST", "/")).status, 500);
    assert.match(it.faults[0]?.text ?? "", message);
  });
}
