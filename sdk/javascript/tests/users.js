/** Consumers that ask who somebody is, besides those of the example `members`. */

import { Frame, app, channel, guarded, http, websocket } from "@tidegate/sdk";

/** @typedef {import("@tidegate/sdk").User} User */

/** @param {User | undefined} user */
const told = (user) => (user ? `${user.id} ${JSON.stringify(user.claims)}` : "nobody");

export default app({
  "/users": {
    me: http("GET /me", { user: "required" }, (_, { user }) => ({
      id: user?.id,
      claims: user?.claims,
      expires: user?.expires ?? null,
    })),
    home: http("GET /home", { user: "optional" }, (_, cx) => told(cx.user)),
    open: http("GET /open", (_, cx) => told(cx.user)),
    close: http("POST /close", { claims: { role: ["admin", "owner"], level: 2 } }, (_, cx) =>
      told(cx.user),
    ),
    wait: http(
      "GET /wait",
      { user: "optional", disconnect: (cx) => cx.info(`${told(cx.user)} left`) },
      (_, cx) => cx.hold(10_000),
    ),
    room: websocket("/room", {
      claims: { "https://example.com/role": "admin" },
      connect: (socket) => socket.send(`welcome ${told(socket.user)}`),
      receive(socket, text) {
        socket.send("users.work", { to: socket.replyChannel });
        socket.send(`${told(socket.user)}: ${text}`);
      },
      disconnect: (socket) => socket.info(`${told(socket.user)} left`),
    }),
    "/staff": guarded(
      { claims: { staff: true } },
      { desk: http("GET /desk", { user: "required", claims: { level: [1, 2] } }, (_, cx) => told(cx.user)) },
    ),
  },
  work: channel("users.work", ({ to }, cx) => cx.send(to, Frame.text(told(cx.user)))),
});
