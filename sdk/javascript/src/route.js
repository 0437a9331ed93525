/** Routes and names as consumers declare them, checked while the module is built. */

import { bytes, kind } from "./bytes.js";
import { DeclarationError } from "./errors.js";

/** @typedef {import("./types.js").WireGuards} WireGuards */

const TOKEN = /^[A-Z][A-Z-]*$/;
const PARAMETER = /^\{(\*?)([A-Za-z_][A-Za-z0-9_]*)\}$/;
const NAME = /^[A-Za-z0-9._-]{1,99}$/;

/**
 * @param {unknown} route such as `GET|POST /users/{id}`
 * @returns {{ methods: string[], path: string }}
 * @throws {DeclarationError}
 */
export function readRoute(route) {
  if (typeof route !== "string")
    throw new DeclarationError(`a route is ${kind(route)}: give text such as "GET /users/{id}"`);
  const [methods = "", path, ...rest] = route.split(" ");
  if (path === undefined || rest.length > 0 || !path.startsWith("/")) {
    throw new DeclarationError(
      `route ${JSON.stringify(route)}: it has one or more methods, a space and a path, as "GET|POST /users/{id}"`,
    );
  }
  const listed = methods.split("|");
  for (const [i, method] of listed.entries()) {
    if (!TOKEN.test(method)) {
      throw new DeclarationError(
        `route ${JSON.stringify(route)}: ${JSON.stringify(method)} is not a method in upper case`,
      );
    }
    if (listed.indexOf(method) !== i)
      throw new DeclarationError(`route ${JSON.stringify(route)}: ${method} stands there twice`);
  }
  checkPath(path);
  return { methods: listed, path };
}

/**
 * @param {unknown} path
 * @returns {string[]} the names of its parameters
 * @throws {DeclarationError}
 */
export function checkPath(path) {
  if (typeof path !== "string" || !path.startsWith("/")) {
    throw new DeclarationError(`path ${JSON.stringify(path)}: it is text that begins with /`);
  }
  /** @type {string[]} */
  const names = [];
  const segments = path.split("/").slice(1);
  for (const [i, segment] of segments.entries()) {
    if (!/[{}]/.test(segment)) continue;
    const [, rest, name = ""] = PARAMETER.exec(segment) ?? [];
    if (!name) {
      throw new DeclarationError(
        `path ${JSON.stringify(path)}: ${JSON.stringify(segment)} is not a whole segment such as {id}, or {*rest} at the end`,
      );
    }
    if (rest && i < segments.length - 1) {
      throw new DeclarationError(
        `path ${JSON.stringify(path)}: {*${name}} stands at the end, and nothing behind it`,
      );
    }
    if (names.includes(name))
      throw new DeclarationError(`path ${JSON.stringify(path)}: {${name}} stands there twice`);
    names.push(name);
  }
  return names;
}

/**
 * @param {unknown} name
 * @param {string} what
 * @returns {string}
 * @throws {DeclarationError}
 */
export function checkName(name, what) {
  if (typeof name !== "string" || !NAME.test(name)) {
    throw new DeclarationError(
      `${what} ${JSON.stringify(name)}: it has 1 to 99 of a-z A-Z 0-9 . _ -`,
    );
  }
  return name;
}

/**
 * @param {import("./types.js").Guards} options
 * @param {string} what
 * @returns {WireGuards}
 * @throws {DeclarationError}
 */
export function readGuards(options, what) {
  const { host, headers = {} } = options;
  if (host !== undefined && typeof host !== "string") {
    throw new DeclarationError(
      `${what}: host is ${kind(host)}: give text such as "api.example.com"`,
    );
  }
  const fields = Object.entries(headers).map(([name, value]) => {
    if (typeof value !== "string") {
      throw new DeclarationError(
        `${what}: the header field ${name} is ${kind(value)}: give the text that it must be`,
      );
    }
    return { name: name.toLowerCase(), value: bytes(value, "") };
  });
  return { host: host?.toLowerCase(), headers: fields };
}

/**
 * Refuses an option that does not exist, which is a slip of the pen.
 *
 * @param {unknown} options
 * @param {readonly string[]} known
 * @param {string} what
 * @returns {Record<string, any>}
 * @throws {DeclarationError}
 */
export function readOptions(options, known, what) {
  if (typeof options !== "object" || options === null) {
    throw new DeclarationError(`${what}: its options are ${kind(options)}: give an object`);
  }
  for (const name of Object.keys(options)) {
    if (name === "schedule" && !known.includes(name)) {
      throw new DeclarationError(
        `${what}: a schedule sends a message to the channel of a consumer, and this consumer has none: give it to channel("reports.make", { schedule }, handler)`,
      );
    }
    if ((name === "user" || name === "claims") && known.includes("retries")) {
      throw new DeclarationError(
        `${what}: a message of a channel has no user: give \`${name}\` to consumers of HTTP and WebSockets`,
      );
    }
    if (name === "resume" && !known.includes(name)) {
      throw new DeclarationError(
        `${what}: resume is for connections that stay open: give it to a consumer of WebSockets, as in websocket("/chat", { resume: 120_000 })`,
      );
    }
    if (!known.includes(name)) {
      throw new DeclarationError(
        `${what}: there is no option \`${name}\`; there are ${known.join(", ")}`,
      );
    }
  }
  return options;
}

/**
 * @param {unknown} value
 * @param {string} what
 * @throws {DeclarationError}
 */
export function checkFunction(value, what) {
  if (value !== undefined && typeof value !== "function") {
    throw new DeclarationError(`${what} is ${kind(value)}: give a function`);
  }
}
