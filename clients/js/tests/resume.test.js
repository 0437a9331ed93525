import assert from "node:assert/strict";
import { test } from "node:test";

import { Resume } from "../src/resume.js";
import { cases } from "./cases.js";
import { World } from "./world.js";

const frame = (told) => JSON.stringify({ tidegate: "connection", received: 0, ...told });

/** Opens the latest WebSocket, whose first frame is the host's. */
function answer(world, told) {
  world.last.open();
  world.last.message(frame({ resumed: false, token: "t1", ...told }));
}

/** A socket on a connection that can be resumed. */
function open(options) {
  const world = new World();
  const socket = world.connect({ resume: true, ...options });
  answer(world);
  return { world, socket };
}

/** Ends the connection, and waits for the next attempt. */
function lose(world, code = 1006) {
  world.last.end(code);
  world.pass(world.event("reconnecting").delay);
}

/** How often the socket was open, and whether it went on where it had stopped. */
const opened = (world) => world.events.filter(({ type }) => type === "open").map(({ resumed }) => resumed);

/** The data of all messages. */
const heard = (world) => world.events.filter(({ type }) => type === "message").map(({ data }) => data);

function take(resume, step, where) {
  if ("offers" in step) assert.equal(resume.entry, step.offers, where);
  else if ("opens" in step) {
    assert.equal(resume.isAsking, step.opens !== null, where);
    const { resumed, again, lost } = resume.begin(step.opens ?? undefined);
    assert.deepEqual([resumed, lost], [step.resumed ?? false, step.lost ?? 0], where);
    if (step.againCount) assert.equal(again.length, step.againCount, where);
    else assert.deepEqual(again, step.again ?? [], where);
  } else if ("comes" in step) assert.equal(resume.takes(step.comes), step.own ?? false, where);
  else if ("sends" in step) {
    for (let times = 0; times < (step.times ?? 1); times += 1) resume.sends(step.sends);
  } else if ("silent" in step) resume.forget();
  else resume.ended(step.ends);
}

test("a client counts, asks and sends again as the host expects", () => {
  for (const { name, bytes = 65_536, steps } of cases("resume").cases) {
    const resume = new Resume(true, bytes);
    for (const [at, step] of steps.entries()) take(resume, step, `${name}, step ${at + 1}`);
  }
});

test("after a code of the host's own there is nothing to resume", () => {
  const { lost, over } = cases("resume").codes;
  for (const code of [...lost, ...over]) {
    const resume = new Resume(true, 100);
    resume.begin();
    resume.takes(frame({ resumed: false, token: "t" }));
    resume.ended(code);
    assert.equal(resume.isAsking, lost.includes(code), `${code}`);
  }
});

test("without the option nothing is offered, counted or kept", () => {
  const resume = new Resume(false, 100);
  assert.equal(resume.entry, undefined);
  resume.begin();
  assert.equal(resume.takes(frame({ resumed: false, token: "t" })), false);
  assert.equal(resume.isAsking, false);
  const world = new World();
  world.connect();
  assert.deepEqual(world.last.protocols, []);
  world.last.open();
  assert.deepEqual(opened(world), [false]);
});

test("the first connection opens at once, and the host's frame is no message", () => {
  const world = new World();
  const socket = world.connect({ resume: true, protocols: "chat" });
  assert.deepEqual(world.last.protocols, ["chat", "tidegate.resume"]);
  world.last.open();
  assert.deepEqual([world.types, socket.state], [["open"], "open"]);
  world.last.message(frame({ resumed: false, token: "t1" }));
  world.last.message("one");
  assert.deepEqual([opened(world), heard(world)], [[false], ["one"]]);
});

