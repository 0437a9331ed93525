/** What the build makes, and what it says when it cannot. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { build } from "@tidegate/sdk/build";
import { bundle } from "../src/build/bundle.js";
import { split } from "../src/build/strip.js";

const SDK = JSON.stringify(fileURLToPath(new URL("../src/index.js", import.meta.url)));
const COMMAND = fileURLToPath(new URL("../bin/tidegate-sdk.js", import.meta.url));

/** @type {string} */
let folder;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "tidegate-build-"));
});

after(() => rm(folder, { recursive: true }));

/**
 * Builds an application from its text.
 *
 * @param {string} text
 */
async function make(text) {
  return build({ entry: await write(text), output: join(folder, "app.wasm") });
}

/** @param {string} text */
async function write(text) {
  const entry = join(folder, "app.js");
  await writeFile(entry, `import { app, channel, http, websocket } from ${SDK};\n${text}`);
  return entry;
}

/**
 * @param {string} text
 * @param {RegExp} message
 */
async function refuses(text, message) {
  await assert.rejects(make(text), (error) => {
    assert.equal(/** @type {Error} */ (error).name, "BuildError");
    assert.match(/** @type {Error} */ (error).message, message);
    return true;
  });
}

/**
 * The names of what a component exports.
 *
 * @param {Uint8Array} component
 */
function exported(component) {
  return [...split(component)]
    .filter(({ id }) => id === 11)
    .map(({ content }) => /tidegate:[a-z/@0-9.]+/.exec(Buffer.from(content).toString("latin1"))?.[0]);
}

test("the contract in the package is that of the project", async () => {
  const wit = new URL("../../../wit/", import.meta.url);
  for (const [version, from] of [
    ["0.1.0", wit],
    ["0.1.1", new URL("0.1.1/", wit)],
  ]) {
    const copy = new URL(`../wit/deps/channels-${version}/`, import.meta.url);
    const names = (await readdir(from)).filter((name) => name.endsWith(".wit")).sort();
    assert.deepEqual((await readdir(copy)).sort(), names);
    for (const name of names) {
      assert.equal(
        await readFile(new URL(name, copy), "utf8"),
        await readFile(new URL(name, from), "utf8"),
        `${version}/${name}`,
      );
    }
  }
});

test("a module exports its consumers and nothing else", async () => {
  const { output, bytes, inputs } = await make(
    'export default app({ a: http("GET /a", () => "a") });',
  );
  const component = await readFile(output);
  assert.equal(component.length, bytes);
  assert.ok(inputs.includes(join(folder, "app.js")));
  assert.deepEqual(exported(component), ["tidegate:channels/consumer@0.1.0"]);
  // A module that keeps no data and makes no requests imports neither, so that it runs on hosts without them.
  assert.doesNotMatch(component.toString("latin1"), /tidegate:channels\/(store|timers|outside)@/);
});

test("a module imports the store and requests where its code names them", async () => {
  for (const [code, part] of /** @type {const} */ ([
    ["(_, cx) => String(cx.store.counter(`a`))", "storing"],
    ["(_, { store }) => String(store.counter(`a`))", "storing"],
    ['(_, cx) => (cx["timer"]("a").cancel(), "")', "storing"],
    ['(_, cx) => (cx.sendAt("a", {}, 0), "")', "storing"],
    ['(_, cx) => (cx.fetch("http://a", { then: "a" }), "")', "fetching"],
    ['(_, { fetch }) => (fetch("http://a", { then: "a" }), "")', "fetching"],
    ["(_, cx) => `${cx.messageId} ${cx.attempt}`", "knowing-messages"],
    ['(_, cx) => cx.fetchNow("http://a").text()', "outgoing"],
    ['(_, cx) => (cx.present("a", "b"), "")', "meeting"],
    ['(_, cx) => (cx["presentUser"]("a"), "")', "meeting"],
    ['(_, cx) => String(cx?.memberCount("a"))', "meeting"],
    ['(_, cx) => cx["members"]("a").members.length + ""', "meeting"],
    ['(_, cx) => String(cx.connectionsOf("ada").count())', "reaching-users"],
    ['(_, { connectionsOf }) => String(connectionsOf)', "reaching-users"],
    ["() => { const connectionsOf = `ada`; return connectionsOf; }", undefined],
    ['(_, cx) => (cx.groupJoin("a", { after: cx.lastPosition("a") }), "")', "remembering"],
    ['(_, cx) => cx.lastPosition("a") ?? ""', undefined],
    ['(_, cx) => (cx.sessions().signIn("ada"), "")', "holding-sessions"],
    ['(request) => request.cookies.session ?? ""', undefined],
    ["(_, cx) => { const team = { members: [1], present: true }; return team.members; }", undefined],
    ["() => { const store = `timer`; return store; /* cx.store, cx.fetch */ }", undefined],
    ["() => { const fetch = (fetched) => fetched; return fetch(`fetch`); }", undefined],
  ])) {
    const entry = await write(`export default app({ a: http("GET /a", ${code}) });`);
    const bundled = await bundle(entry);
    assert.deepEqual(bundled.parts, part ? [part] : [], code);
    const imports = (/** @type {string} */ name) =>
      bundled.code.includes(`"tidegate:channels/${name}@`);
    for (const name of ["store", "timers"]) assert.equal(imports(name), part === "storing", code);
    assert.equal(imports("outside"), part === "fetching", code);
    assert.equal(imports("invocation"), part === "knowing-messages", code);
    assert.equal(imports("presence"), part === "meeting", code);
    assert.equal(imports("online"), part === "reaching-users", code);
    assert.equal(imports("history"), part === "remembering", code);
    assert.equal(imports("sessions"), part === "holding-sessions", code);
    assert.equal(bundled.code.includes('"wasx:http/'), part === "outgoing", code);
  }
});

