/** Who is in a group: what clients, channels and consumers are told, and what is refused. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Group, app, channel, http, websocket } from "@tidegate/sdk";
import { TestHost } from "@tidegate/sdk/testing";

import { declarations } from "../src/component/declarations.js";
import { unpack } from "../src/content.js";
import present from "./present.js";

/** @typedef {import("@tidegate/sdk/testing").TestSocket} TestSocket */

const host = () => new TestHost(present, { module: "present" });

/** What a client is told next. @param {TestSocket} socket */
const told = (socket) => socket.receiveJson().presence;

/** @param {TestSocket} socket @param {string} call @param {...unknown} args */
async function asks(socket, call, ...args) {
  while (socket.receive() !== undefined);
  await socket.sendJson({ call, args });
  return socket.receiveJson();
}

test("who joins gets a list, and then what changes", async () => {
  const it = host();
  const ada = await it.websocket("/present/board/a/ada");
  assert.deepEqual(told(ada), {
    group: "present.board.a",
    version: 1,
    count: 1,
    members: { ada: {} },
  });
  assert.deepEqual(told(ada), {
    group: "present.board.a",
    from: 0,
    version: 1,
    count: 1,
    joined: { ada: {} },
  });
  const bob = await it.websocket("/present/board/a/bob");
  assert.deepEqual(told(bob).members, { ada: {}, bob: {} });
  assert.equal(ada.receive(), undefined);
  await it.advance(100);
  assert.deepEqual(told(ada).joined, { bob: {} });
  await bob.sendJson({ call: "present", args: ["board.a", "bob", { at: [1, 2.5] }] });
  await it.advance(100);
  assert.deepEqual(told(ada).updated, { bob: { at: [1, 2.5] } });
  await bob.close();
  await it.advance(100);
  const { left, joined, from, version } = told(ada);
  assert.deepEqual([left, joined, from < version], [["bob"], undefined, true]);
  assert.deepEqual(it.members("board.a"), ["ada"]);
  assert.deepEqual(it.faults, []);
});

test("all connections with one key are one member, with the facts that came last", async () => {
  const it = host();
  const tabs = [];
  for (const colour of ["red", "blue"]) {
    const tab = await it.websocket("/present/board/a/ada");
    await tab.sendJson({ call: "present", args: ["board.a", "ada", { colour }] });
    tabs.push(tab);
  }
  const eve = await it.websocket("/present/board/a/eve");
  assert.deepEqual(told(eve).members, { ada: { colour: "blue" }, eve: {} });
  await tabs[1]?.close();
  await it.advance(100);
  while (eve.receive() !== undefined);
  const left = await asks(eve, "members", "board.a");
  assert.deepEqual(left.returned.members[0], { key: "ada", facts: { colour: "red" } });
  await tabs[0]?.sendJson({ call: "groupDiscard", args: ["board.a"] });
  await it.advance(0);
  assert.deepEqual(it.members("board.a"), ["eve"]);
  assert.equal(it.group("board.a").length, 1);
});

test("a page that is loaded again is no change", async () => {
  const board = websocket("/{name}", {
    presence: "*",
    connect: (socket) => socket.present("room", socket.params.name),
  });
  const it = new TestHost(app({ board }));
  const eve = await it.websocket("/eve");
  const ada = await it.websocket("/ada");
  await it.advance(1000);
  while (eve.receive() !== undefined);
  await ada.close();
  await it.advance(9999);
  await it.websocket("/ada");
  await it.advance(60_000);
  assert.equal(eve.receive(), undefined);
});

test("who came and left between two announcements is told as one who left", async () => {
  const it = host();
  const ada = await it.websocket("/present/board/a/ada");
  const bob = await it.websocket("/present/board/a/bob");
  const eve = await it.websocket("/present/board/a/eve");
  await bob.close();
  await it.advance(100);
  while (ada.receive() !== undefined);
  assert.deepEqual(told(eve).members, { ada: {}, bob: {}, eve: {} });
  const { joined, left } = told(eve);
  assert.deepEqual([joined, left], [{ eve: {} }, ["bob"]]);
});

