/** The steps of cases as they stand in a file, and what they expect. */

/** @typedef {import("./cases.js").Driver} Driver */
/** @typedef {import("./cases.js").CaseResponse} CaseResponse */

const VERBS = ["request", "open", "send", "receive", "close", "expect_close"];
const USER = ["signed_in", "claims"];
const OPEN = ["path", "subprotocols", "headers", ...USER];
const STEP = [...VERBS, ...OPEN, "text", "json", "hex", "code", "expect"];
const REQUEST = ["method", "path", "headers", "body", "json", ...USER];
const EXPECT = ["status", "text", "json", "headers", "subprotocol", "denied"];

/**
 * @param {any} step
 * @returns {(driver: Driver) => Promise<void>}
 * @throws {Error} it makes no sense
 */
export function readStep(step) {
  checkKeys(step, STEP);
  checkKeys(step.expect ?? {}, EXPECT);
  const verbs = VERBS.filter((verb) => step[verb] !== undefined);
  const [verb] = verbs;
  if (verb === undefined || verbs.length > 1) {
    throw new Error(
      "a step has exactly one of request, open, send, receive, close and expect_close",
    );
  }
  const name = step[verb];
  switch (verb) {
    case "request": {
      const request = readRequest(name);
      return async (driver) => checkResponse(step.expect ?? {}, await driver.request(request));
    }
    case "open": {
      const { path, subprotocols = [], headers = {}, expect = {} } = step;
      if (path === undefined) throw new Error("`open` needs a path");
      const user = readUser(step);
      return async (driver) =>
        checkOpened(expect, await driver.open(name, { path, subprotocols, headers, user }));
    }
    case "send": {
      const content = readContent(step);
      const frame =
        "json" in content
          ? JSON.stringify(content.json)
          : "text" in content
            ? content.text
            : content.bytes;
      return (driver) => driver.send(name, frame);
    }
    case "receive": {
      const content = readContent(step);
      return async (driver) => checkFrame(content, await driver.receive(name));
    }
    case "close":
      return (driver) => driver.close(name, step.code ?? 1000);
    default: {
      if (step.code === undefined) throw new Error("`expect_close` needs a code");
      return async (driver) => {
        const got = await driver.receive(name);
        if ("close" in got && got.close.code === step.code) return;
        throw new Error(`expected a close with code ${step.code}, got ${show(got)}`);
      };
    }
  }
}

/**
 * @param {object} object
 * @param {string[]} known
 */
function checkKeys(object, known) {
  const other = Object.keys(object).find((key) => !known.includes(key));
  if (other !== undefined)
    throw new Error(`unknown field \`${other}\`, expected one of ${known.join(", ")}`);
}

/**
 * @param {any} request
 * @returns {import("./cases.js").CaseRequest}
 */
function readRequest(request) {
  checkKeys(request, REQUEST);
  const { method = "GET", path, headers = {}, body, json } = request;
  if (path === undefined) throw new Error("a request needs a path");
  if (body !== undefined && json !== undefined)
    throw new Error("a request has a body or JSON, not both");
  const user = readUser(request);
  if (json === undefined) return { method, path, headers, body: Buffer.from(body ?? ""), user };
  const typed = { ...headers, "content-type": "application/json" };
  return { method, path, headers: typed, body: Buffer.from(JSON.stringify(json)), user };
}

/**
 * @param {any} step
 * @returns {import("./cases.js").CaseUser | undefined}
 */
function readUser({ signed_in: id, claims }) {
  if (id !== undefined) return { id, claims: claims ?? {} };
  if (claims !== undefined)
    throw new Error("`claims` are those of a user: `signed_in` has the id");
  return undefined;
}

/** @typedef {{ text: string } | { json: unknown } | { bytes: Uint8Array }} Content */

/**
 * @param {any} step
 * @returns {Content}
 */
function readContent({ text, json, hex }) {
  if ([text, json, hex].filter((value) => value !== undefined).length !== 1) {
    throw new Error("a message has exactly one of text, json and hex");
  }
  if (text !== undefined) return { text };
  if (json !== undefined) return { json };
  if (!/^([0-9A-Fa-f]{2})*$/.test(hex))
    throw new Error(`\`${hex}\` is not pairs of hexadecimal digits`);
  return { bytes: Uint8Array.from(Buffer.from(hex, "hex")) };
}

/**
 * @param {any} expect
 * @param {CaseResponse} response
 */
function checkResponse(expect, { status, headers, body }) {
  const text = Buffer.from(body).toString();
  const got = `status ${status} with body ${JSON.stringify(text)}`;
  if (expect.status !== undefined && expect.status !== status)
    throw new Error(`expected status ${expect.status}, got ${got}`);
  if (expect.text !== undefined && expect.text !== text) {
    throw new Error(`expected the body ${JSON.stringify(expect.text)}, got ${got}`);
  }
  if (expect.json !== undefined && !matchesJson(expect.json, text))
    throw new Error(`expected ${show(expect.json)}, got ${got}`);
  for (const [name, expected] of Object.entries(expect.headers ?? {})) {
    const found = headers.filter(([field]) => field.toLowerCase() === name.toLowerCase());
    if (!found.some(([, value]) => expected === "*" || value === expected)) {
      throw new Error(`expected the header ${name}: ${expected}, got ${show(headers)}`);
    }
  }
}

/**
 * @param {any} expect
 * @param {import("./cases.js").Opened} got
 */
function checkOpened(expect, got) {
  if ("denied" in got) {
    if (got.denied === expect.denied) return;
  } else if (
    expect.denied === undefined &&
    (expect.subprotocol === undefined || expect.subprotocol === got.subprotocol)
  ) {
    return;
  }
  const expected =
    expect.denied !== undefined
      ? `a denial with status ${expect.denied}`
      : `an open connection${expect.subprotocol === undefined ? "" : ` with subprotocol ${expect.subprotocol}`}`;
  throw new Error(`expected ${expected}, got ${show(got)}`);
}

/**
 * @param {Content} expected
 * @param {import("./cases.js").Received} got
 */
function checkFrame(expected, got) {
  if ("close" in got) throw new Error(`expected a message, got a close: ${show(got.close)}`);
  const { frame } = got;
  const isExpected =
    "text" in expected
      ? frame === expected.text
      : "json" in expected
        ? typeof frame === "string" && matchesJson(expected.json, frame)
        : typeof frame !== "string" && Buffer.compare(frame, expected.bytes) === 0;
  if (!isExpected) throw new Error(`expected ${show(expected)}, got ${show(frame)}`);
}

/**
 * @param {unknown} expected
 * @param {string} text
 */
function matchesJson(expected, text) {
  try {
    return matches(expected, JSON.parse(text));
  } catch {
    return false;
  }
}

/**
 * Whether a value is as expected. The text `"*"` stands for any value, also within lists and maps.
 *
 * @param {any} expected
 * @param {any} got
 * @returns {boolean}
 */
function matches(expected, got) {
  if (expected === "*") return true;
  if (typeof expected !== "object" || expected === null) return expected === got;
  if (typeof got !== "object" || got === null || Array.isArray(expected) !== Array.isArray(got))
    return false;
  const keys = Object.keys(expected);
  return (
    keys.length === Object.keys(got).length &&
    keys.every((key) => Object.hasOwn(got, key) && matches(expected[key], got[key]))
  );
}

/** @param {unknown} value */
function show(value) {
  return JSON.stringify(value, (_, inner) => (inner instanceof Uint8Array ? [...inner] : inner));
}