test("a component has the imports of the parts that its code uses, and no others", async () => {
  const parts = ["store", "timers", "outside"];
  for (const [code, used] of /** @type {[string, string[]][]} */ ([
    ['(_, cx) => (cx.fetch("http://a", { then: "a" }), "")', ["outside"]],
    ['(_, cx) => (cx.fetch(String(cx.store.get("a")), { then: "a" }), "")', parts],
  ])) {
    const { output } = await make(`export default app({ a: http("GET /a", ${code}) });`);
    const component = await readFile(output, "latin1");
    const imported = parts.filter((part) => component.includes(`tidegate:channels/${part}@`));
    assert.deepEqual(imported, used);
  }
});

test("a module whose runs wait for servers imports wasi:http, and no other does", async () => {
  for (const [code, waits] of /** @type {const} */ ([
    ['(_, cx) => cx.fetchNow("http://a").text()', true],
    ['() => "wasi:http"', false],
  ])) {
    const { output } = await make(`export default app({ a: http("GET /a", ${code}) });`);
    const sections = [...split(await readFile(output))].filter(({ id }) => id === 10);
    const imports = sections.map(({ content }) => Buffer.from(content).toString("latin1")).join("");
    assert.equal(imports.includes("wasi:http/outgoing-handler@0.2.4"), waits);
    assert.doesNotMatch(imports, /wasx:/);
  }
});

test("a module has the classes that the engine lacks where its code names them, and the SDK names none", async () => {
  for (const [code, isNamed] of /** @type {const} */ ([
    ['(_, cx) => (cx.fetch(`${cx.store.get("a")}`, { then: "a" }), "")', false],
    ["() => new URL(`http://a`).host", true],
  ])) {
    const bundled = await bundle(await write(`export default app({ a: http("GET /a", ${code}) });`));
    assert.equal(bundled.inputs.some((path) => path.includes("core-js")), isNamed, code);
  }
});

const BOTH = ["tidegate:channels/consumer@0.1.0", "tidegate:channels/declarations@0.1.1"];

/** @type {[what: string, text: string, worlds: [named: string[], built: string[]]][]} */
const declaring = [
  [
    "a schedule in the code",
    'export default app({ a: channel("a", { schedule: { expression: "@daily" } }, () => {}) });',
    [["declaring"], BOTH],
  ],
  [
    "a schedule and data",
    'export default app({ a: channel("a", { schedule: { expression: "@daily" } }, (_, cx) => cx.store.add("a")) });',
    [["storing", "declaring"], BOTH],
  ],
  [
    "a schedule that the code does not name",
    'const name = ["sched", "ule"].join("");\nexport default app({ a: channel("a", { [name]: { expression: "@daily" } }, () => {}) });',
    [[], BOTH],
  ],
  [
    "a property of the same name, and no schedule",
    'const train = { schedule: "late" };\nexport default app({ a: http("GET /a", () => train.schedule) });',
    [["declaring"], BOTH.slice(0, 1)],
  ],
  [
    "presence in groups",
    'export default app({ a: channel("a", { presence: "room.*" }, (_, cx) => cx.info(`${cx.memberCount("room.a")}`)) });',
    [["meeting", "declaring"], BOTH],
  ],
  [
    "connections that are kept for lost clients",
    'export default app({ a: websocket("/a", { resume: 120_000 }) });',
    [["declaring"], BOTH],
  ],
  [
    "what is kept for a session",
    'export default app({ a: http("GET /a", { user: "optional" }, (_, cx) => `${cx.session().get()}`) });',
    [["storing", "holding-sessions", "declaring", "knowing-users"], BOTH],
  ],
  [
    "a bound on how often something is tried",
    'export default app({ a: http("GET /a", (_, cx) => `${cx.throttle("a", { limit: 1, window: 1000 }).count("a")}`) });',
    [["storing"], BOTH.slice(0, 1)],
  ],
  [
    "groups that are remembered, of which nothing is read",
    'export default app({ a: channel("a", { history: "room.*" }, () => {}) });',
    [["declaring"], BOTH],
  ],
  [
    "groups that are remembered, and read",
    'export default app({ a: http("GET /a", { history: "a" }, (_, cx) => cx.history("a").latest(1).position) });',
    [["remembering", "declaring"], BOTH],
  ],
  [
    "a history of another module",
    'export default app({ a: http("GET /a", (_, cx) => cx.history("a").latest(1).position) });',
    [["remembering", "declaring"], BOTH.slice(0, 1)],
  ],
  [
    "a property of the name `history`",
    'const browser = { history: [1] };\nexport default app({ a: http("GET /a", () => `${browser.history}`) });',
    [["declaring"], BOTH.slice(0, 1)],
  ],
  [
    "a user",
    'export default app({ a: http("GET /a", { user: "optional" }, (_, cx) => cx.user?.id ?? "") });',
    [["declaring", "knowing-users"], BOTH],
  ],
  [
    "claims and data",
    'export default app({ a: http("GET /a", { claims: { role: "admin" } }, (_, cx) => `${cx.store.counter("a")}`) });',
    [["storing", "declaring", "knowing-users"], BOTH],
  ],
  [
    "a user that the code does not name",
    'const name = ["us", "er"].join("");\nexport default app({ a: http("GET /a", { [name]: "required" }, (_, cx) => cx[name].id) });',
    [[], BOTH],
  ],
  [
    "properties of the same names, and no user",
    'const form = { user: "required", claims: 1 };\nexport default app({ a: http("GET /a", () => form.user) });',
    [["declaring", "knowing-users"], BOTH.slice(0, 1)],
  ],
  [
    "a property `user` alone",
    'export default app({ a: http("GET /a", () => ({ user: "ada" })) });',
    [[], BOTH.slice(0, 1)],
  ],
];