test("a connection that was lost goes on where it stopped", () => {
  const { world, socket } = open({ queueMessages: 5 });
  socket.addEventListener("open", ({ resumed }) => socket.send(resumed ? "back" : "join"));
  world.last.message("one");
  socket.send("read");
  socket.send("unread");
  lose(world);
  assert.deepEqual(world.last.protocols, ["tidegate", "tidegate.resume.t1.1"]);
  socket.send("queued");
  world.last.open();
  assert.deepEqual([opened(world), socket.state], [[false], "connecting"]);
  world.last.message(frame({ resumed: true, received: 1, token: "t2" }));
  assert.deepEqual([opened(world), socket.state], [[false, true], "open"]);
  assert.deepEqual(world.last.sent, ["unread", "back", "queued"]);
  world.last.message("two");
  assert.deepEqual(heard(world), ["one", "two"]);
  lose(world);
  assert.deepEqual(world.last.protocols, ["tidegate", "tidegate.resume.t2.2"]);
});

test("a connection that is over begins anew, and nothing is sent again", () => {
  const { world, socket } = open();
  socket.send("lost");
  lose(world);
  answer(world, { token: "t2" });
  assert.deepEqual([opened(world), world.last.sent, heard(world)], [[false, false], [], []]);
  world.last.message("one");
  lose(world);
  assert.deepEqual(world.last.protocols.at(-1), "tidegate.resume.t2.1");
});

test("an older host begins anew, and its first message is delivered after open", () => {
  const { world } = open();
  lose(world);
  world.last.open();
  world.last.message("hello");
  assert.deepEqual(world.types.slice(-2), ["open", "message"]);
  assert.deepEqual([opened(world), heard(world)], [[false, false], ["hello"]]);
  lose(world);
  assert.deepEqual(world.last.protocols, ["tidegate", "tidegate.resume"]);
});

test("a host that says nothing has not resumed", () => {
  const { world, socket } = open();
  lose(world);
  const silent = world.last;
  silent.open();
  world.pass(20_000);
  assert.deepEqual([silent.closed, socket.state], [[[1000]], "waiting"]);
  assert.equal(world.event("reconnecting").attempt, 2);
  world.pass(world.event("reconnecting").delay);
  assert.deepEqual(world.last.protocols, ["tidegate", "tidegate.resume"]);
});

test("an attempt that failed keeps the token", () => {
  const { world } = open();
  lose(world);
  lose(world);
  // A handshake without an answer.
  world.pass(20_000);
  world.pass(world.event("reconnecting").delay);
  assert.equal(world.last.protocols.at(-1), "tidegate.resume.t1.0");
  answer(world, { resumed: true });
  assert.deepEqual(opened(world), [false, true]);
});

test("a page that is left, and a drain, end the connection for good", () => {
  for (const end of [(world) => world.last.end(1001), (world) => world.page.leave()]) {
    const { world } = open();
    end(world);
    world.pass(world.event("reconnecting").delay);
    assert.equal(world.last.protocols.at(-1), "tidegate.resume");
  }
});

test("a connection on which nothing came is resumed", () => {
  const { world } = open({ idleTimeout: 1000 });
  world.pass(1000);
  world.pass(world.event("reconnecting").delay);
  assert.equal(world.last.protocols.at(-1), "tidegate.resume.t1.0");
});

test("an expired user comes back to the same connection with another token", async () => {
  const world = new World();
  const tokens = ["a", "b"];
  world.connect({ resume: true, token: () => tokens.shift() });
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  await settled();
  assert.deepEqual(world.last.protocols, ["tidegate", "tidegate.token.a", "tidegate.resume"]);
  answer(world);
  lose(world, 4401);
  await settled();
  assert.deepEqual(world.last.protocols, ["tidegate", "tidegate.token.b", "tidegate.resume.t1.0"]);
});

test("messages that were not kept are an error after open", () => {
  const { world, socket } = open({ queueBytes: 4, queueMessages: 1 });
  for (const data of ["1", "22", "333"]) socket.send(data);
  lose(world);
  socket.send("last");
  answer(world, { resumed: true, received: 0, token: "t2" });
  assert.deepEqual(world.types.slice(-2), ["open", "error"]);
  const { error } = world.event("error");
  assert.deepEqual([error.name, error.reason], ["SendError", "lost"]);
  assert.match(error.message, /2 messages/);
  assert.deepEqual(world.last.sent, ["333", "last"]);
});

