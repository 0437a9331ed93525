/** The test host has the semantics of the host. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Chunk, Close, Frame, Group, Response, app, channel, http, websocket } from "@tidegate/sdk";
import { CaseError, Denied, TestHost, runCases } from "@tidegate/sdk/testing";

const tide = app({
  set: http("POST /tide/{level}", ({ params }, cx) => {
    cx.groupSend("watchers", Frame.text(`level ${params.level}`));
    cx.send("tide.noted", { level: Number(params.level) });
    if (Number(params.level) > 100) throw new Error("that would be a flood");
    return "noted\n";
  }),
  flushed: http("POST /flushed", (_, cx) => {
    cx.groupSend("watchers", Frame.text("before"));
    cx.flush();
    cx.groupSend("watchers", Frame.text("after"));
    throw new Error("on purpose");
  }),
  noted: channel("tide.noted", ({ level }, cx) => cx.info(`noted ${level}`)),
  remind: http("POST /remind", (_, cx) => {
    cx.sendLater("tide.noted", { level: 7 }, 60_000);
    return cx.now().toISOString();
  }),
  many: http("POST /many/{count}", ({ params }, cx) => {
    for (let i = 0; i < Number(params.count); i++) cx.send("tide.noted", { level: i });
    return "sent";
  }),
  hold: http("GET /hold", { disconnect: (cx) => cx.info("left") }, (_, cx) => {
    cx.groupAdd("waiting");
    return cx.hold(30_000);
  }),
  answer: http("POST /hold", (_, cx) => {
    cx.groupSend("waiting", Response.text("it rains"));
    return "answered";
  }),
  nothing: http("GET /nothing", /** @type {any} */ (() => undefined)),
  outside: http("GET /outside", (_, cx) => {
    cx.groupSend(Group.named("alerts.all"), Frame.text("storm"));
    return cx.variable("PLACE") ?? "nowhere";
  }),
  watch: websocket("/watch", {
    groups: () => ["watchers"],
    receive(socket, message) {
      if (message === "large") socket.send("tide.noted", { level: "x".repeat(2 ** 21) });
      throw new Error(`no ${message}`);
    },
    disconnect: (socket, close) => socket.info(`closed with ${close.code}`),
  }),
});

test("an outbox goes out after success, and is dropped after a fault", async () => {
  const host = new TestHost(tide, { module: "tide" });
  const watcher = await host.websocket("/watch");
  assert.equal(host.group("watchers").length, 1);
  assert.equal((await host.request("POST", "/tide/3")).text(), "noted\n");
  assert.equal(watcher.receive(), "level 3");
  assert.deepEqual(host.messages("tide.noted"), [{ level: 3 }]);
  assert.equal((await host.request("POST", "/tide/101")).status, 500);
  assert.equal(watcher.receive(), undefined);
  assert.match(
    host.faults[0]?.text ?? "",
    /^Error: that would be a flood \(at tests\/testhost\.test\.js:\d+\)$/,
  );
  await host.request("POST", "/flushed");
  assert.equal(watcher.receive(), "before");
  assert.equal(watcher.receive(), undefined);
});

test("the outbox is bounded, also where the consumer catches", async () => {
  const host = new TestHost(tide, { module: "tide" });
  assert.equal((await host.request("POST", "/many/999")).status, 200);
  assert.equal((await host.request("POST", "/many/1000")).status, 500);
  assert.equal(host.faults[0]?.text, "an outbox of 1001 entries, and the limit is 1000");
  assert.equal(host.messages("tide.noted").length, 999);
});

test("time stands still until it is moved", async () => {
  const host = new TestHost(tide, { module: "tide", at: new Date(0) });
  assert.equal((await host.request("POST", "/remind")).text(), "1970-01-01T00:00:00.000Z");
  await host.advance(59_999);
  assert.deepEqual(host.logs, []);
  await host.advance(1);
  assert.deepEqual(host.logs, [{ consumer: "noted", level: "info", text: "noted 7" }]);
  assert.equal((await host.request("POST", "/remind")).text(), "1970-01-01T00:01:00.000Z");
});

test("a request waits until somebody answers, the time is over, or the client leaves", async () => {
  const host = new TestHost(tide, { module: "tide" });
  const [reader, patient, leaving] = [
    await host.get("/hold"),
    await host.get("/hold"),
    await host.get("/hold"),
  ];
  assert.ok(reader.isPending);
  await leaving.leave();
  assert.deepEqual(
    host.logs.map(({ text }) => text),
    ["left"],
  );
  assert.equal(host.group("waiting").length, 2);
  await host.request("POST", "/hold");
  assert.equal(reader.text(), "it rains");
  assert.equal(patient.text(), "it rains");
  const late = await host.get("/hold");
  await host.advance(30_000);
  assert.equal(late.status, 504);
});

test("a return without an answer is a fault that says what may be returned", async () => {
  const host = new TestHost(tide);
  assert.equal((await host.get("/nothing")).status, 500);
  assert.match(
    host.faults[0]?.text ?? "",
    /^TypeError: the consumer returned undefined: return text, an object/,
  );
});