for (const [what, text, [named, built]] of declaring) {
  test(`a module exports declarations if a consumer has some: ${what}`, async () => {
    const bundled = await bundle(await write(text));
    assert.deepEqual(bundled.parts, named);
    const { output } = await make(text);
    const component = await readFile(output);
    assert.deepEqual(exported(component), built);
    // There is a user only where a consumer asks for one.
    const knows = component.toString("latin1").includes("tidegate:channels/users@");
    assert.equal(knows, built === BOTH && /user|claims|us", "er/.test(text));
  });
}

test("what is frozen into a module is refused", async () => {
  await refuses(
    'const value = Math.random();\nexport default app({ a: http("GET /a", () => String(value)) });',
    /Math\.random\(\) at the top level of a file.*Call it within a consumer\n.*app\.js:2/,
  );
  // One build for all others.
  const calls = [
    "crypto.randomUUID()",
    "crypto.getRandomValues(new Uint8Array(4))",
    "Date.now()",
    "new Date()",
    "Date()",
    "performance.now()",
  ];
  const said = (/** @type {string} */ call) =>
    `(() => { try { return "it gave " + ${call}; } catch (error) { return error.message; } })()`;
  const names = calls.map((call) => `${call.replace(/\(.*/, "")}\\(\\)`.replaceAll(".", "\\."));
  await refuses(
    `throw new Error([${calls.map(said).join(", ")}].join("; "));\nexport default app({});`,
    new RegExp(names.map((name) => `${name} at the top level of a file[^;]*`).join("; ")),
  );
});

test("an application that is none is refused with the fix", async () => {
  await refuses("app;", /no default export: write `export default app\(\{ \.\.\. \}\)`/);
  await refuses(
    "export default 7;",
    /the default export is the number 7: write `export default app/,
  );
  await refuses("export default app({", /app\.js:2:\d+: /);
  await refuses(
    'import fs from "node:fs"; export default app({ a: fs });',
    /"node:fs" is a part of Node, which a module does not have/,
  );
  await refuses(
    'import x from "not-installed"; export default app({ a: x });',
    /Could not resolve "not-installed": install it with `npm install`/,
  );
  await refuses(
    "export default await app({});",
    /[Tt]op-level await.*: await within a consumer instead/,
  );
  await refuses(
    "const x = missing.y; export default app({});",
    /missing is not defined[^]*app\.js:2/,
  );
});

test("the command names the fix", () => {
  const run = (/** @type {string[]} */ ...args) =>
    spawnSync(process.execPath, [COMMAND, ...args], { encoding: "utf8" });
  const usage = run();
  assert.equal(usage.status, 2);
  assert.match(usage.stderr, /^a command is missing\n\nUsage: tidegate-sdk build ENTRY/);
  const absent = run("build", "absent.js");
  assert.equal(absent.status, 1);
  assert.equal(
    absent.stderr,
    "absent.js: there is no such file: name the one that has `export default app({ ... })`\n",
  );
  assert.equal(run("build", "--wrong", "a.js").status, 2);
  assert.equal(run("--help").status, 0);
});
