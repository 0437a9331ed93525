import assert from "node:assert/strict";
import { test } from "node:test";

import { offered } from "../src/token.js";
import { cases } from "./cases.js";
import { World } from "./world.js";

/** Lets promises settle: the answer to a question for a token is one. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A source of tokens that notes how it was asked. */
function source(...answers) {
  const asked = [];
  const token = (how) => {
    asked.push(how.fresh);
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    return typeof answer === "function" ? answer() : answer;
  };
  return { asked, token };
}

/** A source that throws. */
const fails = () => {
  throw new Error("not signed in");
};

test("tokens are entries of the subprotocols, beside those of the application", () => {
  const { cases: rows, wrong_tokens: wrong } = cases("protocols");
  for (const { protocols, token, resume, offered: expected } of rows) {
    assert.deepEqual(offered(protocols, token, resume ?? undefined), expected);
  }
  for (const token of wrong) assert.throws(() => offered([], token), TypeError, String(token));
});

test("a token is asked for before the socket opens", async () => {
  for (const [protocols, expected] of [
    [undefined, ["tidegate", "tidegate.token.a.b-c_d"]],
    ["chat", ["chat", "tidegate.token.a.b-c_d"]],
  ]) {
    const world = new World();
    world.connect({ protocols, token: () => Promise.resolve("a.b-c_d") });
    assert.equal(world.sockets.length, 0, "not before there is one");
    await settled();
    assert.deepEqual(world.last.protocols, expected);
    assert.equal(world.last.url, "ws://host/path", "the address tells nothing");
  }
});

test("without a token it opens as ever", async () => {
  for (const none of [null, undefined]) {
    const world = new World();
    world.connect({ protocols: ["chat"], token: () => none });
    await settled();
    assert.deepEqual(world.last.protocols, ["chat"]);
  }
});

test("at 4401 it comes back with a fresh one, and what was sent meanwhile keeps its place", async () => {
  const world = new World();
  const { asked, token } = source("one", "two");
  const socket = world.connect({ queueMessages: 10, token });
  socket.addEventListener("open", () => socket.send("join"));
  await settled();
  world.last.open();
  world.pass(60_000);
  socket.send("before");
  world.last.end(4401, "the token has expired");
  assert.equal(socket.state, "waiting");
  socket.send("first");
  const { delay, code } = world.event("reconnecting");
  assert.deepEqual([delay, code], [500, 4401]);
  world.pass(delay);
  socket.send("second");
  await settled();
  assert.deepEqual(asked, [false, true]);
  assert.deepEqual(world.last.protocols, ["tidegate", "tidegate.token.two"]);
  socket.send("third");
  world.last.open();
  assert.deepEqual(world.last.sent, ["join", "first", "second", "third"]);
  assert.ok(!world.types.includes("end"));
});

test("without the option 4401 ends it, and 4429 always does", async () => {
  for (const [options, code] of [
    [{}, 4401],
    [{}, 4429],
    [{ token: () => "a" }, 4429],
  ]) {
    const world = new World();
    const socket = world.connect(options);
    await settled();
    world.last.open();
    world.last.end(code);
    assert.equal(socket.state, "closed", `${code}`);
  }
});

test("a fresh token is asked for after a handshake that failed, and not after a drain", async () => {
  const world = new World();
  const { asked, token } = source("a");
  world.connect({ token });
  await settled();
  const again = async () => {
    world.pass(world.event("reconnecting").delay);
    await settled();
  };
  world.last.end(1006);
  await again();
  world.last.open();
  world.pass(60_000);
  world.last.end(1001);
  await again();
  world.last.open();
  world.last.end(4401);
  await again();
  world.last.end(1006);
  await again();
  assert.deepEqual(asked, [false, true, false, true, true]);
});

test("a host that takes no token is asked with growing pauses", async () => {
  const world = new World();
  world.connect({ token: () => "expired" });
  const delays = [];
  for (let failures = 0; failures < 4; failures += 1) {
    await settled();
    world.last.open();
    world.last.end(4401);
    delays.push(world.event("reconnecting").delay);
    world.pass(delays.at(-1));
  }
  assert.deepEqual(delays, [500, 1000, 2000, 4000]);
});

test("a source that fails is an error and a failed attempt", async () => {
  for (const [answer, message] of [
    [fails, "not signed in"],
    [() => Promise.reject(new Error("no network")), "no network"],
    ["two words", "a token is a text of"],
    ["", "a token is a text of"],
    [7, "a token is a text of"],
  ]) {
    const world = new World();
    const socket = world.connect({ token: source(answer, "good").token });
    await settled();
    assert.match(world.event("error").error.message, new RegExp(message));
    assert.equal(world.sockets.length, 0);
    assert.equal(socket.state, "waiting");
    const { attempt, code, reason } = world.event("reconnecting");
    assert.deepEqual([attempt, code, reason], [1, 1006, "there is no token"]);
    world.pass(500);
    await settled();
    world.last.open();
    assert.equal(socket.state, "open");
    assert.ok(!world.types.includes("close"), "it was never open before");
  }
});

test("a source that takes too long has failed, and its answer is left aside", async () => {
  const world = new World();
  let late;
  world.connect({ openTimeout: 1000, token: () => new Promise((resolve) => (late = resolve)) });
  world.pass(1000);
  assert.match(world.event("error").error.message, /no token within 1000 ms/);
  late("too.late");
  await settled();
  assert.equal(world.sockets.length, 0);
});

test("closing while a token is asked for ends it at once", async () => {
  const world = new World();
  const socket = world.connect({ token: () => Promise.resolve("a") });
  socket.close(3000, "enough");
  const { code, reason } = world.event("end");
  assert.deepEqual([code, reason, socket.state], [3000, "enough", "closed"]);
  await settled();
  assert.equal(world.sockets.length, 0);
  assert.equal(world.timers.length, 0);
});

test("a page that is left while a token is asked for asks again when it is shown", async () => {
  const world = new World();
  const { asked, token } = source("a");
  const socket = world.connect({ token });
  world.page.leave();
  await settled();
  assert.equal(world.sockets.length, 0);
  assert.equal(socket.state, "waiting");
  world.pass(world.event("reconnecting").delay);
  await settled();
  assert.equal(world.sockets.length, 1);
  assert.equal(asked.length, 2);
});

test("a listener of error may close the socket", async () => {
  const world = new World();
  const socket = world.connect({ token: fails });
  socket.addEventListener("error", () => socket.close());
  await settled();
  assert.equal(socket.state, "closed");
  assert.ok(!world.types.includes("reconnecting"));
});

test("a token that is no function is refused at once", () => {
  assert.throws(() => new World().connect({ token: "a.b.c" }), /token is a function/);
});