test("names of others take a grant", async () => {
  const refused = new TestHost(tide, { module: "tide" });
  assert.equal((await refused.get("/outside")).status, 500);
  assert.match(refused.faults[0]?.text ?? "", /^SendError: group alerts\.all is not under tide\./);
  const granted = new TestHost(tide, {
    module: "tide",
    granted: ["alerts.all"],
    environment: { PLACE: "here" },
  });
  assert.equal((await granted.get("/outside")).text(), "here");
  assert.equal(granted.groupMessages(Group.named("alerts.all")).length, 1);
});

test("a fault closes a WebSocket, and its end is an event", async () => {
  const host = new TestHost(tide, { module: "tide" });
  const socket = await host.websocket("/watch");
  await socket.send("bread");
  assert.deepEqual(socket.closed, { code: 1011, reason: "" });
  assert.deepEqual(host.group("watchers"), []);
  assert.equal(host.logs.at(-1)?.text, "closed with 1011");
  await assert.rejects(socket.send("more"), /the connection is closed with code 1011/);
  const other = await host.websocket("/watch");
  await other.send("large");
  assert.match(
    host.faults[1]?.text ?? "",
    /^SendError: content of \d+ bytes, and the limit is 1114112/,
  );
});

test("a client can be closed, and told, from afar", async () => {
  const host = new TestHost(tide, { module: "tide" });
  const socket = await host.websocket("/watch");
  await host.send(socket.replyChannel, Frame.binary("ä"));
  assert.deepEqual(socket.receive(), Uint8Array.of(0xc3, 0xa4));
  await host.send(socket.replyChannel, { text: "as in Channels 1" });
  assert.equal(socket.receive(), "as in Channels 1");
  await host.send(socket.replyChannel, new Chunk("no stream"));
  assert.match(host.drops[0] ?? "", /a WebSocket takes no such message now/);
  await host.send(socket.replyChannel, new Close(4000, "we are closing"));
  assert.deepEqual(socket.closed, { code: 4000, reason: "we are closing" });
});

test("state outlives a version, and migrates", async () => {
  const first = app({
    socket: websocket("/s", {
      state: () => ({ name: "" }),
      receive: (socket, name) => socket.setState({ name: String(name) }),
    }),
  });
  const second = app({
    socket: websocket("/s", {
      schema: 2,
      state: () => ({ names: [""] }),
      migrate: (schema, old) => ({ names: [String(schema), old.name] }),
      receive: (socket) => socket.sendJson(socket.state.names),
    }),
  });
  const third = app({ socket: websocket("/s", { schema: 3, state: () => ({}), receive() {} }) });
  const host = new TestHost(first);
  const socket = await host.websocket("/s");
  await socket.send("Ada");
  await host.replace(second);
  await socket.send("?");
  assert.deepEqual(socket.receiveJson(), ["1", "Ada"]);
  await host.replace(third);
  await socket.send("?");
  assert.equal(socket.closed?.code, 1012);
  assert.match(
    host.faults[0]?.text ?? "",
    /^state is unreadable: state has schema 1, this version reads schema 3: write `migrate`$/,
  );
  const gone = await host.websocket("/s");
  await host.replace(tide);
  assert.equal(gone.closed?.code, 1012);
});

test("what is not there is denied", async () => {
  const host = new TestHost(tide);
  await assert.rejects(
    host.websocket("/nowhere"),
    (error) => error instanceof Denied && error.status === 403,
  );
  assert.equal((await host.get("/watch")).status, 426);
  const wrong = await host.request("DELETE", "/hold");
  assert.deepEqual([wrong.status, wrong.header("Allow")], [405, "GET, POST, HEAD"]);
  assert.equal((await host.get("/tide/%ff")).status, 405);
  assert.equal((await host.request("POST", "/tide/%ff")).status, 400);
});

test("a case that does not hold says which and where", async () => {
  const text = JSON.stringify([
    {
      name: "answers",
      steps: [{ request: { method: "POST", path: "/tide/3" }, expect: { text: "!" } }],
    },
  ]);
  await assert.rejects(runCases(text, new TestHost(tide, { module: "tide" })), (error) => {
    assert.ok(error instanceof CaseError);
    assert.equal(
      error.message,
      'case "answers", step 1: expected the body "!", got status 200 with body "noted\\n"',
    );
    return true;
  });
  const later = app({
    room: websocket("/room", {
      connect: (socket) => socket.sendLater(socket.replyChannel ?? "", Frame.text("at last"), 29_500),
    }),
  });
  const waits = [{ open: "a", path: "/room" }, { receive: "a", text: "at last" }];
  await runCases(JSON.stringify([{ name: "later", steps: waits }]), new TestHost(later));
  const never = JSON.stringify([{ name: "never", steps: [...waits, { receive: "a", text: "more" }] }]);
  await assert.rejects(runCases(never, new TestHost(later)), /case "never", step 3: nothing comes/);
  await assert.rejects(runCases("[]", new TestHost(tide)), /there is no case/);
  const slip = JSON.stringify([{ name: "slip", steps: [{ opne: "a" }] }]);
  await assert.rejects(runCases(slip, new TestHost(tide)), /unknown field `opne`/);
});