test("more members than the list has are counted, and a list comes again", async () => {
  const it = host();
  const sockets = [];
  for (const name of ["a", "b", "c", "d"])
    sockets.push(await it.websocket(`/present/board/full/${name}`));
  const last = /** @type {TestSocket} */ (sockets.at(-1));
  assert.deepEqual(told(last), { group: "present.board.full", version: 4, count: 4 });
  await it.advance(100);
  assert.deepEqual(told(last), { group: "present.board.full", version: 4, count: 4 });
  await sockets[0]?.close();
  await it.advance(100);
  assert.deepEqual(Object.keys(told(last).members), ["b", "c", "d"]);
});

test("a channel gets each change", async () => {
  const it = host();
  const ada = await it.websocket("/present/board/a/ada");
  await it.websocket("/present/board/a/bob");
  await ada.close();
  await it.advance(1000);
  const group = "present.board.a";
  assert.deepEqual(
    it.logs.map(({ text }) => JSON.parse(text)),
    [
      { group, count: 1, joined: { ada: {} }, updated: {}, left: [] },
      { group, count: 1, joined: { bob: {} }, updated: {}, left: ["ada"] },
    ],
  );
  assert.deepEqual(
    it.data.keys.map((key) => [key, it.data.get(key).from]),
    [
      [`${group}:1`, 0],
      [`${group}:3`, 1],
    ],
  );
});

test("the key of a user is the id", async () => {
  const it = host();
  const bob = { signedIn: "bob", claims: { of: "crew" } };
  await it.websocket("/present/user/a", bob);
  await it.websocket("/present/user/a", bob);
  assert.deepEqual((await it.get("/present/here/a")).json(), {
    count: 1,
    members: { members: [{ key: "bob", facts: { of: "crew" } }], count: 1 },
  });
  await assert.rejects(it.websocket("/present/user/a"), { status: 500 });
  assert.match(it.faults[0]?.text ?? "", /^PresenceError: there is no user: give the consumer the option user: "required"/);
});

