/** Consumers of HTTP requests. */

import { ACCESS_OPTIONS, readAccess } from "../access.js";
import { kind } from "../bytes.js";
import { replying } from "../calls.js";
import { isPlain } from "../content.js";
import { Context } from "../context.js";
import { DeclarationError, HttpError } from "../errors.js";
import { readHistory } from "../history.js";
import { BadParam, checkReaders, readParams } from "../params.js";
import { readPresence } from "../presence.js";
import { Request } from "../request.js";
import { Hold, Response, Streamed } from "../response.js";
import { checkFunction, checkPath, readGuards, readOptions, readRoute } from "../route.js";
import { after } from "../settle.js";

/** @typedef {import("../types.js").Consumer} Consumer */
/** @typedef {import("../types.js").Host} Host */

const OPTIONS = ["params", "host", "headers", ...ACCESS_OPTIONS, "presence", "history", "disconnect"];

/**
 * Makes a consumer of HTTP requests.
 *
 * ```js
 * http("GET /hello/{name}", ({ params }) => `Hello, ${params.name}!\n`)
 * ```
 *
 * The route has one or more methods, a space and a path: `{name}` stands for one segment, `{*rest}`
 * at the end for what is left. `HEAD` is answered by the consumer of `GET`, without the body. The
 * handler returns text, an object or an array (JSON), a `Response`, `cx.hold(...)` or
 * `cx.endStream()`, or a promise of one of these.
 *
 * @template {string} Path
 * @template {import("../types.js").Parsers<Path>} [Readers={}]
 * @overload
 * @param {`${string} ${Path}`} route
 * @param {import("../types.js").HttpHandler<import("../types.js").Params<Path, Readers>>} handler
 * @returns {Consumer}
 */
/**
 * Makes a consumer of HTTP requests.
 *
 * ```js
 * http("GET /hello/{name}", ({ params }) => `Hello, ${params.name}!\n`)
 * ```
 *
 * The route has one or more methods, a space and a path: `{name}` stands for one segment, `{*rest}`
 * at the end for what is left. `HEAD` is answered by the consumer of `GET`, without the body. The
 * handler returns text, an object or an array (JSON), a `Response`, `cx.hold(...)` or
 * `cx.endStream()`, or a promise of one of these.
 *
 * @template {string} Path
 * @template {import("../types.js").Parsers<Path>} [Readers={}]
 * @overload
 * @param {`${string} ${Path}`} route
 * @param {import("../types.js").HttpOptions<Readers>} options
 * @param {import("../types.js").HttpHandler<import("../types.js").Params<Path, Readers>>} handler
 * @returns {Consumer}
 */
/**
 * @param {string} route
 * @param {any} optionsOrHandler
 * @param {any} [handlerAfterOptions]
 * @returns {Consumer}
 * @throws {DeclarationError} the route or an option is wrong
 */
export function http(route, optionsOrHandler, handlerAfterOptions) {
  const { methods, path } = readRoute(route);
  const what = `http(${JSON.stringify(route)})`;
  const handler = typeof optionsOrHandler === "function" ? optionsOrHandler : handlerAfterOptions;
  const given = typeof optionsOrHandler === "function" ? {} : optionsOrHandler;
  if (typeof handler !== "function")
    throw new DeclarationError(`${what}: the handler is ${kind(handler)}: give a function`);
  const options = readOptions(given, OPTIONS, what);
  checkFunction(options.disconnect, `${what}: disconnect`);
  const readers = checkReaders(options.params, checkPath(path), what);
  const guards = readGuards(options, what);
  return {
    trigger: {
      tag: "http",
      val: { methods, path, guards, disconnect: options.disconnect !== undefined },
    },
    access: readAccess(options, what),
    presence: readPresence(options.presence, what),
    history: readHistory(options.history, what),
    run(run, event) {
      switch (event.tag) {
        case "http-request":
          return answer(run, event.val, readers, handler);
        case "http-disconnect":
          return options.disconnect(new Context(run, event.val.replyChannel));
        default:
          throw new Error(`the consumer is made for HTTP and not for ${event.tag}`);
      }
    },
  };
}

/**
 * @param {import("../types.js").Run} run
 * @param {{ scope: import("../types.js").WireScope, body: Uint8Array }} event
 * @param {import("../params.js").Readers} readers
 * @param {(request: Request, cx: Context) => unknown} handler
 * @returns {unknown}
 */
function answer(run, { scope, body }, readers, handler) {
  let params;
  try {
    params = readParams(scope.pathParams, readers);
  } catch (error) {
    if (error instanceof BadParam)
      return reply(run.host, Response.text("not found\n", { status: 404 }));
    return refuse(run.host, error);
  }
  const request = new Request(scope, body, params);
  const cx = new Context(run, scope.replyChannel, request);
  return after(
    () => handler(request, cx),
    (value) => reply(run.host, value),
    (error) => refuse(run.host, error),
  );
}

/**
 * @param {Host} host
 * @param {unknown} error
 */
function refuse(host, error) {
  if (error instanceof HttpError) return reply(host, error.response);
  if (error instanceof Response) return reply(host, error);
  throw error;
}

/**
 * @param {Host} host
 * @param {unknown} value
 */
function reply(host, value) {
  if (value instanceof Streamed) return;
  if (value instanceof Hold) {
    const { timeout, fallback } = value.toWire();
    replying(() => host.hold(timeout, fallback));
    return;
  }
  const response = asResponse(value).toWire();
  replying(() => host.respond(response));
}

/**
 * @param {unknown} value
 * @returns {Response}
 */
function asResponse(value) {
  if (value instanceof Response) return value;
  if (typeof value === "string") return Response.text(value);
  if (isPlain(value) || Array.isArray(value)) return Response.json(value);
  throw new TypeError(
    `the consumer returned ${kind(value)}: return text, an object or an array (JSON), a Response, cx.hold() or cx.endStream()`,
  );
}
