/** Signs users in and out, and keeps a basket for each session. */

import { Response, app, channel, guarded, http, websocket } from "@tidegate/sdk";

/** @typedef {import("@tidegate/sdk").Context} Context */

const TRIES = { limit: 2, window: 60_000 };
const METHODS = ["signIn", "signOut", "of", "end", "endAll", "endOthers"];

/** Answers with what a call returned or threw. @param {() => unknown} call */
function answer(call) {
  try {
    return Response.json({ returned: call() ?? null });
  } catch (error) {
    const { name, code, message } = /** @type {any} */ (error);
    return Response.json({ threw: name, code, message }, { status: 409 });
  }
}

/** @param {Context} cx @param {string} call @param {unknown[]} args */
function onSessions(cx, call, args) {
  if (!METHODS.includes(call)) throw new Error(`there is no ${call}`);
  return /** @type {any} */ (cx.sessions())[call](...args);
}

/** @param {Context} cx @param {string} item */
const put = (cx, item) => cx.session().update((basket = []) => [...basket, item]);

export default app({
  "/sessions": guarded(
    { user: "optional" },
    {
      /** Calls a method of the sessions: the body has its name and arguments. */
      call: http("POST /call", (request, cx) => {
        const { call, args = [] } = request.json();
        return answer(() => onSessions(cx, call, args));
      }),
      me: http("GET /me", (request, cx) => ({
        user: cx.user?.id ?? null,
        role: cx.user?.claims.role ?? null,
        cookies: request.cookies,
        basket: cx.session().get() ?? null,
      })),
      put: http("POST /basket/{item}", ({ params }, cx) => answer(() => put(cx, params.item))),
      clear: http("POST /clear", (_, cx) => answer(() => cx.session().clear())),
      fail: http("POST /fail", (_, cx) => {
        cx.sessions().signIn("ada");
        cx.store.add("failed");
        throw new Error("on purpose");
      }),
      mute: http("POST /mute", (_, cx) => {
        cx.sessions().signIn("ada");
        cx.store.add("failed");
        return cx.hold(1000);
      }),
      flush: http("POST /flush/{when}", ({ params }, cx) => {
        if (params.when === "before") {
          cx.groupSend("room", {});
          cx.flush();
        }
        return answer(() => {
          cx.sessions().signIn("ada");
          cx.flush();
        });
      }),
      tried: http("POST /tried/{name}", ({ params }, cx) => cx.throttle("tries", TRIES).count(params.name)
        ? new Response("too many tries\n", { status: 429 })
        : "wrong password\n"),
      forget: http("POST /forget/{name}", ({ params }, cx) => {
        cx.throttle("tries", TRIES).forget(params.name);
        return "forgotten\n";
      }),
      room: websocket("/room", {
        incoming: "text",
        connect(socket) {
          const user = socket.scope.header("x-user");
          if (user) socket.sessions().signIn(user);
        },
        receive(socket, item) {
          if (item === "bye") return socket.sessions().signOut();
          const { body } = answer(() => put(socket, item)).toWire();
          socket.send(new TextDecoder().decode(body));
        },
      }),
    },
  ),
  bare: http("POST /bare", (_, cx) => answer(() => cx.sessions().signIn("ada"))),
  ban: channel("sessions.ban", ({ user }, cx) => {
    cx.sessions().endAll(user);
    cx.info(String(cx.session().get()));
    cx.session().set(["nobody's"]);
  }),
});
