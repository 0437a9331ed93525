import assert from "node:assert/strict";
import { test } from "node:test";

import { World } from "./world.js";

/** A socket that is open, and has been for so long. */
function open(options, milliseconds = 0) {
  const world = new World();
  const socket = world.connect(options);
  world.last.open();
  world.pass(milliseconds);
  return { world, socket };
}

test("it connects again after pauses that grow, and joins again with open", () => {
  const { world, socket } = open({}, 5000);
  const delays = [];
  for (let failures = 1; failures <= 7; failures += 1) {
    world.last.end(1006);
    assert.equal(socket.state, "waiting");
    const { attempt, delay, code } = world.event("reconnecting");
    assert.deepEqual([attempt, code], [failures, 1006]);
    delays.push(delay);
    world.pass(delay - 1);
    assert.equal(world.sockets.length, failures);
    world.pass(1);
    assert.equal(world.sockets.length, failures + 1);
    assert.equal(socket.state, "connecting");
  }
  assert.deepEqual(delays, [500, 1000, 2000, 4000, 8000, 15000, 15000]);
  world.last.open();
  assert.equal(socket.state, "open");
  const closes = world.types.filter((type) => type === "close");
  assert.equal(closes.length, 1, "an attempt that failed was never open");
  assert.equal(world.types.at(-1), "open");
});

test("a connection that lasted begins anew, one that did not has failed", () => {
  const { world } = open({}, 4999);
  const attempt = (code) => {
    world.last.end(code);
    const event = world.event("reconnecting");
    world.pass(event.delay);
    world.last.open();
    return event.attempt;
  };
  // Opens and closes, again and again.
  assert.deepEqual([1006, 1001, 1011].map(attempt), [1, 2, 3]);
  world.pass(5000);
  assert.equal(attempt(1006), 1);
});

test("a code that ends it ends it", () => {
  for (const code of [1000, 1008, 1009, 3000, 4001, 4400]) {
    const { world, socket } = open();
    world.last.end(code, "why");
    assert.deepEqual(world.types, ["open", "close", "end"]);
    const { code: told, reason, unsent } = world.event("end");
    assert.deepEqual([told, reason, unsent], [code, "why", []]);
    assert.equal(socket.state, "closed");
    assert.ok(world.signal.aborted);
    world.page.wake();
    world.pass(1e9);
    assert.equal(world.sockets.length, 1);
  }
});

test("after a drain clients come back over a span, after 1013 later than after a fault", () => {
  const delay = (code, chance) => {
    const { world } = open({}, 60_000);
    world.chance = chance;
    world.last.end(code);
    return world.event("reconnecting").delay;
  };
  assert.deepEqual([delay(1001, 0), delay(1001, 0.5), delay(1001, 1)], [0, 2500, 5000]);
  assert.deepEqual([delay(1011, 0), delay(1011, 1)], [0, 1000]);
  assert.deepEqual([delay(1013, 0), delay(1013, 1)], [5000, 6000]);
});

test("the application may decide in place of the code", () => {
  const seen = [];
  const shouldReconnect = (ending) => {
    seen.push(ending);
    if (ending.code === 4001) return true;
    if (ending.code === 1013) return false;
    return undefined;
  };
  const { world, socket } = open({ shouldReconnect });
  world.last.end(4001, "again");
  assert.equal(world.event("reconnecting").delay, 500);
  assert.deepEqual(seen, [
    { code: 4001, reason: "again", wasClean: true, opened: true, attempt: 1 },
  ]);
  world.pass(500);
  world.last.end(1006);
  assert.equal(socket.state, "waiting");
  assert.deepEqual([seen[1].opened, seen[1].attempt], [false, 2]);
  world.pass(1000);
  world.last.open();
  world.last.end(1013);
  assert.equal(socket.state, "closed");
});

