/** A server outside, for requests of consumers. */

import { once } from "node:events";
import { createServer } from "node:http";

/**
 * @typedef {{ line: string, headers: import("node:http").IncomingHttpHeaders, body: string }} Asked a
 *   request that has come
 */

/**
 * Serves on a free port of the loopback until `stop`. It answers with its request line; `/echo` with the
 * body, `/missing` with 404, `/busy` with 503 the first time, and `/closes` not at all.
 */
export async function outside() {
  /** @type {Asked[]} */
  const asked = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const { method, url = "", headers } = request;
    const line = `${method} ${url}`;
    asked.push({ line, headers, body: Buffer.concat(chunks).toString() });
    if (url === "/closes") return request.socket.destroy();
    const isBusy = url === "/busy" && asked.filter((it) => it.line === line).length === 1;
    const status = isBusy ? 503 : url === "/missing" ? 404 : 200;
    response.writeHead(status, { "content-type": "text/plain" });
    return response.end(url === "/echo" ? Buffer.concat(chunks) : line);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  const address = `127.0.0.1:${port}`;
  return {
    address,
    asked,
    url: (/** @type {string} */ path) => `http://${address}${path}`,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
