/** A real host with modules, for tests: the program that the environment variable TIDEGATE names. */

import { execFile, spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

import { WebSocket } from "ws";

export const program = process.env.TIDEGATE;

/** A line, or a frame, that has not come after so many milliseconds does not come. */
const PATIENCE = 60_000;

/** The host checks tokens with it, and the tests sign with it. */
const SECRET = "a secret of 32 bytes, or of more";

/**
 * The fuel that interpreters need; the README of the package says why. The deadline goes by the clock: on a busy
 * machine a part of `jobs`, which computes for a second, takes many.
 */
const SETTINGS = `
[auth.tests]
algorithms = ["HS256"]
secret = "${SECRET}"

[limits]
fuel = 20_000_000_000
deadline = "60s"
`;

/**
 * Serves modules until `stop`.
 *
 * @param {Record<string, string>} modules files by name
 * @param {string} [settings] more of tidegate.toml
 */
export async function serve(modules, settings = "") {
  const folder = await mkdtemp(join(tmpdir(), "tidegate-sdk-"));
  const config = join(folder, "tidegate.toml");
  await writeFile(config, SETTINGS + settings);
  const listed = Object.entries(modules).flatMap(([name, file]) => ["--module", `${name}=${file}`]);
  const data = ["--data-dir", join(folder, "data")];
  const places = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", ...data];
  const child = spawn(
    /** @type {string} */ (program),
    ["serve", "--config", config, ...places, ...listed],
    {
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  /** @type {string[]} */
  const lines = [];
  const written = new EventEmitter();
  const address = await new Promise((resolve, reject) => {
    for (const output of [child.stdout, child.stderr]) {
      createInterface({ input: output }).on("line", (line) => {
        lines.push(line);
        written.emit("line");
        const found = /serving\s+(http:\S+)/.exec(line)?.[1];
        if (found) resolve(found);
      });
    }
    child.once("exit", () => reject(new Error(`the host ended:\n${lines.join("\n")}`)));
  });
  return {
    address: /** @type {string} */ (address),
    /**
     * Waits until the host has written a line. It writes after it has answered.
     *
     * @param {string} part of the line
     */
    async logged(part) {
      while (!lines.some((line) => line.includes(part))) {
        await once(written, "line", { signal: AbortSignal.timeout(PATIENCE) }).catch(() => {
          throw new Error(`there is no line with ${part}:\n${lines.join("\n")}`);
        });
      }
    },
    /** What `tidegate routes` says of the modules. They are compiled already. */
    async routes() {
      const of = ["routes", "--config", config, ...data, ...listed];
      return (await promisify(execFile)(/** @type {string} */ (program), of)).stdout;
    },
    async stop() {
      child.kill("SIGTERM");
      if (child.exitCode === null) await once(child, "exit");
      await rm(folder, { recursive: true });
    },
  };
}

/**
 * A token that the host takes.
 *
 * @param {import("@tidegate/sdk/testing").CaseUser} user
 * @param {number} [seconds] how long it is valid; negative for one that no longer counts
 */
export function token({ id, claims }, seconds = 3600) {
  const payload = { ...claims, sub: id, exp: Math.floor(Date.now() / 1000) + seconds };
  const encode = (/** @type {unknown} */ part) =>
    Buffer.from(JSON.stringify(part)).toString("base64url");
  const signed = `${encode({ alg: "HS256" })}.${encode(payload)}`;
  return `${signed}.${createHmac("sha256", SECRET).update(signed).digest("base64url")}`;
}

/**
 * Header fields, with the token of a user among them.
 *
 * @param {Record<string, string>} headers
 * @param {import("@tidegate/sdk/testing").CaseUser | undefined} user
 * @returns {Record<string, string>}
 */
function signedIn(headers, user) {
  return user ? { ...headers, authorization: `Bearer ${token(user)}` } : headers;
}

/**
 * Runs cases over sockets.
 *
 * @param {string} address
 * @returns {import("@tidegate/sdk/testing").Driver}
 */
export function driver(address) {
  /** @type {Map<string, { socket: WebSocket, inbox: ReturnType<typeof inbox> }>} */
  const open = new Map();
  const named = (/** @type {string} */ name) => {
    const found = open.get(name);
    if (!found) throw new Error(`there is no connection ${name}`);
    return found;
  };
  return {
    async request({ method, path, headers, body, user }) {
      const hasBody = method !== "GET" && method !== "HEAD";
      const response = await fetch(address + path, {
        method,
        headers: signedIn(headers, user),
        body: hasBody ? body : undefined,
        redirect: "manual",
      });
      return {
        status: response.status,
        headers: [...response.headers],
        body: new Uint8Array(await response.arrayBuffer()),
      };
    },
    async open(name, { path, subprotocols, headers, user }) {
      const options = { headers: signedIn(headers, user) };
      const socket = new WebSocket(address.replace("http", "ws") + path, subprotocols, options);
      const received = inbox(socket);
      const denied = await new Promise((resolve, reject) => {
        socket.once("open", () => resolve(undefined));
        socket.once("unexpected-response", (request, response) => {
          request.destroy();
          resolve(response.statusCode);
        });
        socket.once("error", reject);
      });
      if (denied !== undefined) return { denied };
      open.set(name, { socket, inbox: received });
      return { subprotocol: socket.protocol || undefined };
    },
    async send(name, frame) {
      named(name).socket.send(frame);
    },
    receive: (name) => named(name).inbox(),
    async close(name, code) {
      named(name).socket.close(code);
    },
    async reset() {
      for (const { socket } of open.values()) socket.terminate();
      open.clear();
    },
  };
}

/**
 * Receives from a socket, in order.
 *
 * @param {WebSocket} socket
 * @returns {() => Promise<import("@tidegate/sdk/testing").Received>}
 */
function inbox(socket) {
  /** @type {import("@tidegate/sdk/testing").Received[]} */
  const come = [];
  /** @type {((received: import("@tidegate/sdk/testing").Received) => void)[]} */
  const waiting = [];
  const put = (/** @type {import("@tidegate/sdk/testing").Received} */ received) => {
    const next = waiting.shift();
    if (next) next(received);
    else come.push(received);
  };
  socket.on("message", (data, isBinary) => {
    const bytes = /** @type {Buffer} */ (data);
    put({ frame: isBinary ? Uint8Array.from(bytes) : bytes.toString() });
  });
  socket.on("close", (code, reason) => put({ close: { code, reason: reason.toString() } }));
  return () => {
    const received = come.shift();
    if (received) return Promise.resolve(received);
    return new Promise((resolve, reject) => {
      const late = setTimeout(
        () => reject(new Error(`nothing has come on ${socket.url} for ${PATIENCE} ms`)),
        PATIENCE,
      );
      waiting.push((next) => {
        clearTimeout(late);
        resolve(next);
      });
    });
  };
}
