/** Answers on a WebSocket, and counts what it has answered. */

import { Response, app, http, websocket } from "@tidegate/sdk";

import html from "./page.html?text";

const page = http("GET /module-name", () =>
  Response.html(html, { headers: { "cache-control": "no-cache" } }),
);

const echo = websocket("/module-name/socket", {
  // What the host keeps with each connection. It outlives a deploy.
  state: () => ({ messages: 0 }),
  incoming: "text",
  receive(socket, text) {
    const messages = socket.state.messages + 1;
    socket.setState({ messages });
    socket.send(`${messages}: you said ${text}`);
  },
});

export default app({ page, echo });
