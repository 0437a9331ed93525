/** Cases in a file, which run on the test host and on a real host from the same text. */

import { TestHost } from "./host.js";
import { readStep } from "./steps.js";

/**
 * @typedef {{ id: string, claims: Record<string, unknown> }} CaseUser
 *
 * @typedef {object} CaseRequest
 * @property {string} method
 * @property {string} path with the query
 * @property {Record<string, string>} headers
 * @property {Uint8Array} body
 * @property {CaseUser | undefined} user
 *
 * @typedef {object} CaseResponse
 * @property {number} status
 * @property {[name: string, value: string][]} headers
 * @property {Uint8Array} body
 *
 * @typedef {{ path: string, subprotocols: string[], headers: Record<string, string>,
 *   user: CaseUser | undefined }} Open
 * @typedef {{ denied: number } | { subprotocol: string | undefined }} Opened
 * @typedef {{ frame: string | Uint8Array } | { close: { code: number, reason: string } }} Received
 */

/**
 * What runs the steps of cases: a `TestHost`, or connections to a real host.
 *
 * @typedef {object} Driver
 * @property {(request: CaseRequest) => Promise<CaseResponse>} request sends a request and waits for
 *   the whole response
 * @property {(name: string, open: Open) => Promise<Opened>} open asks for a WebSocket and keeps it
 *   under a name
 * @property {(name: string, frame: string | Uint8Array) => Promise<void>} send sends a message
 * @property {(name: string) => Promise<Received>} receive waits for what comes next
 * @property {(name: string, code: number) => Promise<void>} close closes a connection
 * @property {() => Promise<void>} reset a case is over: drops the connections that are left
 */

/** How long a client waits for the response to a request that is on hold, and for a message, in milliseconds. */
const PATIENCE = 30_000;
const SECOND = 1000;

/** A case failed. */
export class CaseError extends Error {
  /**
   * @param {string} name of the case
   * @param {number} step counted from 1
   * @param {unknown} cause
   */
  constructor(name, step, cause) {
    super(
      `case ${JSON.stringify(name)}, step ${step}: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
    this.name = "CaseError";
  }
}

/**
 * Runs all cases of a file, in order.
 *
 * @param {string} text the file: a list of cases in JSON, each a `name` and a list of `steps`
 * @param {TestHost | Driver} target
 * @throws {CaseError} at the first step that goes wrong
 * @throws {Error} the file is malformed
 */
export async function runCases(text, target) {
  const driver = target instanceof TestHost ? drive(target) : target;
  const cases = JSON.parse(text);
  if (!Array.isArray(cases) || cases.length === 0)
    throw new Error("cases: unreadable: there is no case");
  for (const { name, steps, ...others } of cases) {
    const [other] = Object.keys(others);
    if (other !== undefined) throw new Error(`cases: unreadable: unknown field \`${other}\``);
    try {
      for (const [i, step] of steps.entries()) {
        try {
          await readStep(step)(driver);
        } catch (error) {
          throw new CaseError(name, i + 1, error);
        }
      }
    } finally {
      await driver.reset();
    }
  }
}

/** @param {CaseUser | undefined} user */
function signedIn(user) {
  return user ? { signedIn: user.id, claims: user.claims } : {};
}

/**
 * @param {TestHost} host
 * @returns {Driver}
 */
function drive(host) {
  /** @type {Map<string, import("./websocket.js").TestSocket>} */
  const sockets = new Map();
  const socket = (/** @type {string} */ name) => {
    const found = sockets.get(name);
    if (!found) throw new Error(`there is no connection ${JSON.stringify(name)}`);
    return found;
  };
  return {
    async request({ method, path, headers, body, user }) {
      const response = await host.request(method, path, { headers, body, ...signedIn(user) });
      if (response.isPending) await host.advance(PATIENCE);
      if (response.isPending)
        throw new Error(`the request is on hold for more than ${PATIENCE} ms`);
      return { status: response.status, headers: response.headers, body: response.bytes() };
    },
    async open(name, { path, user, ...options }) {
      try {
        const opened = await host.websocket(path, { ...options, ...signedIn(user) });
        sockets.set(name, opened);
        return { subprotocol: opened.subprotocol };
      } catch (error) {
        const { status } = /** @type {import("./websocket.js").Denied} */ (error);
        if (status === undefined) throw error;
        return { denied: status };
      }
    },
    send: (name, frame) => socket(name).send(frame),
    async receive(name) {
      const client = socket(name);
      // A client waits, as long as it takes for what is to come later.
      for (let waited = 0; waited <= PATIENCE; waited += SECOND) {
        if (waited > 0) await host.advance(SECOND);
        const frame = client.receive();
        if (frame !== undefined) return { frame };
        if (client.closed) return { close: client.closed };
      }
      throw new Error("nothing comes");
    },
    close: (name, code) => socket(name).close(code),
    async reset() {
      for (const [name, open] of sockets) {
        sockets.delete(name);
        await open.drop();
      }
    },
  };
}
