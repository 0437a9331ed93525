/** Groups that are remembered: rooms over WebSocket, a stream of events, a held request, and pages of a history. */

import { Chunk, Frame, Group, Response, app, channel, http, sse, websocket } from "@tidegate/sdk";

/** @param {{ room: string }} params */
const group = ({ room }) => `room.${room}`;

export default app({
  "/remembering": {
    room: websocket("/room/{room}", {
      history: { "room.*": { messages: 3, age: 60_000 } },
      incoming: "json",
      /** Joins with what the client says, sends to the room, or calls a method and answers with what it did. */
      receive(socket, { join, say, call, args = [] }) {
        const room = group(socket.params);
        if (join) socket.groupJoin(room, { after: socket.lastPosition(room), ...join });
        if (say !== undefined) socket.groupSend(room, say.bytes ? Frame.binary(Uint8Array.from(say.bytes)) : Frame.text(say));
        if (!call) return;
        const named = args.map((/** @type {any} */ it) => (it?.full ? Group.named(it.full) : it));
        try {
          const [first, ...others] = named;
          const returned =
            call === "latest" || call === "after"
              ? socket.history(first)[/** @type {"latest"} */ (call)](...others)
              : /** @type {any} */ (socket)[call](...named);
          socket.sendJson({ returned: returned ?? null });
        } catch (error) {
          const { name, code, message } = /** @type {any} */ (error);
          socket.sendJson({ threw: name, code, message });
        }
      },
    }),
    plain: websocket("/plain/{room}", { groups: (params) => [group(params)] }),
    page: http("GET /page/{room}", ({ params, query }, cx) => {
      const history = cx.history(group(params));
      const after = query.get("behind");
      return after === null ? history.latest(2) : history.after(after);
    }),
    durable: http("GET /durable/{room}", ({ params }) => Response.durableStream(group(params))),
    say: http("POST /say/{room}/{text}", ({ params }, cx) => {
      cx.groupSend(group(params), Frame.text(params.text));
      return "said\n";
    }),
    event: http("POST /event/{text}", ({ params }, cx) => {
      cx.groupSend("stream", sse.data(params.text));
      return "sent\n";
    }),
    answer: http("POST /answer/{text}", ({ params }, cx) => {
      cx.groupSend("held", Response.text(params.text));
      return "answered\n";
    }),
    end: http("POST /end", (_, cx) => {
      cx.groupSend("stream", Chunk.end());
      return "ended\n";
    }),
    stream: http("GET /stream", { history: ["stream", "held"] }, (_, cx) => {
      sse.start(cx);
      cx.groupJoin("stream", { after: cx.lastPosition("stream"), latest: 1 });
      return cx.hold(60_000);
    }),
    held: http("GET /held", (_, cx) => {
      cx.groupJoin("held", { after: cx.lastPosition("held") });
      return cx.hold(60_000).or(new Response(null, { status: 204 }));
    }),
  },
  work: channel("remembering.work", (_, cx) => cx.groupJoin("room.a")),
});