test("bytes are sent again as they were, and positions go on", () => {
  const { world, socket } = open();
  const bytes = new Uint8Array([1, 2]);
  socket.send(bytes);
  bytes.fill(9);
  const message = { tidegate: "message", group: "m.a", position: "e-1", text: "one" };
  world.last.message(JSON.stringify(message));
  lose(world);
  assert.deepEqual(new URL(world.last.url).searchParams.getAll("after"), ["m.a:e-1"]);
  answer(world, { resumed: true });
  assert.deepEqual(world.last.sent, [new Uint8Array([1, 2])]);
});

test("a collection of members is current again as soon as the connection goes on", () => {
  const { world, socket } = open();
  const presence = socket.presence("m.g");
  const tell = (told) => world.last.message(JSON.stringify({ presence: { group: "m.g", ...told } }));
  tell({ version: 5, count: 1, members: { ada: {} } });
  lose(world);
  assert.equal(presence.current, false);
  answer(world, { resumed: true });
  assert.equal(presence.current, true);
  tell({ from: 5, version: 6, count: 2, joined: { bob: {} } });
  assert.deepEqual([...presence.members.keys()], ["ada", "bob"]);
  lose(world);
  answer(world);
  assert.equal(presence.current, false);
});

test("a listener may close the socket as it is resumed", () => {
  const { world, socket } = open();
  lose(world);
  socket.addEventListener("open", () => socket.close());
  answer(world, { resumed: true });
  world.last.end(1000);
  assert.equal(socket.state, "closed");
});

test("closing while the host has not said whether it resumes ends it at once", () => {
  const { world, socket } = open();
  lose(world);
  world.last.open();
  socket.close(4000, "bye");
  assert.deepEqual([socket.state, world.event("end").code], ["closed", 4000]);
  assert.deepEqual(world.timers, []);
});

/** Numbers from 0 to below 1, the same for a seed. */
function drawn(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test("after many cuts each message has arrived once and in order", () => {
  for (let seed = 1; seed <= 100; seed += 1) {
    const random = drawn(seed);
    const { world, socket } = open({ queueMessages: 1_000 });
    const host = { sent: 0, read: [], token: 1 };
    let said = 0;
    // How far this WebSocket is: messages that the client got, and that the host read.
    let [delivered, read] = [0, 0];
    const cut = () => {
      lose(world);
      const [, , token, count] = world.last.protocols.at(-1).split(".");
      assert.deepEqual([token, Number(count)], [`t${host.token}`, delivered], `seed ${seed}`);
      // Now and then the first frame does not arrive. The client has no other token to ask with.
      if (random() < 0.2) {
        world.last.open();
        return cut();
      }
      host.token += 1;
      answer(world, { resumed: true, received: host.read.length, token: `t${host.token}` });
      read = 0;
    };
    for (let step = 0; step < 400; step += 1) {
      const chance = random();
      if (chance < 0.3) socket.send(String(said++));
      else if (chance < 0.5) host.sent += 1;
      else if (chance < 0.7 && delivered < host.sent) world.last.message(`m${delivered++}`);
      else if (chance < 0.95 && read < world.last.sent.length) host.read.push(world.last.sent[read++]);
      else if (chance >= 0.95) cut();
    }
    cut();
    while (delivered < host.sent) world.last.message(`m${delivered++}`);
    host.read.push(...world.last.sent.slice(read));
    assert.deepEqual(host.read, Array.from({ length: said }, (_, n) => String(n)), `seed ${seed}`);
    assert.deepEqual(heard(world), Array.from({ length: host.sent }, (_, n) => `m${n}`), `seed ${seed}`);
    assert.ok(opened(world).slice(1).every((resumed) => resumed));
  }
});
