/** Sends every WebSocket message back. */

import { app, websocket } from "@tidegate/sdk";

const echo = websocket("/echo", {
  receive(socket, message) {
    socket.send(message);
  },
});

export default app({ echo });
