/** Groups that are remembered: what members are sent from a position on, what is gone, and what is refused. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Close, Frame, app, channel, http, websocket } from "@tidegate/sdk";
import { TestHost } from "@tidegate/sdk/testing";

import { declarations } from "../src/component/declarations.js";
import { unpack } from "../src/content.js";
import { History } from "../src/history.js";
import remembering from "./remembering.js";

/** @typedef {import("@tidegate/sdk/testing").TestSocket} TestSocket */

const host = () => new TestHost(remembering, { module: "remembering" });
const group = "remembering.room.a";
const position = (/** @type {number} */ offset, epoch = 1) => `${`${epoch}`.padStart(16, "0")}-${offset}`;

/** All that a client has been sent. @param {TestSocket} socket */
function taken(socket) {
  const messages = [];
  for (let message = socket.receive(); message !== undefined; message = socket.receive())
    messages.push(typeof message === "string" && message.startsWith("{") ? JSON.parse(message) : message);
  return messages;
}

/** @param {number} offset @param {boolean} [complete] */
const from = (offset, complete = true) => ({ tidegate: "from", group, position: position(offset), complete });
/** @param {number} offset @param {string} text */
const message = (offset, text) => ({ tidegate: "message", group, position: position(offset), text });

/** @param {TestHost} it @param {...string} texts */
async function say(it, ...texts) {
  for (const text of texts) await it.request("POST", `/remembering/say/a/${text}`);
}

/** @param {TestHost} it @param {string} query @param {object} [join] */
async function joined(it, query, join = {}) {
  const socket = await it.websocket(`/remembering/room/a${query}`);
  await socket.sendJson({ join });
  return socket;
}

test("who joins is told from where on, and gets what comes with positions", async () => {
  const it = host();
  const ada = await joined(it, "");
  const plain = await it.websocket("/remembering/plain/a");
  await say(it, "ahoy");
  await ada.sendJson({ say: { bytes: [1, 255] } });
  assert.deepEqual(taken(ada), [
    from(0),
    message(1, "ahoy"),
    { tidegate: "message", group, position: position(2), base64: "Af8=" },
  ]);
  assert.deepEqual(taken(plain), ["ahoy", Uint8Array.of(1, 255)]);
  // Whoever sees positions already stays as it is.
  await ada.sendJson({ join: { latest: 3 } });
  assert.deepEqual(taken(ada), []);
  await ada.sendJson({ call: "groupDiscard", args: ["room.a"] });
  await say(it, "unheard");
  assert.deepEqual(taken(ada), [{ returned: null }]);
});

test("who comes back gets all that is behind its position, once", async () => {
  const it = host();
  await say(it, "one", "two", "three");
  const after = `?after=other.room:nowhere&after=${group}:${position(1)}&after=alone`;
  assert.deepEqual(taken(await joined(it, after, { latest: 3 })), [
    from(1),
    message(2, "two"),
    message(3, "three"),
  ]);
  assert.deepEqual(taken(await joined(it, `?after=${position(3)}`)), [from(3)]);
  assert.deepEqual(taken(await joined(it, "", { latest: 2 })), [from(1), message(2, "two"), message(3, "three")]);
  assert.deepEqual(taken(await joined(it, "")), [from(3)]);
});

test("who has missed what is gone is told so, and gets the latest", async () => {
  const it = host();
  await say(it, "one", "two", "three", "four", "five");
  for (const gone of [position(1), position(6), position(3, 2), `${position(3)}x`, "nowhere", "", "-3"])
    assert.deepEqual(taken(await joined(it, `?after=${group}:${gone}`)), [from(5, false)], gone);
  const latest = taken(await joined(it, `?after=${position(1)}`, { latest: 2 }));
  assert.deepEqual(latest, [from(3, false), message(4, "four"), message(5, "five")]);
  assert.deepEqual(taken(await joined(it, `?after=${position(2)}`)).length, 4);
  await it.advance(60_000);
  assert.deepEqual(taken(await joined(it, `?after=${position(4)}`)), [from(5, false)]);
  assert.deepEqual(taken(await joined(it, `?after=${position(5)}`)), [from(5)]);
});

test("an end is for those who are there, and nobody who comes later is ended", async () => {
  const room = websocket("/", {
    history: "room",
    incoming: "text",
    receive(socket, text) {
      if (text === "join") socket.groupJoin("room", { after: socket.lastPosition("room") });
      else socket.groupSend("room", text === "end" ? new Close(4001) : Frame.text(text));
    },
  });
  const it = new TestHost(app({ room }));
  const ada = await it.websocket("/");
  for (const text of ["join", "ahoy", "end"]) await ada.send(text);
  const [, { position }] = taken(ada);
  assert.equal(ada.closed?.code, 4001);
  const again = await it.websocket(`/?after=${position}`);
  await again.send("join");
  assert.deepEqual([taken(again).map((it) => it.complete), again.closed], [[true], undefined]);
});

