/** The templates of `tidegate new`: their tests pass, their types fit, and they are built. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

import { driver, program, serve } from "./host.js";
import { fill, kinds, languages } from "./templates.js";

/** @type {string} */
let folder;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "tidegate-templates-"));
  for (const language of names) {
    for (const kind of kinds) await fill(language, kind, place(language, kind));
  }
});

after(() => rm(folder, { recursive: true }));

const names = /** @type {(keyof typeof languages)[]} */ (Object.keys(languages));

/**
 * @param {keyof typeof languages} language
 * @param {string} kind
 */
function place(language, kind) {
  return join(folder, language, `${kind}-of-ours`);
}

/**
 * Runs a program within a project.
 *
 * @param {string} project
 * @param {string} command
 * @param {string[]} args
 * @returns {Promise<string>} what it wrote
 * @throws {Error} it failed; the message has what it wrote
 */
async function run(project, command, ...args) {
  // A runner of tests that runs within another one reports to it, and not to its caller.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const running = promisify(execFile)(command, args, { cwd: project, env });
  const { stdout } = await running.catch((error) => {
    throw new Error(`${command} ${args.join(" ")}: ${error.stdout}${error.stderr}`);
  });
  return stdout;
}

for (const language of names) {
  for (const kind of kinds) {
    test(`the tests of the template ${kind} in ${language} pass`, async () => {
      const output = await run(place(language, kind), "npm", "test");
      assert.match(output, /^# pass [1-9]\d*$/m);
      assert.match(output, /^# fail 0$/m);
    });
  }
}

for (const kind of kinds) {
  test(`the types of the template ${kind} in typescript fit`, async () => {
    const project = place("typescript", kind);
    const tsc = join(project, "node_modules/typescript/bin/tsc");
    const read = await run(project, process.execPath, tsc, "--listFilesOnly");
    for (const file of ["app.ts", "app.test.ts"])
      assert.ok(read.includes(join(project, file)), file);
    await run(project, process.execPath, tsc);
  });
}

test("types that do not fit are found", async () => {
  const project = join(folder, "wrong");
  await fill("typescript", "channel", project);
  const file = join(project, "app.ts");
  const text = await readFile(file, "utf8");
  await writeFile(file, text.replace("const job: Job = { text }", "const job: Job = { text: 7 }"));
  await assert.rejects(
    run(project, process.execPath, join(project, "node_modules/typescript/bin/tsc")),
    /app\.ts\(\d+,\d+\): error TS2322: Type 'number' is not assignable to type 'string'/,
  );
});

/**
 * Builds a project as `tidegate build` does.
 *
 * @param {string} project
 * @returns {Promise<string>} the file
 */
async function built(project) {
  const [command = "", ...args] = await buildCommand(project);
  await run(project, join(project, command), ...args);
  const file = join(project, "build", `${basename(project)}.wasm`);
  assert.equal((await readFile(file)).subarray(0, 4).toString(), "\0asm");
  return file;
}

test("the template websocket in javascript is built", async () => {
  await built(place("javascript", "websocket"));
});

test("the template websocket in typescript is built, and answers on a host", async (t) => {
  const file = await built(place("typescript", "websocket"));
  if (!program) return;
  const host = await serve({ "websocket-of-ours": file });
  t.after(() => host.stop());
  const page = await fetch(`${host.address}/websocket-of-ours`);
  assert.match(await page.text(), /<title>websocket-of-ours<\/title>/);
  const client = driver(host.address);
  await client.open("one", {
    path: "/websocket-of-ours/socket",
    subprotocols: [],
    headers: {},
    user: undefined,
  });
  for (const [said = "", answer = ""] of [
    ["ahoy", "1: you said ahoy"],
    ["again", "2: you said again"],
  ]) {
    await client.send("one", said);
    assert.deepEqual(await client.receive("one"), { frame: answer });
  }
  await client.reset();
});

/**
 * The line of tidegate.toml that builds a project.
 *
 * @param {string} project
 * @returns {Promise<string[]>}
 */
async function buildCommand(project) {
  const settings = await readFile(join(project, "tidegate.toml"), "utf8");
  return JSON.parse(/^command = (\[.*\])$/m.exec(settings)?.[1] ?? "[]");
}
