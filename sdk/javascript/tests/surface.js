/** A module that has what the SDK offers, for tests natively and on a host. */

import {
  Chunk,
  Close,
  Frame,
  HttpError,
  Problem,
  Response,
  app,
  channel,
  http,
  integer,
  notFound,
  sse,
  websocket,
} from "@tidegate/sdk";

let calls = 0;

/** @returns {string} */
function inner() {
  throw new TypeError("the tide is out", { cause: new RangeError("low water") });
}

export default app({
  shelf: http("PUT /shelf/{shelf}/{*title}", { params: { shelf: integer } }, ({ params, body }) => {
    return new Response(null, {
      status: 201,
      headers: { location: `${params.shelf + 1}/${params.title}/${body.length}` },
    });
  }),
  search: http("GET /search", ({ query, cookies }) => ({
    q: query.get("q"),
    tags: query.getAll("tag"),
    none: query.get("none"),
    cookie: cookies.name ?? null,
  })),
  form: http(
    "POST /form",
    (request) => `${request.form().get("name")}, ${request.form().get("age")}`,
  ),
  json: http("POST /json", (request) => [request.json()]),
  typedJson: http("POST /typed-json", (request) => [request.typedJson()]),
  upper: http("POST /text", (request) => request.text().toUpperCase()),
  cookie: http("GET /cookie", () => Response.text("set").cookie("a", "b c", { maxAge: 60 })),
  bytes: http(
    "GET /bytes",
    () => new Response(Uint8Array.of(0xc3, 0xa4), { headers: { "content-type": "text/plain" } }),
  ),
  teapot: http("GET /teapot", () => {
    throw new HttpError(418, "short and stout\n");
  }),
  problem: http("GET /problem", () => {
    throw new Problem(409, "Sold out", { back: "Monday" });
  }),
  thrownResponse: http("GET /thrown-response", async () => {
    await null;
    throw Response.text("gone\n", { status: 410 });
  }),
  host: http("GET /guarded", () => "for anybody"),
  guarded: http("GET /guarded", { headers: { "x-version": "2" } }, () => "for version 2"),
  stream: http("GET /stream", (_, cx) => {
    cx.startStream(new Response("one "));
    cx.write("two ");
    cx.flush();
    cx.write(Uint8Array.of(0x33));
    return cx.endStream();
  }),
  wait: http("GET /wait", (_, cx) => {
    cx.groupAdd("waiting");
    return cx.hold(100).or(new Response(null, { status: 204 }));
  }),
  news: http("GET /news/{name}", (request, cx) => {
    cx.startStream(Response.text("begin "));
    cx.send("surface.news", { to: request.replyChannel, name: request.params.name });
    return cx.hold(10_000);
  }),
  newsOf: channel("surface.news", ({ to, name }, cx) => {
    cx.send(to, new Chunk(`news of ${name} `));
    cx.send(to, new Chunk("end", true));
  }),
  events: http("GET /events", (request, cx) => {
    sse.start(cx);
    sse.send(cx, sse.comment(`after ${sse.lastEventId(request)}`));
    cx.send("surface.events", { to: request.replyChannel });
    return cx.hold(10_000);
  }),
  eventsOf: channel("surface.events", ({ to }, cx) => {
    cx.send(to, sse.data("high water\r\nat noon", { id: "7", name: "tide", retry: 2000 }));
    cx.send(to, sse.json({ level: 3 }));
    cx.send(to, Chunk.end());
  }),
  awaited: http("GET /await", async () => {
    const later = async (/** @type {number} */ n) => (await null, n * 2);
    const [a, b] = await Promise.all([later(1), later(2)]);
    let sum = 0;
    for await (const n of [later(3), later(4)]) sum += n;
    const settled = await Promise.allSettled([Promise.reject(new Error("no"))]);
    return { a, b, sum, status: settled[0].status };
  }),
  url: http("GET /url", () => ({
    href: new URL("../b?x=1#y", "http://example.com/a/c/").href,
    query: new URLSearchParams({ a: "ä b" }).toString(),
  })),
  encoded: http("GET /encoded", () => {
    const text = "Grüße 🌊";
    const bytes = new TextEncoder().encode(text);
    const back = new TextDecoder().decode(bytes);
    return {
      length: bytes.length,
      same: back === text,
      broken: new TextDecoder().decode(Uint8Array.of(0x61, 0xff)),
    };
  }),
  large: http("GET /large-numbers", (_, cx) => {
    cx.send("surface.large", {
      to: cx.replyChannel,
      number: 2 ** 40,
      big: 9_007_199_254_740_993n,
      text: "\ud800",
    });
    return cx.hold(10_000);
  }),
  largeBack: channel("surface.large", ({ to, number, big, text }, cx) => {
    cx.send(to, Response.json({ number, big: String(big), kind: typeof big, text }));
  }),
  refused: http("GET /refused/{what}", ({ params }, cx) => {
    // Types would refuse it, too.
    const /** @type {any} */ text = "text";
    const /** @type {any} */ seven = 7;
    /** @type {Record<string, () => unknown>} */
    const wrong = {
      channel: () => cx.send("other.channel", { a: 1 }),
      message: () => cx.send("surface.news", text),
      function: () => cx.send("surface.news", { run() {} }),
      body: () => new Response(seven),
      status: () => new Response("", { status: 99 }),
      header: () => new Response("", { headers: { a: seven } }),
      delay: () => cx.sendLater("surface.news", {}, -1),
      group: () => cx.groupSend("nö", { a: 1 }),
      answer: () => Response.json(undefined),
    };
    try {
      wrong[params.what]?.();
      return "not refused";
    } catch (error) {
      return String(error);
    }
  }),
  random: http("GET /random", () => ({
    calls: ++calls,
    random: Math.random(),
    uuid: crypto.randomUUID(),
    bytes: [...crypto.getRandomValues(new Uint8Array(8))],
  })),
  clock: http("GET /clock", (_, cx) => ({ date: Date.now(), now: cx.now().getTime() })),
  thrown: http("GET /throw", () => inner()),
  reject: http("GET /reject", async () => {
    await null;
    throw new Error("awaited in vain");
  }),
  never: http("GET /never", () => new Promise(() => {})),
  job: http("GET /job", () => {
    queueMicrotask(() => {
      throw new Error("in a job");
    });
    return "begun";
  }),
  console: http("GET /console", () => {
    console.log("the level is", { metres: 3 });
    console.warn("first line\nsecond line");
    return "logged";
  }),
  "/prefix": {
    root: http("GET /", (_, cx) => cx.prefix),
    item: http("GET /{id}", ({ params }) => params.id),
  },
  sums: websocket("/sums/{room}", {
    incoming: "json",
    state: () => ({ sum: 0 }),
    groups: ({ room }) => [`sums.${room}`],
    connect(socket) {
      if (socket.scope.query.has("deny")) return false;
      socket.sendJson("hello");
      const [subprotocol] = socket.scope.subprotocols;
      return { subprotocol };
    },
    async receive(socket, number) {
      await null;
      if (number === null) return socket.close(4001, "nothing to add");
      if (typeof number !== "number") throw new TypeError("not a number");
      socket.setState({ sum: socket.state.sum + number });
      socket.groupSendJson(`sums.${socket.params.room}`, socket.state.sum);
    },
    disconnect(socket, close) {
      socket.groupSendJson(`sums.${socket.params.room}`, { left: close.code });
    },
  }),
  frames: websocket("/frames", {
    resume: 120_000,
    receive(socket, frame) {
      if (frame === "close") return socket.groupSend("none", new Close(4000));
      socket.send(
        typeof frame === "string" ? Frame.binary(frame) : new TextDecoder().decode(frame),
      );
    },
  }),
  print: http("GET /large-print", () => {
    console.log("x".repeat(3_000_000));
    return "printed";
  }),
  many: http("GET /many-prints", () => {
    for (let i = 0; ; i++) console.log(i);
  }),
  words: http("GET /many-words", () => {
    throw new Error("line\n".repeat(300_000));
  }),
  loop: http("GET /loop", () => {
    for (;;);
  }),
  recursion: http("GET /recursion", () => {
    /** @param {number} n @returns {number} */
    const deeper = (n) => deeper(n + 1) + 1;
    return String(deeper(0));
  }),
  fragile: websocket("/fragile/{when}", {
    connect({ params }) {
      if (params.when === "connect") throw new Error("broken in connect");
    },
    receive({ params }) {
      if (params.when === "receive") throw new Error("broken in receive");
    },
    disconnect({ params }) {
      if (params.when === "disconnect") throw new Error("broken in disconnect");
    },
  }),
  missing: http("GET /missing", () => {
    throw notFound("nothing here\n");
  }),
});
