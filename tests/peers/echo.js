// An echo over WebSocket with the package `ws`, which its first argument names the place of: node echo.js PACKAGES PORT

const { createRequire } = require("node:module");

const [packages, port] = process.argv.slice(2);
const { WebSocketServer } = createRequire(`${packages}/`)("ws");

new WebSocketServer({ host: "127.0.0.1", port: Number(port) }).on("connection", (socket) => {
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
});
