/** Asks the host over its admin API. The token is kept in this module's memory, and nowhere else. */

let token = "";
let user = "";
/** @type {() => void} */
let refused = () => {};

/** A refusal of the host, with its words. */
export class Problem extends Error {
  /**
   * @param {number} status 0 if the host does not answer
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Header fields are bytes, one for each character: text goes as its UTF-8. */
const field = (/** @type {string} */ text) =>
  Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte))
    .join("")
    .replace(/[\u0000-\u001f\u007f]/g, " ")
    .trim();

/**
 * Asks with another token from here on.
 *
 * @param {string} newToken
 * @param {string} newUser stands in the history of modules
 * @param {() => void} whenRefused called as soon as the host does not take the token any more
 */
export function use(newToken, newUser, whenRefused) {
  token = field(newToken);
  user = field(newUser);
  refused = whenRefused;
}

/** Drops the token. */
export function forget() {
  use("", "", () => {});
}

/** @param {Response} answer */
async function problem(answer) {
  const text = await answer.text().catch(() => "");
  let detail = text;
  try {
    detail = JSON.parse(text).detail ?? text;
  } catch {
    // A proxy between here and the host may answer with anything.
  }
  return new Problem(answer.status, detail.trim() || `The host answers ${answer.status}.`);
}

/**
 * @param {string} path
 * @param {RequestInit} [init]
 */
async function reach(path, init) {
  try {
    return await fetch(path, { cache: "no-store", ...init });
  } catch (error) {
    if (init?.signal?.aborted) throw error;
    throw new Problem(0, "The host does not answer. It has ended, or the network is away.");
  }
}

/**
 * @param {string} method
 * @param {string} path below `api/v1/`
 * @param {{ body?: BodyInit, note?: string, signature?: string, signal?: AbortSignal }} [rest]
 */
async function ask(method, path, { body, note, signature, signal } = {}) {
  /** @type {Record<string, string>} */
  const headers = { authorization: `Bearer ${token}` };
  if (user) headers["x-tidegate-user"] = user;
  if (note) headers["x-tidegate-note"] = field(note);
  if (signature) headers["x-tidegate-signature"] = signature;
  const asked = token;
  const answer = await reach(`api/v1/${path}`, { method, headers, body, signal });
  if (answer.ok) return answer;
  if (answer.status === 401 && token === asked) refused();
  throw await problem(answer);
}

/** @param {string} path */
export const get = async (path) => (await ask("GET", path)).json();

/**
 * Changes something: the answer of the host, if it has one.
 *
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body] a file as it is, anything else as JSON
 * @param {{ note?: string, signature?: string }} [rest] a note for the history, and the base64 of a .minisig file
 */
export async function change(method, path, body, rest) {
  const sent = body instanceof Blob || body === undefined ? body : JSON.stringify(body);
  const answer = await ask(method, path, { body: sent, ...rest });
  return answer.status === 204 ? undefined : answer.json();
}

/** The metrics as text. They need no token. */
export async function metrics() {
  const answer = await reach("metrics");
  if (!answer.ok) throw await problem(answer);
  return answer.text();
}

/** Whether the process is ready, and its words. */
export async function readiness() {
  const answer = await reach("readyz");
  return { ready: answer.ok, text: (await answer.text()).trim() };
}

/**
 * Follows server-sent events until they end or the signal stops them. Each is told with its name and data.
 *
 * @param {string} path
 * @param {AbortSignal} signal
 * @param {(name: string, data: unknown) => void} told
 * @param {() => void} begun
 */
export async function follow(path, signal, told, begun) {
  const answer = await ask("GET", path, { signal });
  const reader = /** @type {ReadableStream} */ (answer.body)
    .pipeThrough(new TextDecoderStream())
    .getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (text + value).split("\n\n");
    text = parts.pop() ?? "";
    for (const part of parts) {
      if (part.startsWith(":")) begun();
      else read(part, told);
    }
  }
}

/**
 * @param {string} part
 * @param {(name: string, data: unknown) => void} told
 */
function read(part, told) {
  let name = "message";
  let data = "";
  for (const line of part.split("\n")) {
    if (line.startsWith("event: ")) name = line.slice(7);
    if (line.startsWith("data: ")) data = line.slice(6);
  }
  if (data) told(name, JSON.parse(data));
}
