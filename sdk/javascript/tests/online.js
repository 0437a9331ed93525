/** The connections of users: reached, closed and counted. */

import { Close, Frame, Group, Response, app, channel, http, websocket } from "@tidegate/sdk";

/** Messages by name, which no request can carry. @type {Record<string, any>} */
const MESSAGES = {
  text: Frame.text("a parcel has come"),
  json: Frame.json({ tide: "high" }),
  response: new Response("news\n", { status: 203 }),
  close: new Close(4001, "by message"),
  large: { type: "websocket.send", text: "x".repeat(1_200_000) },
  nothing: { a: () => 1 },
  array: [1],
};

export default app({
  "/online": {
    room: websocket("/room", {
      user: "optional",
      incoming: "text",
      connect(socket) {
        if (!socket.user) return undefined;
        const { queryString } = socket.scope;
        // Its own connection is one of them already, and gets this when it is let in.
        if (queryString) socket.connectionsOf(socket.user.id).send(Frame.text(queryString));
        return queryString !== "deny";
      },
      receive(socket, user) {
        socket.send("before");
        socket.connectionsOf(user).send(Frame.text("from a friend"));
        socket.send("after");
      },
    }),
    open: websocket("/open", {}),
    hold: http("GET /hold/{kind}", { user: "required" }, ({ params }, cx) => {
      if (params.kind === "stream") cx.startStream(Response.text("first;"));
      const held = cx.hold(600_000);
      return params.kind === "fallback" ? held.or(Response.text("nothing\n")) : held;
    }),
    /** Calls methods in turn, and answers with what they returned, or with what the first that failed threw. */
    call: http("POST /call", (request, cx) => {
      const { user, calls, fails } = request.json();
      let returned;
      try {
        const theirs = /** @type {any} */ (cx.connectionsOf(user));
        returned = calls.map((/** @type {[string, ...any[]]} */ [name, ...args]) => {
          if (name === "flush") return cx.flush() ?? null;
          const given = args.map((it) => MESSAGES[it?.message] ?? it);
          return theirs[name](...given) ?? null;
        });
      } catch (error) {
        const { name, code, message } = /** @type {any} */ (error);
        return { threw: name, code, message };
      }
      if (fails) throw new Error("broken");
      return { returned };
    }),
    trespass: http("POST /trespass/{group}", ({ params }, cx) => {
      try {
        cx.groupSend(Group.named(params.group), Frame.text("forged"));
        return "sent\n";
      } catch (error) {
        const { code, message } = /** @type {any} */ (error);
        return `${code}: ${message}\n`;
      }
    }),
  },
  told: channel("online.told", ({ user }, cx) => cx.connectionsOf(user).send(MESSAGES.json)),
});
