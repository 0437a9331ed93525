/** An HTTP request. */

import { lossy, utf8 } from "./bytes.js";
import { HttpError, badRequest } from "./errors.js";
import { Query } from "./query.js";
import { Scope } from "./scope.js";

const FORM = "application/x-www-form-urlencoded";
const JSON_TYPE = /^application\/(json|[^]*\+json)$/;

/**
 * An HTTP request. It has the facts of its connection, such as `method`, `path`, `query`, `cookies`
 * and `header("accept")`.
 *
 * @template {Record<string, any>} [Params=Record<string, string>]
 */
export class Request extends Scope {
  #body;

  /**
   * @param {import("./types.js").WireScope} scope
   * @param {Uint8Array} body
   * @param {Params} params
   */
  constructor(scope, body, params) {
    super(scope);
    this.#body = body;
    /** What each `{name}` of the route's path stands for. @type {Params} */
    this.params = params;
  }

  /** The body. */
  get body() {
    return this.#body;
  }

  /**
   * The body as text.
   *
   * @returns {string}
   * @throws {HttpError} the body is not UTF-8: status 400
   */
  text() {
    const text = utf8(this.#body);
    if (text === undefined) throw badRequest("body: it is not UTF-8\n");
    return text;
  }

  /**
   * The body as JSON, whatever its content type. Check what it has: it comes from a client.
   *
   * @returns {any}
   * @throws {HttpError} the body is not JSON: status 400, with a text that says where
   */
  json() {
    const text = this.text();
    try {
      return JSON.parse(text);
    } catch (error) {
      throw badRequest(`body: ${/** @type {Error} */ (error).message}\n`);
    }
  }

  /**
   * The body as JSON, of a client that says so: a page of another site can send JSON under other
   * content types without asking the server first. Check what it has: it comes from a client.
   *
   * @returns {any}
   * @throws {HttpError} another content type than `application/json`, or one that ends with
   *   `+json`: status 415. The body is not JSON: status 400, with a text that says where
   */
  typedJson() {
    this.#checkType("application/json", (type) => JSON_TYPE.test(type));
    return this.json();
  }

  /**
   * The body of an HTML form: `form().get("name")`.
   *
   * @returns {Query}
   * @throws {HttpError} another content type than `application/x-www-form-urlencoded`: status 415
   */
  form() {
    this.#checkType(FORM, (type) => type === FORM);
    return new Query(lossy(this.#body));
  }

  /**
   * @param {string} expected
   * @param {(type: string) => boolean} fits
   * @throws {HttpError} status 415
   */
  #checkType(expected, fits) {
    const header = this.header("content-type");
    const [type = ""] = (header ?? "").split(";");
    if (fits(type.trim().toLowerCase())) return;
    const found = header === undefined ? "is missing" : `is \`${header}\``;
    throw new HttpError(415, `header \`content-type\`: ${found}, expected \`${expected}\`\n`);
  }
}