test("a history that is forgotten begins anew, and who comes back is told of a gap", async () => {
  const it = host();
  await say(it, "one", "two");
  it.forget("room.a");
  await say(it, "three");
  const [place, ...messages] = taken(await joined(it, `?after=${group}:${position(1)}`));
  assert.deepEqual([place.complete, place.position, messages], [false, position(1, 2), []]);
});

test("a join sends 256 KiB, and what is more counts as gone", async () => {
  const room = websocket("/", {
    history: { "*": { bytes: 2 ** 20 } },
    incoming: "text",
    receive: (socket, after) => socket.groupJoin("room", { after, latest: 2 }),
  });
  const fill = http("POST /fill", (_, cx) => {
    for (let i = 0; i < 3; i++) cx.groupSend("room", Frame.text(`${i}`.repeat(100_000)));
    return "";
  });
  const it = new TestHost(app({ room, fill }));
  await it.request("POST", "/fill");
  const socket = await it.websocket("/");
  await socket.send(position(0));
  assert.deepEqual(
    taken(socket).map((it) => [it.tidegate, it.complete, it.text?.[0]]),
    [["from", false, undefined], ["message", undefined, "1"], ["message", undefined, "2"]],
  );
});

test("a handshake may join: what it has missed comes when it is accepted", async () => {
  const room = websocket("/{name}", {
    history: "room",
    connect(socket) {
      if (socket.params.name === "eve") return false;
      socket.groupJoin("room", { latest: 10 });
      socket.groupSend("room", Frame.text(`${socket.params.name} comes`));
    },
  });
  const it = new TestHost(app({ room }), { module: "handshake" });
  await it.websocket("/ada");
  const bob = await it.websocket("/bob");
  assert.deepEqual(taken(bob).map((it) => it.text), [undefined, "ada comes", "bob comes"]);
  await assert.rejects(it.websocket("/eve"), { status: 403 });
  await bob.close();
  assert.equal(it.group("room").length, 1);
});

test("a history is read in pages", async () => {
  const it = host();
  const page = async (query = "") => (await it.get(`/remembering/page/a${query}`)).json();
  const empty = { messages: [], position: position(0), isComplete: true, hasMore: false };
  assert.deepEqual(await page(), empty);
  await say(it, "one", "two", "three", "four");
  const sent = (/** @type {number} */ at, /** @type {string} */ text) => ({
    position: position(at),
    message: { type: "websocket.send", text },
  });
  assert.deepEqual(await page(), {
    ...empty,
    messages: [sent(3, "three"), sent(4, "four")],
    position: position(4),
  });
  const behind = await page(`?behind=${position(2)}`);
  assert.deepEqual(behind.messages, [sent(3, "three"), sent(4, "four")]);
  const gone = await page(`?behind=${position(0)}`);
  assert.deepEqual(gone, { ...empty, position: position(4), isComplete: false });
  const socket = await it.websocket("/remembering/room/a");
  await socket.sendJson({ call: "after", args: ["room.a", position(1), 2] });
  const { returned } = socket.receiveJson();
  assert.deepEqual([returned.messages.length, returned.position, returned.hasMore], [2, position(3), true]);
});

test("a message that cannot be read leaves the others alone", () => {
  // `{ a: 1 }`, and the same with the key `__proto__`, which a module in another language may send.
  const contents = ["81a16101", "81a95f5f70726f746f5f5f01"].map((hex) => Buffer.from(hex, "hex"));
  const messages = contents.map((content, at) => ({ position: position(at + 1), content }));
  const page = { messages, position: position(2), complete: true, more: false };
  const read = new History({ read: () => page, join() {} }, group).latest();
  assert.deepEqual(read.messages[0]?.message, { a: 1 });
  assert.throws(() => read.messages[1]?.message, /The key __proto__ is not allowed/);
});