test("a decision that throws is an error event, and the code decides", () => {
  const shouldReconnect = () => {
    throw new Error("oops");
  };
  const { world, socket } = open({ shouldReconnect });
  world.last.end(1006);
  assert.equal(world.event("error").error.message, "oops");
  assert.equal(socket.state, "waiting");
});

test("a message that cannot go out is an error, not a loss", () => {
  const world = new World();
  const socket = world.connect();
  assert.throws(() => socket.send("early"), { name: "SendError", reason: "not-open" });
  world.last.open();
  socket.send("now");
  socket.sendJson({ a: 1 });
  assert.deepEqual(world.last.sent, ["now", '{"a":1}']);
  assert.throws(() => socket.send({}), TypeError);
  assert.throws(() => socket.sendJson(undefined), TypeError);
  // The server began to close: a WebSocket takes messages then, and throws them away.
  world.last.readyState = 2;
  assert.throws(() => socket.send("late"), { reason: "not-open" });
  world.last.end(4001);
  assert.throws(() => socket.send("too late"), { reason: "ended" });
});

test("a queue is sent after what open sends, once, and in order", () => {
  const world = new World();
  const socket = world.connect({ queueMessages: 2 });
  socket.addEventListener("open", () => socket.send("join"));
  socket.send("one");
  socket.send("two");
  assert.equal(socket.bufferedAmount, 6);
  assert.throws(() => socket.send("three"), { reason: "queue-full" });
  world.last.open();
  assert.deepEqual(world.last.sent, ["join", "one", "two"]);
  world.last.end(1006);
  world.pass(500);
  world.last.open();
  assert.deepEqual(world.last.sent, ["join"], "what went out is not sent again");
});

test("what still waits at the end is handed back", () => {
  const world = new World();
  const socket = world.connect({ queueMessages: 5 });
  socket.send("one");
  socket.addEventListener("open", () => socket.close());
  world.last.open();
  world.last.end(1000);
  assert.deepEqual(world.last.sent, []);
  assert.deepEqual(world.event("end").unsent, ["one"]);
});

test("the page may wake it, but not make it hammer, and not against 1013", () => {
  const { world, socket } = open({}, 5000);
  world.last.end(1006);
  for (let failures = 2; failures <= 8; failures += 1) {
    world.pass(world.event("reconnecting").delay);
    world.last.end(1006);
  }
  assert.equal(world.event("reconnecting").delay, 15000);
  world.page.wake();
  world.page.wake();
  world.pass(999);
  assert.equal(socket.state, "waiting");
  world.pass(1);
  assert.equal(socket.state, "connecting", "the first pause is kept, and no more");
  world.page.wake();
  world.last.open();
  world.page.wake();
  assert.equal(world.sockets.length, 9);
  world.pass(5000);
  world.last.end(1013);
  world.pass(2000);
  world.page.wake();
  world.pass(world.event("reconnecting").delay - 2001);
  assert.equal(socket.state, "waiting");
  world.pass(1);
  assert.equal(socket.state, "connecting");
});

test("without a network, and in a tab that nobody sees, it does not hurry", () => {
  const { world } = open({}, 5000);
  world.isOnline = false;
  world.last.end(1006);
  assert.equal(world.event("reconnecting").delay, 22_500);
  world.pass(2000);
  world.isOnline = true;
  world.page.wake();
  world.pass(0);
  assert.equal(world.sockets.length, 2, "at once when it is back");
  world.last.open();
  world.pass(5000);
  world.isHidden = true;
  world.last.end(1001);
  assert.equal(world.event("reconnecting").delay, 2500, "the first attempt is as ever");
  world.pass(2500);
  world.last.end(1006);
  assert.equal(world.event("reconnecting").delay, 22_500);
});

test("a page that is left closes its connection, and one that is shown again connects", () => {
  const { world, socket } = open({}, 5000);
  const left = world.last;
  world.page.leave();
  assert.deepEqual(left.closed, [[1000]]);
  assert.equal(world.event("close").code, 1001);
  assert.equal(socket.state, "waiting");
  world.page.leave();
  world.pass(1000);
  world.page.wake();
  world.pass(0);
  assert.equal(socket.state, "connecting");
});