test("a stream of events is told, and its end is that of the presence", async () => {
  const it = host();
  const stream = await it.get("/present/stream/a/ada");
  const [list, change] = stream.text().split("\n\n");
  assert.match(list ?? "", /^event: presence\ndata: \{"group":.*"members":\{"ada":\{"by":"stream"\}\}\}$/);
  assert.match(change ?? "", /^event: presence\ndata: \{.*"joined":\{"ada"/);
  assert.deepEqual(it.members("board.a"), ["ada"]);
  await stream.leave();
  await it.advance(10_000);
  assert.deepEqual(it.members("board.a"), []);
});

test("a connection is made present by its channel", async () => {
  const it = host();
  const ada = await it.websocket("/present/board/a/ada");
  await it.request("POST", `/present/tell/captain/${ada.replyChannel}`);
  assert.deepEqual(it.members("board.told"), ["captain"]);
  await it.send("present.work", {});
  await it.request("POST", "/present/tell/captain/present.work");
  const texts = it.faults.map(({ text }) => text.split(" (at ")[0]);
  assert.deepEqual(texts, [
    "PresenceError: this event has no connection: name the reply channel of one, as in present(group, key, facts, channel)",
    'PresenceError: "present.work" is no reply channel, and connections are present; give the reply channel of one',
  ]);
});

test("members are listed in parts, in the order of their keys", async () => {
  const it = host();
  const ada = await it.websocket("/present/board/a/ada");
  for (const name of ["é", "bob", "\u{1F30A}", "\uFFFD"])
    await it.websocket(`/present/board/a/${encodeURIComponent(name)}`);
  /** @type {string[]} */
  const keys = [];
  for (let cursor; ; ) {
    const { returned } = await asks(ada, "members", "board.a", { limit: 2, cursor });
    assert.equal(returned.count, 5);
    keys.push(...returned.members.map((/** @type {any} */ member) => member.key));
    cursor = returned.cursor;
    if (cursor === undefined) break;
  }
  assert.deepEqual(keys, ["ada", "bob", "é", "\uFFFD", "\u{1F30A}"]);
  assert.equal((await asks(ada, "memberCount", "board.nobody")).returned, 0);
  const nobody = { members: [], count: 0 };
  assert.deepEqual((await asks(ada, "members", "board.nobody")).returned, nobody);
});

test("a run reads 100 parts", async () => {
  const reading = http("GET /{count}", ({ params }, cx) => {
    for (let i = 0; i < Number(params.count); i++) cx.memberCount("room");
    return "read\n";
  });
  const it = new TestHost(app({ reading }));
  assert.equal((await it.get("/100")).status, 200);
  assert.equal((await it.get("/101")).status, 500);
  assert.match(it.faults[0]?.text ?? "", /a run reads 100 parts of lists of members; leave the rest to another run/);
});

test("what a run that fails asked for is not done, and members of groups of others are announced by them", async () => {
  const failing = websocket("/{name}", {
    presence: "*",
    incoming: "text",
    receive(socket, group) {
      socket.present(Group.named(group), socket.params.name);
      if (group === "test.room") throw new Error("on purpose");
    },
  });
  const it = new TestHost(app({ failing }), { granted: ["other.room"] });
  const ada = await it.websocket("/ada");
  await ada.send("other.room");
  assert.deepEqual(it.members(Group.named("other.room")), ["ada"]);
  await it.advance(60_000);
  assert.equal(ada.receive(), undefined);
  await ada.send("test.room");
  assert.deepEqual(it.members("room"), []);
});

const group = "board.a";
/** @type {[call: string, args: unknown[], threw: string, message: RegExp][]} */
const refused = [
  ["present", [group, ""], "invalid", /^the key of a member has 1 to 256 bytes and no control characters$/],
  ["present", [group, "ä".repeat(129)], "invalid", /has 1 to 256 bytes/],
  ["present", [group, "a\nb"], "invalid", /no control characters/],
  ["present", [group, "__proto__"], "invalid", /put something in front, as in `name:\$\{name\}`/],
  ["present", [group, 7], "TypeError", /^the key of a member is the number 7: give text$/],
  ["present", [7, "ada"], "TypeError", /^the name of a group is the number 7: give text$/],
  ["present", [group, "ada", "red"], "TypeError", /^the facts of a member are text: give an object such as/],
  ["present", [group, "ada", null], "TypeError", /^the facts of a member are null/],
  ["present", [group, "ada", [1]], "TypeError", /^the facts of a member are an array/],
  ["present", [group, "ada", { x: "x".repeat(1024) }], "invalid", /^the facts of a member take \d+ bytes; at most 1024 are taken$/],
  ["present", [group, "ada", {}, 7], "TypeError", /^the channel of present is the number 7/],
  ["present", [group, "ada", {}, "!"], "invalid", /"!" is no reply channel/],
  ["present", ["no spaces, please", "ada"], "invalid", /' ' is not one of a-z/],
  ["present", [{ full: "foreign.room" }, "ada"], "forbidden", /^group foreign\.room is not under present\./],
  ["present", [{ full: "_user.ada" }, "ada"], "forbidden", /is one of the host's own/],
  ["presentUser", [group], "no-user", /^there is no user/],
  ["members", [group, { limit: 0 }], "RangeError", /^the limit of members is 0: give a whole number from 1 to 1000$/],
  ["members", [group, { limit: 1001 }], "RangeError", /from 1 to 1000/],
  ["members", [group, { limit: "2" }], "TypeError", /^the limit of members is text: give a number$/],
  ["members", [group, { cursor: 7 }], "TypeError", /^the cursor of members is the number 7: give text$/],
  ["members", [group, { cursor: "" }], "invalid", /^the cursor is none that a list of members returned$/],
  ["members", [group, { after: "ada" }], "TypeError", /^members has no option `after`; there are cursor, limit$/],
  ["members", [group, 7], "TypeError", /^the options of members are the number 7: give an object$/],
  ["members", [{ full: "foreign.room" }], "forbidden", /is not under present\./],
  ["memberCount", [null], "TypeError", /^the name of a group is null: give text$/],
  ["memberCount", [{ full: "foreign.room" }], "forbidden", /is not under present\./],
];

for (const [call, args, threw, message] of refused) {
  test(`refused: ${call}(${JSON.stringify(args).slice(1, 60)})`, async () => {
    const it = host();
    const answer = await asks(await it.websocket("/present/board/b/ada"), call, ...args);
    assert.equal(answer.code ?? answer.threw, threw, JSON.stringify(answer));
    if (answer.code) assert.equal(answer.threw, "PresenceError");
    assert.match(answer.message, message);
  });
}

test("facts have no value that JSON lacks", async () => {
  /** @type {[object, string][]} */
  const wrong = [
    [{ x: new Uint8Array(1) }, "x"],
    [{ y: [Infinity] }, "y"],
    [{ z: { deep: NaN } }, "z"],
  ];
  const unreadable = JSON.parse('{ "deep": { "__proto__": 1 } }');
  const right = { text: "ä", list: [1, 2.5, null, true], large: 2 ** 40 };
  const facts = [...wrong.map(([given]) => given), right, unreadable];
  const asked = http("GET /{at}", ({ params }, cx) => {
    cx.present("room", "ada", facts[Number(params.at)]);
    return cx.hold(1000);
  });
  const it = new TestHost(app({ asked }));
  for (const [at, [, name]] of wrong.entries()) {
    assert.equal((await it.get(`/${at}`)).status, 500);
    assert.ok(it.faults.at(-1)?.text.includes(`the fact "${name}" has bytes, or a number that is not finite`));
  }
  await it.get("/3");
  assert.deepEqual(it.members("room"), ["ada"]);
  assert.equal((await it.get("/4")).status, 500);
  assert.match(it.faults.at(-1)?.text ?? "", /^PresenceError: the facts of a member: The key __proto__ is not allowed/);
});

test("what is declared has each option with what holds without it", () => {
  const declared = unpack(declarations(present).declare());
  const { board, changes, user, here } = /** @type {any} */ (declared);
  const groups = ["board.*", "lobby"];
  assert.deepEqual(board, { presence: { groups, leave_after: 0, interval: 100, list: 3 } });
  const least = { leave_after: 0, interval: 100, list: 0 };
  assert.deepEqual(changes, { presence: { groups: ["board.*"], ...least } });
  assert.deepEqual([user, here], [{ user: "optional" }, undefined]);
  const both = http("GET /", { presence: "*", user: "required" }, () => "");
  assert.deepEqual(unpack(declarations(app({ both })).declare()), {
    both: {
      user: "required",
      presence: { groups: ["*"], leave_after: 10_000, interval: 1000, list: 100 },
    },
  });
});

/** @type {[presence: unknown, message: RegExp][]} */
const undeclared = [
  [true, /^websocket\("\/a"\): presence is the boolean true: give names of groups, such as "room\.\*", or \{ groups:/],
  [null, /presence is null: give names/],
  [{}, /presence: its groups are undefined: give the name of a group, such as "room\.\*", or an array of them/],
  [{ groups: 7 }, /its groups are the number 7/],
  [[], /presence names 0 groups: give 1 to 32 names/],
  [Array(33).fill("a"), /names 33 groups: give 1 to 32 names/],
  [["a", 7], /names the number 7: give the name of a group without the module's in front/],
  ["", /names "": give the name/],
  ["room*", /names "room\*": give the name of a group .* or end it with `\*` behind a dot/],
  ["*.room", /names "\*\.room"/],
  ["no spaces", /names "no spaces"/],
  ["a".repeat(100), /names "a+": give/],
  [{ groups: "a", leave: 5 }, /there is no option `leave`; there are groups, leaveAfter, interval, list/],
  [{ groups: "a", leaveAfter: "5s" }, /presence: leaveAfter is text: give a number/],
  [{ groups: "a", leaveAfter: 3_600_001 }, /leaveAfter is 3600001: give a whole number from 0 to 3600000/],
  [{ groups: "a", interval: 99 }, /interval is 99: give a whole number from 100 to 60000/],
  [{ groups: "a", interval: 1000.5 }, /interval is 1000\.5: give a whole number/],
  [{ groups: "a", list: 1001 }, /list is 1001: give a whole number from 0 to 1000/],
];

for (const [presence, message] of undeclared) {
  test(`refused: presence ${JSON.stringify(presence).slice(0, 60)}`, () => {
    assert.throws(() => websocket("/a", /** @type {any} */ ({ presence })), { message });
  });
}

test("a channel is told of one kind of thing", () => {
  const wrong = /** @type {any} */ (channel);
  const schedule = { expression: "@daily" };
  for (const other of [{ schedule }, { fetched: true }]) {
    assert.throws(
      () => wrong("a", { presence: "a", ...other }, () => {}),
      /channel\("a"\): a consumer has a schedule, takes the results of requests, or is told of presence: make two channels/,
    );
  }
});
