/** Modules that are built, on a real host. */

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { DurableStream, stream } from "@durable-streams/client";
import { build } from "@tidegate/sdk/build";
import { runCases } from "@tidegate/sdk/testing";

import { cases, examples, source } from "./examples.js";
import { driver, program, serve, token } from "./host.js";
import { outside } from "./outside.js";

/** The offset at the end of a stream. @param {string} url */
async function head(url) {
  const found = await DurableStream.head({ url });
  return "offset" in found ? found.offset : undefined;
}

describe(
  "on a host",
  { skip: program ? false : "the environment variable TIDEGATE names no host" },
  () => {
    /** @type {string} */
    let folder;
    /** @type {Awaited<ReturnType<typeof serve>>} */
    let host;
    /** A server outside that is granted. @type {Awaited<ReturnType<typeof outside>>} */
    let server;

    before(async () => {
      server = await outside();
      folder = await mkdtemp(join(tmpdir(), "tidegate-built-"));
      /** @type {Record<string, string>} */
      const modules = {};
      const sources = Object.entries(examples).map(([name, file]) => [name, source(name, file)]);
      for (const name of ["surface", "keeping", "scheduled", "fetching", "users", "present", "online", "remembering", "sessions"])
        sources.push([name, fileURLToPath(new URL(`${name}.js`, import.meta.url))]);
      await Promise.all(
        sources.map(async ([name = "", entry = ""]) => {
          modules[name] = join(folder, `${name}.wasm`);
          await build({ entry, output: modules[name] });
        }),
      );
      host = await serve(
        modules,
        [
          '[layer]\nretry_pause = "10ms"',
          `[modules.fetching]\ngrants.http = ["${server.address}"]`,
          '[sessions]\nsecrets = "a secret of 32 bytes, or of many more"',
          "[modules.sessions]\ngrants.sessions = true\n",
        ].join("\n"),
      );
    });

    after(async () => {
      await host?.stop();
      await server?.stop();
      await rm(folder, { recursive: true });
    });

    /** @param {string} path */
    const get = (path) => fetch(host.address + path);
    /** @param {string} path @returns {Promise<any>} */
    const getJson = async (path) => (await get(path)).json();

    for (const name of Object.keys(examples)) {
      test(`${name} passes its cases`, async () => {
        for (const text of await cases(name)) await runCases(text, driver(host.address));
      });
    }

    test("the surface passes its cases", async () => {
      await runCases(
        await readFile(new URL("surface.json", import.meta.url), "utf8"),
        driver(host.address),
      );
    });

    test("the store passes its cases", async () => {
      await runCases(
        await readFile(new URL("keeping.json", import.meta.url), "utf8"),
        driver(host.address),
      );
      await host.logged("due: without a key");
      await host.logged("due: by key");
    });

    test("a consumer with a schedule gets each moment once", async () => {
      const watch = driver(host.address);
      await watch.open("watcher", { path: "/seconds", subprotocols: [], headers: {}, user: undefined });
      /** @type {Set<unknown>} */
      const moments = new Set();
      for (let i = 0; i < 3; i++) {
        const received = await watch.receive("watcher");
        assert.ok("frame" in received);
        moments.add(received.frame);
      }
      await watch.reset();
      assert.equal(moments.size, 3);
      for (const moment of moments) {
        assert.match(String(moment), /:\d\d\.000Z$/);
        assert.ok(Date.parse(String(moment)) <= Date.now());
      }
    });

    test("clients, a channel and consumers are told who is in a group", async () => {
      const board = driver(host.address);
      const open = (/** @type {string} */ name) =>
        board.open(name, { path: `/present/board/a/${name}`, subprotocols: [], headers: {}, user: undefined });
      /** @type {(name: string) => Promise<any>} */
      const next = async (name) => {
        const received = await board.receive(name);
        assert.ok("frame" in received, JSON.stringify(received));
        return JSON.parse(String(received.frame));
      };
      /** @type {(name: string, call: string, ...args: unknown[]) => Promise<any>} */
      const asks = async (name, call, ...args) => {
        await board.send(name, JSON.stringify({ call, args }));
        for (;;) {
          const answer = await next(name);
          if (!answer.presence) return answer;
        }
      };
      await open("ada");
      const list = await next("ada");
      assert.deepEqual(list.presence.members, { ada: {} });
      await open("bob");
      for (let joined; joined?.bob === undefined; ) joined = (await next("ada")).presence.joined;
      assert.deepEqual(await asks("bob", "present", "board.a", "bob", { at: [1, 2.5] }), { returned: null });
      for (let updated; updated === undefined; ) updated = (await next("ada")).presence.updated;
      assert.deepEqual(await getJson("/present/here/a"), {
        count: 2,
        members: {
          members: [
            { key: "ada", facts: {} },
            { key: "bob", facts: { at: [1, 2.5] } },
          ],
          count: 2,
        },
      });
      const { returned } = await asks("ada", "members", "board.a", { limit: 1 });
      assert.deepEqual([returned.members.length, returned.cursor], [1, "ada"]);
      for (const [args, code, message] of /** @type {[unknown[], string | undefined, RegExp][]} */ ([
        [["board.a", ""], "invalid", /^the key of a member has 1 to 256 bytes/],
        [["board.a", "ada", { x: "x".repeat(1024) }], "invalid", /at most 1024 are taken$/],
        [[{ full: "foreign.room" }, "ada"], "forbidden", /foreign\.room/],
        [["board.a", 7], undefined, /^the key of a member is the number 7: give text$/],
      ])) {
        const answer = await asks("ada", "present", ...args);
        assert.equal(answer.code, code, JSON.stringify(answer));
        assert.match(answer.message, message);
      }
      await board.close("bob", 1000);
      for (let left; left === undefined; ) left = (await next("ada")).presence.left;
      await host.logged('"count":1,"joined":{},"updated":{},"left":["bob"]');
      await board.reset();
    });

    test("all connections of a user are reached, closed and counted", async () => {
      const sockets = driver(host.address);
      const user = (/** @type {string} */ id) => ({ id, claims: {} });
      const open = (/** @type {string} */ name, /** @type {string} */ id, query = "") =>
        sockets.open(name, { path: `/online/room${query}`, subprotocols: [], headers: {}, user: user(id) });
      const next = async (/** @type {string} */ name) => {
        const received = await sockets.receive(name);
        return "frame" in received ? received.frame : received.close.code;
      };
      /** @type {(id: unknown, ...calls: [string, ...unknown[]][]) => Promise<any>} */
      const asks = async (id, ...calls) => {
        const body = JSON.stringify({ user: id, calls });
        return (await fetch(`${host.address}/online/call`, { method: "POST", body })).json();
      };
      const message = (/** @type {string} */ name) => ({ message: name });
      await open("phone", "jürgen", "?hello");
      assert.equal(await next("phone"), "hello");
      await open("laptop", "jürgen");
      await open("bob", "bob");
      assert.deepEqual(await asks("jürgen", ["send", message("json")], ["count"]), { returned: [null, 2] });
      assert.deepEqual([await next("phone"), await next("laptop")], ['{"tide":"high"}', '{"tide":"high"}']);
      assert.deepEqual((await asks("eve", ["send", message("text")], ["count"])).returned, [null, 0]);
      await asks("jürgen", ["send", message("text")], ["close", 4000, "signed out"]);
      for (const name of ["phone", "laptop"])
        assert.deepEqual([await next(name), await next(name)], ["a parcel has come", 4000]);
      await sockets.send("bob", "bob");
      assert.deepEqual([await next("bob"), await next("bob"), await next("bob")], ["before", "from a friend", "after"]);
      for (const [call, text, status] of /** @type {const} */ ([
        [["send", message("response")], "news\n", 203],
        [["close"], "nothing\n", 200],
      ])) {
        const held = fetch(`${host.address}/online/hold/fallback`, {
          headers: { authorization: `Bearer ${token(user("holder"))}` },
        });
        while ((await asks("holder", ["count"])).returned[0] !== 1);
        await asks("holder", /** @type {[string]} */ (/** @type {unknown} */ (call)));
        const answer = await held;
        assert.deepEqual([answer.status, await answer.text()], [status, text]);
        while ((await asks("holder", ["count"])).returned[0] !== 0);
      }
      for (const [id, call, code, rule] of /** @type {[unknown, [string, ...unknown[]], string | undefined, RegExp][]} */ ([
        ["", ["count"], "invalid", /^the id of a user has 1 to 256 bytes/],
        ["ada", ["close", 1001], "invalid", /1001/],
        ["ada", ["close", 4000, "x".repeat(124)], "invalid", /124/],
        ["ada", ["send", message("large")], "invalid", /bytes/],
        [7, ["count"], undefined, /^the user of connectionsOf is the number 7: give text$/],
      ])) {
        const answer = await asks(id, call);
        assert.equal(answer.code, code, JSON.stringify(answer));
        assert.match(answer.message, rule);
      }
      const trespass = await fetch(`${host.address}/online/trespass/_user.ada`, { method: "POST" });
      assert.match(await trespass.text(), /^forbidden: group _user\.ada is one of the host's own/);
      await sockets.reset();
    });

    test("who comes back to a group that is remembered gets what it has missed", async () => {
      const room = driver(host.address);
      const open = (/** @type {string} */ name, query = "") =>
        room.open(name, { path: `/remembering/room/a${query}`, subprotocols: [], headers: {}, user: undefined });
      const send = (/** @type {string} */ name, /** @type {object} */ asked) =>
        room.send(name, JSON.stringify(asked));
      /** @type {(name: string) => Promise<any>} */
      const next = async (name) => {
        const received = await room.receive(name);
        assert.ok("frame" in received, JSON.stringify(received));
        return JSON.parse(String(received.frame));
      };
      const say = (/** @type {string} */ text) =>
        fetch(`${host.address}/remembering/say/a/${text}`, { method: "POST" });
      await open("ada");
      await send("ada", { join: {} });
      assert.deepEqual([(await next("ada")).tidegate, await say("one").then(({ ok }) => ok)], ["from", true]);
      const one = await next("ada");
      assert.deepEqual([one.tidegate, one.group, one.text], ["message", "remembering.room.a", "one"]);
      await send("ada", { say: { bytes: [1, 255] } });
      assert.equal((await next("ada")).base64, "Af8=");
      await room.close("ada", 1000);
      await say("two");
      await open("back", `?after=remembering.room.a:${one.position}`);
      await send("back", { join: { latest: 3 } });
      const from = await next("back");
      assert.deepEqual([from.position, from.complete], [one.position, true]);
      assert.deepEqual([(await next("back")).base64, (await next("back")).text], ["Af8=", "two"]);
      await open("lost", "?after=nowhere");
      await send("lost", { join: { latest: 1 } });
      assert.equal((await next("lost")).complete, false);
      const { text, position } = await next("lost");
      assert.equal(text, "two");
      const page = await getJson(`/remembering/page/a?behind=${one.position}`);
      assert.deepEqual(
        [page.messages.length, page.messages[1].message.text, page.position, page.isComplete, page.hasMore],
        [2, "two", position, true, false],
      );
      for (const [call, args, code, message] of /** @type {[string, unknown[], string | undefined, RegExp][]} */ ([
        ["groupJoin", ["other"], "invalid", /^group remembering\.other is not remembered/],
        ["latest", [{ full: "foreign.room" }], "forbidden", /foreign\.room/],
        ["after", ["room.a", 7], undefined, /^the position of after is the number 7: give text$/],
      ])) {
        await send("back", { call, args });
        const answer = await next("back");
        assert.equal(answer.code, code, JSON.stringify(answer));
        assert.match(answer.message, message);
      }
      const held = fetch(`${host.address}/remembering/held?after=nowhere`);
      const gap = await held;
      assert.deepEqual([gap.status, gap.headers.get("tidegate-complete")], [204, "false"]);
      const waiting = fetch(`${host.address}/remembering/held?after=${gap.headers.get("tidegate-position")}`);
      await fetch(`${host.address}/remembering/answer/now`, { method: "POST" });
      const answered = await waiting;
      assert.deepEqual([answered.status, await answered.text()], [200, "now"]);
      assert.equal(answered.headers.has("tidegate-complete"), false);
      await room.reset();
    });

    test("a published client reads a group that is remembered as a durable stream", async () => {
      const url = `${host.address}/remembering/durable/b`;
      const say = async (/** @type {string} */ text) => {
        const said = await fetch(`${host.address}/remembering/say/b/${encodeURIComponent(text)}`, { method: "POST" });
        assert.equal(said.status, 200);
      };
      await say("one");
      await say('{"tide":"high"}');
      const kept = await stream({ url, offset: "-1", live: false });
      assert.deepEqual(await kept.json(), ["one", { tide: "high" }]);
      assert.deepEqual([kept.upToDate, await head(url)], [true, kept.offset]);
      let offset = kept.offset;
      for (const live of /** @type {const} */ (["long-poll", "sse"])) {
        const expected = [1, 2, 3].map((number) => `${live} ${number}`);
        const reading = await stream({ url, offset, live, json: true });
        /** @type {unknown[]} */
        const heard = [];
        const all = new Promise((resolve, reject) => {
          reading.closed.catch(reject);
          reading.subscribeJson(async (batch) => {
            heard.push(...batch.items);
            if (heard.length === expected.length) resolve(batch.offset);
          });
        });
        for (const text of expected) await say(text);
        offset = /** @type {string} */ (await all);
        reading.cancel();
        assert.deepEqual(heard, expected);
      }
      assert.equal(offset, await head(url));
      // Three are kept, so that the first offset is gone.
      await assert.rejects(stream({ url, offset: kept.offset, live: false }), { status: 410 });
      const fresh = await stream({ url, live: false });
      assert.deepEqual(await fresh.json(), ["sse 1", "sse 2", "sse 3"]);
    });

    test("who signs in stays signed in, with what is kept for the session", async () => {
      /** @type {(method: string, path: string, cookie?: string, json?: object) => Promise<Response>} */
      const send = (method, path, cookie = "", json = undefined) =>
        fetch(`${host.address}/sessions${path}`, {
          method,
          headers: cookie ? { cookie } : {},
          body: json && JSON.stringify(json),
        });
      /** @type {(response: Promise<Response>) => Promise<any>} */
      const json = async (response) => (await response).json();
      const cookieOf = (/** @type {Response} */ response) =>
        response.headers.get("set-cookie")?.split(";", 1)[0] ?? "";
      /** @type {(cookie: string, call: string, ...args: unknown[]) => Promise<Response>} */
      const calls = (cookie, call, ...args) => send("POST", "/call", cookie, { call, args });
      const me = (/** @type {string} */ cookie) => json(send("GET", "/me", cookie));

      const first = cookieOf(await send("POST", "/basket/rope"));
      const cookie = cookieOf(await calls(first, "signIn", "ada", { role: "owner" }));
      assert.match(cookie, /^__Host-session=./);
      assert.notEqual(cookie, first);
      assert.deepEqual(await me(cookie), { user: "ada", role: "owner", cookies: {}, basket: ["rope"] });
      assert.equal((await me(first)).user, null);
      const other = cookieOf(await calls("", "signIn", "ada"));
      const { returned } = await json(calls(cookie, "of", "ada"));
      assert.deepEqual(returned.map((/** @type {any} */ it) => it.isOwn).sort(), [false, true]);
      assert.ok(Date.parse(returned[0].created) <= Date.now());
      assert.equal((await calls(cookie, "endOthers", "ada")).status, 200);
      assert.equal((await me(other)).user, null);
      for (const [call, args, code, message] of /** @type {[string, unknown[], string | undefined, RegExp][]} */ ([
        ["signIn", [""], "invalid", /^the id of a user/],
        ["end", ["ada", "none"], "invalid", /^an id of a session is what/],
        ["signIn", [7], undefined, /^the user of signIn is the number 7: give text$/],
      ])) {
        const answer = await json(calls(cookie, call, ...args));
        assert.equal(answer.code, code, JSON.stringify(answer));
        assert.match(answer.message, message);
      }
      const flushed = await json(send("POST", "/flush/after", cookie));
      assert.match(flushed.message, /^the run has asked for something of sessions/);
      const bare = await json(fetch(`${host.address}/bare`, { method: "POST" }));
      assert.equal(bare.code, "no-session");
      assert.equal((await send("POST", "/fail")).headers.get("set-cookie"), null);
      const tries = [];
      for (let i = 0; i < 3; i++) tries.push((await send("POST", "/tried/ada")).status);
      assert.deepEqual(tries, [200, 200, 429]);
      assert.equal((await calls(cookie, "signOut")).status, 200);
      assert.equal((await me(cookie)).user, null);
    });

    test("the routes of a module have its schedules with the next moments", async () => {
      const routes = await host.routes();
      assert.match(
        routes,
        /^CHANNEL +scheduled\.second +\* \* \* \* \* \* Europe\/Berlin, next 20\S+\[Europe\/Berlin\]$/m,
      );
      assert.match(
        routes,
        /^CHANNEL +scheduled\.yearly +0 0 1 1 \* UTC, next 20\d\d-01-01T00:00:00\+00:00\[UTC\]$/m,
      );
      assert.match(routes, /^CHANNEL +keeping\.due$/m);
    });

    /** @param {Record<string, unknown>} asked */
    const ask = (asked) => fetch(`${host.address}/fetch`, { method: "POST", body: JSON.stringify(asked) });

    test("the answer of a server outside comes as a message", async () => {
      const watch = driver(host.address);
      await watch.open("watcher", { path: "/fetches", subprotocols: [], headers: {}, user: undefined });
      const told = async (/** @type {Record<string, unknown>} */ asked) => {
        const answer = await ask(asked);
        assert.deepEqual([answer.status, await answer.text()], [200, "asked\n"]);
        const received = await watch.receive("watcher");
        assert.ok("frame" in received);
        return JSON.parse(String(received.frame));
      };
      const value = { id: 7, large: 2 ** 40 };
      const echo = { method: "POST", json: { text: "ä" }, value, idempotencyKey: "echo", retries: 3 };
      assert.deepEqual(await told({ url: server.url("/echo"), ...echo }), {
        value,
        attempts: 1,
        status: 200,
        type: "text/plain",
        text: '{"text":"ä"}',
      });
      const [asked] = server.asked;
      assert.equal(asked?.line, "POST /echo");
      for (const [name, field] of [
        ["content-type", "application/json"],
        ["idempotency-key", "echo"],
        ["x-mine", "yes"],
        ["x-bytes", "\u00ff"],
      ]) {
        assert.equal(asked.headers[name], field);
      }
      const missing = await told({ url: server.url("/missing") });
      assert.deepEqual([missing.status, missing.value], [404, null]);
      const busy = await told({ url: server.url("/busy"), retries: 2 });
      assert.deepEqual([busy.status, busy.attempts], [200, 2]);
      const closes = await told({ url: server.url("/closes") });
      assert.match(closes.failure, /^broken: /);
      await watch.reset();
    });

    test("a request is refused in the run with the fix", async () => {
      const other = await outside();
      const grant = /to \[modules\.NAME\.grants\] http \(modules\.fetching\.grants\.http\)\n$/;
      try {
        for (const [asked, begin, fix] of /** @type {const} */ ([
          [{ url: other.url("/") }, "forbidden: ", grant],
          [{ url: other.url("/") }, "forbidden: ", new RegExp(`add "http://${other.address}" to`)],
          [{ url: "https://api.example/" }, "forbidden: ", grant],
          [{ url: server.url("/"), retries: 11 }, "invalid: ", /made again 10 times at most/],
          [{ url: server.url("/"), method: "CONNECT" }, "invalid: ", /"CONNECT" is not a method/],
          [{ url: server.url("/"), then: "other.work" }, "forbidden: ", /declare a consumer of it/],
          [{ url: server.url("/"), then: 7 }, "undefined: ", /`then` of fetch is the number 7/],
        ])) {
          const answer = await ask(asked);
          const text = await answer.text();
          assert.equal(answer.status, 400, text);
          assert.ok(text.startsWith(begin), text);
          assert.match(text, fix);
        }
        assert.deepEqual(other.asked, []);
      } finally {
        await other.stop();
      }
    });

    test("a token lets its user in until it ends", async () => {
      const ada = { id: "ada", claims: { role: "admin", large: 2 ** 40 } };
      const me = (/** @type {number} */ seconds) =>
        fetch(`${host.address}/users/me`, {
          headers: { authorization: `Bearer ${token(ada, seconds)}` },
        });
      assert.equal((await me(-3600)).status, 401);
      const answer = await me(3600);
      assert.equal(answer.status, 200);
      const { id, claims, expires } = /** @type {any} */ (await answer.json());
      assert.deepEqual([id, claims.role, claims.large], ["ada", "admin", 2 ** 40]);
      const left = Date.parse(expires) - Date.now();
      assert.ok(left > 3_000_000 && left <= 3_600_000, expires);
    });

    test("a run waits for a server outside", async () => {
      /** @param {Record<string, unknown>} asked @returns {Promise<any>} */
      const asks = async (asked) =>
        (await fetch(`${host.address}/fetch-now`, { method: "POST", body: JSON.stringify(asked) })).json();
      const large = "ä".repeat(10_000);
      assert.deepEqual(
        await asks({ url: server.url("/echo"), method: "POST", json: large, idempotencyKey: "now" }),
        { status: 200, type: "text/plain", text: JSON.stringify(large) },
      );
      const asked = server.asked.find(({ headers }) => headers["idempotency-key"] === "now");
      assert.equal(asked?.headers["x-mine"], "yes");
      assert.equal(asked?.headers["content-type"], "application/json");
      assert.deepEqual(await asks({ url: server.url("/missing?a=b#c") }), {
        status: 200,
        type: "text/plain",
        text: "GET /missing?a=b",
      });
      assert.deepEqual(await asks({ url: `http://${server.address}` }), {
        status: 200,
        type: "text/plain",
        text: "GET /",
      });
      const broken = await asks({ url: server.url("/closes") });
      assert.equal(broken.reason, "broken", JSON.stringify(broken));
      const refused = await asks({ url: "http://10.0.0.1/" });
      assert.equal(refused.reason, "refused");
      assert.match(refused.text, /add "http:\/\/10\.0\.0\.1" to \[modules\.NAME\.grants\] http/);
      for (const url of ["nowhere", "ftp://example.com/", "http:///"])
        assert.match((await asks({ url })).reason, /invalid|refused/, url);
    });

    test("a module whose runs wait for servers is refused without a grant, with the line to add", async () => {
      const module = join(folder, "fetching.wasm");
      await assert.rejects(
        serve({ ungranted: module }),
        /wasi:http\/outgoing-handler[^]*modules\.NAME\.grants\.http = \[/,
      );
    });

    test("fresh instances differ in what is random", async () => {
      const drawn = await Promise.all([1, 2, 3].map(() => getJson("/random")));
      for (const key of ["random", "uuid", "bytes"]) {
        assert.equal(new Set(drawn.map((it) => String(it[key]))).size, 3, key);
      }
      for (const { calls, random, uuid } of drawn) {
        assert.equal(calls, 1);
        assert.ok(random >= 0 && random < 1);
        assert.match(uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      }
    });

    test("the clock goes on", async () => {
      const before = Date.now();
      const { date, now } = await getJson("/clock");
      assert.ok(date >= before - 1 && date <= Date.now() + 1);
      assert.ok(now >= before - 1 && now <= Date.now() + 1);
    });

    test("a thrown error is the fault, and its stack is in the log line by line", async () => {
      assert.equal((await get("/throw")).status, 500);
      await host.logged("TypeError: the tide is out (at tests/surface.js:");
      await host.logged("error     at inner (tests/surface.js:");
      await host.logged("error caused by RangeError: low water");
    });

    test("a rejected promise is the fault", async () => {
      assert.equal((await get("/reject")).status, 500);
      await host.logged("the consumer failed: Error: awaited in vain (at tests/surface.js:");
    });

    test("a promise that never settles is a fault that says so", async () => {
      assert.equal((await get("/never")).status, 500);
      await host.logged("the consumer waits for a promise that never settles");
    });

    test("jobs run before the consumer is over, and their errors are its own", async () => {
      assert.equal((await get("/job")).status, 500);
      await host.logged("the consumer failed: Error: in a job (at tests/surface.js:");
    });

    test("a print of megabytes is a line, and prints without end are a fault that says so", async () => {
      const large = await get("/large-print");
      assert.deepEqual([large.status, await large.text()], [200, "printed"]);
      assert.equal((await get("/many-prints")).status, 500);
      await host.logged("limits.host_calls allows 10000 module=surface");
    });

    test("an error with a text of megabytes is a fault", async () => {
      assert.equal((await get("/many-words")).status, 500);
      // The log writes the ends of lines as two characters.
      await host.logged("the consumer failed: Error: line\\nline\\n");
    });

    test("a recursion and a loop end as the fault that they are", async () => {
      assert.equal((await get("/recursion")).status, 500);
      await host.logged("the call stack overflowed; look for a recursion without end module=surface");
      assert.equal((await get("/loop")).status, 500);
      await host.logged('consumer=loop');
    });

    test("an exception in connect, receive or disconnect is the fault of that event", async () => {
      const sockets = driver(host.address);
      const open = (/** @type {string} */ when) =>
        sockets.open(when, { path: `/fragile/${when}`, subprotocols: [], headers: {}, user: undefined });
      assert.deepEqual(await open("connect"), { denied: 500 });
      await open("receive");
      await sockets.send("receive", "x");
      const received = await sockets.receive("receive");
      assert.ok("close" in received);
      assert.equal(received.close.code, 1011);
      await open("disconnect");
      await sockets.close("disconnect", 1000);
      for (const when of ["connect", "receive", "disconnect"])
        await host.logged(`the consumer failed: Error: broken in ${when} (at tests/surface.js:`);
      await sockets.reset();
    });

    test("console writes into the log", async () => {
      assert.equal((await get("/console")).status, 200);
      await host.logged("info the level is { metres: 3 }");
      await host.logged("warn second line");
    });
  },
);