test("a handshake without an answer has failed", () => {
  const world = new World();
  const socket = world.connect();
  const silent = world.last;
  world.pass(20_000);
  assert.deepEqual(silent.closed, [[1000]]);
  assert.deepEqual(world.types, ["reconnecting"]);
  assert.equal(world.event("reconnecting").code, 1006);
  assert.equal(socket.state, "waiting");
  silent.open();
  assert.equal(socket.state, "waiting", "it is not heard any more");
});

test("a connection on which nothing comes is dropped, one on which something comes is not", () => {
  const { world, socket } = open({ idleTimeout: 1000 });
  for (let times = 0; times < 5; times += 1) {
    world.pass(900);
    world.last.message("alive");
  }
  world.pass(999);
  assert.equal(socket.state, "open");
  const dead = world.last;
  world.pass(1);
  assert.deepEqual(dead.closed, [[4408]]);
  assert.equal(world.event("close").code, 1006);
  assert.equal(socket.state, "waiting");
  assert.equal(world.timers.length, 1);
});

test("it can be closed in every state, and stays closed", () => {
  const states = {
    connecting: () => {},
    open: (world) => world.last.open(),
    waiting: (world) => world.last.end(1006),
  };
  for (const [state, reach] of Object.entries(states)) {
    const world = new World();
    const socket = world.connect();
    reach(world);
    assert.equal(socket.state, state);
    socket.close(4000, "bye");
    if (state === "open") {
      assert.equal(socket.state, "closing");
      assert.throws(() => socket.send("x"), { reason: "ended" });
      assert.deepEqual(world.last.closed, [[4000, "bye"]]);
      world.last.end(4000, "bye");
    }
    socket.close();
    assert.equal(socket.state, "closed");
    const { code, reason } = world.event("end");
    assert.deepEqual([code, reason], [4000, "bye"], state);
    assert.equal(world.types.filter((type) => type === "end").length, 1);
    world.pass(1e9);
    assert.equal(world.sockets.length, 1);
    assert.deepEqual(world.timers, []);
  }
});

test("a listener may close it at any moment", () => {
  for (const type of ["open", "close", "reconnecting"]) {
    const world = new World();
    const socket = world.connect();
    socket.addEventListener(type, () => socket.close());
    world.last.open();
    world.last.end(1006);
    world.pass(1e9);
    assert.equal(socket.state, "closed", type);
    assert.equal(world.sockets.length, 1, type);
    assert.equal(world.types.filter((told) => told === "end").length, 1, type);
  }
});

test("a code or reason that may not be sent is refused", () => {
  const { socket } = open();
  for (const code of [0, 999, 1001, 1006, 2999, 5000, 3000.5, "1000", null]) {
    assert.throws(() => socket.close(code), RangeError, String(code));
  }
  assert.throws(() => socket.close(1000, "ä".repeat(62)), RangeError);
  assert.equal(socket.state, "open");
});

test("an address may be of a page or of a socket, and nothing else", () => {
  const url = (given) => new World().connect({}, given).url;
  assert.equal(url("https://host/a?b#c"), "wss://host/a?b");
  assert.equal(url(new URL("http://host")), "ws://host/");
  assert.equal(url("wss://host/"), "wss://host/");
  for (const wrong of ["ftp://host/", "javascript:alert(1)"]) {
    assert.throws(() => url(wrong), SyntaxError);
  }
  assert.throws(() => url("/relative"), TypeError);
});

test("messages arrive as they are", () => {
  const { world, socket } = open({ protocols: ["a", "b"] });
  assert.deepEqual(world.last.protocols, ["a", "b"]);
  assert.equal(world.last.binaryType, "arraybuffer");
  world.last.message("text");
  assert.equal(world.event("message").data, "text");
  world.last.protocol = "b";
  assert.equal(socket.protocol, "b");
});