test("a stream of events has positions as ids, and a gap as an event", async () => {
  const it = host();
  const stream = await it.get("/remembering/stream");
  await it.request("POST", "/remembering/event/one");
  await it.request("POST", "/remembering/event/two");
  const ids = (/** @type {number[]} */ ...at) => at.map((offset) => `id: ${position(offset)}\n`);
  const [start, one, two] = ids(0, 1, 2);
  assert.equal(stream.text(), `${start}\n${one}data: one\n\n${two}data: two\n\n`);
  const headers = { "last-event-id": position(1) };
  const again = await it.get("/remembering/stream", { headers });
  assert.equal(again.text(), `${one}\n${two}data: two\n\n`);
  const lost = await it.get("/remembering/stream?after=nowhere");
  const gap = `event: tidegate-gap\n${one}data: remembering.stream\n\n`;
  assert.equal(lost.text(), `${gap}${two}data: two\n\n`);
  await it.request("POST", "/remembering/end");
  assert.equal(stream.isPending, false);
});

test("a held request has its position in the response", async () => {
  const it = host();
  const held = await it.get("/remembering/held");
  await it.request("POST", "/remembering/answer/one");
  assert.deepEqual([held.text(), held.header("tidegate-position")], ["one", position(1)]);
  await it.request("POST", "/remembering/answer/two");
  const next = await it.get(`/remembering/held?after=${position(1)}`);
  assert.deepEqual([next.text(), next.header("tidegate-position")], ["two", position(2)]);
  assert.equal(next.header("tidegate-complete"), undefined);
  const gone = await it.get("/remembering/held?after=nowhere");
  assert.deepEqual([gone.status, gone.text()], [204, ""]);
  const said = ["tidegate-position", "tidegate-complete"].map((name) => gone.header(name));
  assert.deepEqual(said, [position(2), "false"]);
  const patient = await it.get(`/remembering/held?after=${position(2)}`);
  await it.advance(60_000);
  assert.deepEqual([patient.status, patient.header("tidegate-position")], [204, position(2)]);
});

test("the most exact pattern counts", async () => {
  const rooms = websocket("/", {
    history: { "*": { messages: 1 }, "room.*": { messages: 2 }, "room.a": { messages: 3 } },
  });
  const fill = http("POST /{group}", ({ params: { group } }, cx) => {
    for (let i = 0; i < 5; i++) cx.groupSend(group, Frame.text(`${i}`));
    cx.flush();
    return String(cx.history(group).latest().messages.length);
  });
  const it = new TestHost(app({ rooms, fill }));
  for (const [group, kept] of [["other", "1"], ["room.b", "2"], ["room.a", "3"], ["room.a.b", "2"]])
    assert.equal((await it.request("POST", `/${group}`)).text(), kept, group);
});

test("what a run that fails asked for is not done, and what it sent is not remembered", async () => {
  const room = websocket("/", {
    history: "room",
    receive(socket) {
      socket.groupJoin("room");
      socket.groupSend("room", Frame.text("lost"));
      throw new Error("on purpose");
    },
  });
  const count = http("GET /count", (_, cx) => {
    cx.groupSend("room", Frame.text("kept"));
    return String(cx.history("room").latest().messages.length);
  });
  const it = new TestHost(app({ room, count }));
  const socket = await it.websocket("/");
  await socket.send("?");
  assert.deepEqual([socket.receive(), socket.closed?.code], [undefined, 1011]);
  // Nor is what a run has sent there before it goes out.
  assert.equal((await it.get("/count")).text(), "0");
  assert.equal((await it.get("/count")).text(), "1");
});

test("a message on a channel has no connection that could join, and says no position", async () => {
  const it = host();
  await it.send("remembering.work", {});
  assert.match(it.faults[0]?.text ?? "", /^HistoryError: a message on a channel has no connection of its own that could join/);
  const asks = channel("asks", (_, cx) => cx.info(String(cx.lastPosition("room"))));
  const other = new TestHost(app({ asks }));
  await other.send("asks", {});
  assert.equal(other.logs[0]?.text, "undefined");
});

