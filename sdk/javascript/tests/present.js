/** Who is in groups: boards with members, a stream of who is there, and a channel that is told. */

import { Group, app, channel, http, sse, websocket } from "@tidegate/sdk";

/** @param {{ board: string }} params */
const group = ({ board }) => `board.${board}`;
/** The longest times and the longest list hold of all that is declared about a group. */
const presence = { groups: "board.*", leaveAfter: 0, interval: 100, list: 0 };
const changes = channel("present.changes", { presence }, (change, cx) => {
  const { group, from, version, count, joined, updated, left } = change;
  cx.info(JSON.stringify({ group, count, joined, updated, left }));
  cx.store.set(`${group}:${version}`, { from });
});

export default app({
  "/present": {
    board: websocket("/board/{board}/{name}", {
      presence: { groups: ["board.*", "lobby"], leaveAfter: 0, interval: 100, list: 3 },
      incoming: "json",
      connect: (socket) => socket.present(group(socket.params), socket.params.name),
      /** Calls a method of the socket, and answers with what it returned or threw. */
      receive(socket, { call, args }) {
        const named = args.map((/** @type {any} */ it) => (it?.full ? Group.named(it.full) : it));
        try {
          socket.sendJson({ returned: /** @type {any} */ (socket)[call](...named) ?? null });
        } catch (error) {
          const { name, code, message } = /** @type {any} */ (error);
          socket.sendJson({ threw: name, code, message });
        }
      },
    }),
    user: websocket("/user/{board}", {
      user: "optional",
      connect: (socket) => socket.presentUser(group(socket.params), { of: socket.user?.claims.of }),
    }),
    here: http("GET /here/{board}", ({ params }, cx) => ({
      count: cx.memberCount(group(params)),
      members: cx.members(group(params), { limit: 2 }),
    })),
    stream: http("GET /stream/{board}/{name}", ({ params }, cx) => {
      sse.start(cx);
      cx.present(group(params), params.name, { by: "stream" });
      return cx.hold(60_000);
    }),
    tell: http("POST /tell/{name}/{*channel}", ({ params }, cx) => {
      cx.present("board.told", params.name, {}, params.channel);
      return "told\n";
    }),
  },
  changes,
  work: channel("present.work", (_, cx) => cx.present("board.a", "nobody")),
});
