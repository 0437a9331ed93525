/** Connections that the host keeps for clients that were lost. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { app, channel, guarded, http, websocket } from "@tidegate/sdk";
import { TestHost } from "@tidegate/sdk/testing";

import { checkWorld, declarations } from "../src/component/declarations.js";
import { unpack } from "../src/content.js";

const chat = websocket("/chat", { resume: 120_000, disconnect: (socket) => socket.info("left") });
const plain = websocket("/plain", {});

/** @param {import("@tidegate/sdk").App} of */
const declared = (of) => unpack(declarations(of).declare());

test("what is declared has milliseconds", () => {
  const bytes = Buffer.from(declarations(app({ chat, plain })).declare());
  assert.equal(bytes.toString("latin1"), "\x81\xa4chat\x81\xa6resume\xce\x00\x01\xd4\xc0");
  for (const resume of [1000, 1500, 600_000])
    assert.deepEqual(declared(app({ a: websocket("/a", { resume }) })), { a: { resume } });
});

test("it stands beside other declarations", () => {
  const room = websocket("/room", { resume: 5000, presence: "room.*" });
  const found = /** @type {any} */ (declared(app({ "/app": guarded({ user: "required" }, { room }) })));
  assert.deepEqual([found.room.resume, found.room.user, found.room.presence.groups], [5000, "required", ["room.*"]]);
});

test("a module with it exports declarations", () => {
  checkWorld(app({ chat }), ["declaring"]);
  checkWorld(app({ plain }), []);
  assert.throws(() => checkWorld(app({ chat, plain }), []), /needs: declaring$/);
  assert.throws(() => checkWorld(app({ plain }), ["declaring"]), /needs: nothing$/);
});

test("a test host ends a connection at once", async () => {
  const host = new TestHost(app({ chat }));
  await (await host.websocket("/chat")).drop();
  assert.deepEqual(host.logs.map(({ text }) => text), ["left"]);
});

/** @type {[resume: unknown, message: RegExp][]} */
const refused = [
  [999, /^websocket\("\/a"\): resume, in milliseconds, is 999: give a whole number from 1000 to 600000$/],
  [600_001, /resume, in milliseconds, is 600001: give a whole number from 1000 to 600000/],
  [1500.5, /is 1500\.5: give a whole number/],
  [-1, /is -1: give a whole number/],
  [Infinity, /is Infinity: give a whole number/],
  ["2m", /^websocket\("\/a"\): resume, in milliseconds, is text: give a number$/],
  [true, /is the boolean true: give a number/],
  [null, /is null: give a number/],
  [120_000n, /give a number/],
];

for (const [resume, message] of refused) {
  test(`refused: resume ${String(resume)}`, () => {
    assert.throws(() => websocket("/a", /** @type {any} */ ({ resume })), { message });
  });
}

test("only a consumer of WebSockets has it", () => {
  /** @type {any} */
  const wrong = { http, channel };
  const message =
    /^(http\("GET \/a"\)|channel\("a"\)): resume is for connections that stay open: give it to a consumer of WebSockets, as in websocket\("\/chat", \{ resume: 120_000 \}\)$/;
  assert.throws(() => wrong.http("GET /a", { resume: 5000 }, () => ""), { message });
  assert.throws(() => wrong.channel("a", { resume: 5000 }, () => {}), { message });
});