/** @type {[call: string, args: unknown[], threw: string, message: RegExp][]} */
const refused = [
  ["groupJoin", ["other"], "invalid", /^group remembering\.other is not remembered; a consumer of its module declares that it is, by the option history/],
  ["groupJoin", [{ full: "foreign.room" }], "forbidden", /^group foreign\.room is not under remembering\./],
  ["groupJoin", ["no spaces"], "invalid", /' ' is not one of a-z/],
  ["groupJoin", [7], "TypeError", /^the name of a group is the number 7: give text$/],
  ["groupJoin", ["room.a", 7], "TypeError", /^the options of groupJoin are the number 7: give an object$/],
  ["groupJoin", ["room.a", { since: "x" }], "TypeError", /^groupJoin has no option `since`; there are after, latest$/],
  ["groupJoin", ["room.a", { after: 7 }], "TypeError", /^the option `after` of groupJoin is the number 7: give text$/],
  ["groupJoin", ["room.a", { latest: "5" }], "TypeError", /^the option `latest` of groupJoin is text: give a number$/],
  ["groupJoin", ["room.a", { latest: -1 }], "RangeError", /give a whole number from 0 to 1000$/],
  ["groupJoin", ["room.a", { latest: 1001 }], "RangeError", /give a whole number from 0 to 1000$/],
  ["latest", ["other"], "invalid", /is not remembered/],
  ["latest", [{ full: "foreign.room" }], "forbidden", /is not under remembering\./],
  ["latest", ["room.a", 0], "RangeError", /^the limit of latest is 0: give a whole number from 1 to 1000$/],
  ["latest", ["room.a", 1.5], "RangeError", /^the limit of latest is 1\.5/],
  ["after", ["room.a", null], "TypeError", /^the position of after is null: give text$/],
  ["after", ["room.a", "x", 1001], "RangeError", /^the limit of after is 1001/],
  ["history", [null], "TypeError", /^the name of a group is null: give text$/],
  ["lastPosition", [7], "TypeError", /^the name of a group is the number 7: give text$/],
];

for (const [call, args, threw, words] of refused) {
  test(`refused: ${call}(${JSON.stringify(args).slice(1, -1)})`, async () => {
    const socket = await host().websocket("/remembering/room/a");
    await socket.sendJson({ call, args });
    const answer = socket.receiveJson();
    assert.equal(answer.code ?? answer.threw, threw, JSON.stringify(answer));
    if (answer.code) assert.equal(answer.threw, "HistoryError");
    assert.match(answer.message, words);
  });
}

test("what is declared has each number with what holds without it", () => {
  const { room, stream, plain } = /** @type {any} */ (unpack(declarations(remembering).declare()));
  assert.deepEqual(room, { history: { "room.*": { messages: 3, age: 60, bytes: 262_144 } } });
  const usual = { messages: 100, age: 3600, bytes: 262_144 };
  assert.deepEqual([stream, plain], [{ history: { stream: usual, held: usual } }, undefined]);
  const schedule = { expression: "@daily" };
  const daily = channel("daily", { schedule, history: { a: { age: 1000.5 } } }, () => {});
  assert.deepEqual(unpack(declarations(app({ daily })).declare()), {
    daily: {
      schedule: { expression: "@daily", zone: "UTC", missed: "once" },
      history: { a: { ...usual, age: 2 } },
    },
  });
});

/** @type {[history: unknown, words: RegExp][]} */
const undeclared = [
  [true, /^http\("GET \/a"\): history is the boolean true: give names of groups, such as "room\.\*", or \{ "room\.\*": \{ messages/],
  [null, /history is null: give/],
  [{}, /history names 0 groups: give 1 to 32 names/],
  [[], /history names 0 groups/],
  [Object.fromEntries([...Array(33).keys()].map((at) => [`g${at}`, {}])), /names 33 groups/],
  ["room*", /history names "room\*": give the name of a group/],
  [{ "no spaces": {} }, /names "no spaces"/],
  [["a", 7], /names the number 7/],
  [{ a: 100 }, /history of "a": its options are the number 100: give an object/],
  [{ a: { message: 1 } }, /history of "a": there is no option `message`; there are messages, age, bytes/],
  [{ a: { messages: 0 } }, /history of "a": messages is 0: give a whole number from 1 to 10000/],
  [{ a: { messages: 10_001 } }, /messages is 10001/],
  [{ a: { age: "24h" } }, /history of "a": age is text: give a number of milliseconds/],
  [{ a: { age: 999 } }, /age is 999: give milliseconds from 1000 to 2592000000, a second to 30 days/],
  [{ a: { age: 2_592_000_001 } }, /age is 2592000001: give milliseconds/],
  [{ a: { bytes: 1023 } }, /bytes is 1023: give a whole number from 1024 to 16777216/],
  [{ a: { bytes: "1MiB" } }, /bytes is text: give a number/],
];

for (const [history, words] of undeclared) {
  test(`refused: history ${JSON.stringify(history).slice(0, 60)}`, () => {
    const wrong = /** @type {any} */ (http);
    assert.throws(() => wrong("GET /a", { history }, () => ""), { message: words });
  });
}

test("a pattern is declared once", () => {
  const one = http("GET /one", { history: ["room.*", "a"] }, () => "");
  const two = channel("two", { history: { "room.*": {} } }, () => {});
  assert.throws(
    () => app({ one, two }),
    /^DeclarationError: consumers `one` and `two` both have "room\.\*" in their history: say it once$/,
  );
});
