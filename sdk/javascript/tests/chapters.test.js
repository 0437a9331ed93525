/** The code in JavaScript of the project's chapters runs as it stands there. */

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

import { TestHost } from "../src/testing/index.js";

/**
 * A host for each application of a page, in order.
 *
 * @param {string} name
 * @returns {Promise<TestHost[]>}
 */
async function hosts(name) {
  const page = await readFile(new URL(`../../../docs/${name}`, import.meta.url), "utf8");
  const blocks = [...page.matchAll(/^```js\n(.*?)^```/gms)].map(([, block = ""]) => block);
  const sdk = new URL("../src/index.js", import.meta.url).href;
  const folder = await mkdtemp(join(tmpdir(), "tidegate-chapters-"));
  const found = [];
  try {
    // Others are for a browser.
    for (const [number, block] of blocks.filter((it) => it.includes("export default")).entries()) {
      const file = join(folder, `${number}.mjs`);
      await writeFile(file, block.replace("@tidegate/sdk", sdk));
      const { default: app } = await import(pathToFileURL(file).href);
      found.push(new TestHost(app));
    }
  } finally {
    await rm(folder, { recursive: true });
  }
  return found;
}

test("the chapters of consumers do what they say", async () => {
  const [tide, thumbnails, visits, ...others] = await hosts("consumers.md");
  assert.ok(tide && thumbnails && visits && others.length === 0);
  const watch = await tide.websocket("/tide");
  assert.equal((await tide.request("POST", "/tide/3")).text(), "noted\n");
  assert.deepEqual(watch.receiveJson(), { level: 3 });
  await thumbnails.send("thumbnails.make", { name: "whale" });
  const { by, attempt } = thumbnails.data.get("thumbnail:whale");
  assert.deepEqual([by.length, attempt], [32, 1]);
  for (const count of ["1", "2"])
    assert.equal((await visits.request("POST", "/visits/tea")).text(), count);
});

test("the chapter of users does what it says", async () => {
  const [room, inbox, ...others] = await hosts("users.md");
  assert.ok(room && inbox && others.length === 0);
  const ada = { signedIn: "ada", claims: { name: "Ada", role: "owner" } };
  assert.equal((await room.get("/")).text(), "Hello! Please sign in.\n");
  assert.equal((await room.get("/", ada)).text(), "Hello Ada!\n");
  await assert.rejects(room.websocket("/room"), { status: 401 });
  const socket = await room.websocket("/room", ada);
  await socket.send("high tide");
  assert.equal(socket.receive(), "Ada: high tide");
  const bob = { signedIn: "bob", claims: { role: "reader" } };
  assert.equal((await room.request("POST", "/clear", bob)).status, 403);
  assert.equal((await room.request("POST", "/clear", ada)).text(), "cleared by ada\n");
  const tabs = [await inbox.websocket("/inbox", ada), await inbox.websocket("/inbox", ada)];
  assert.equal((await inbox.request("POST", "/parcels/ada")).text(), "2 tabs are open\n");
  assert.equal((await inbox.request("POST", "/sign-out-everywhere", ada)).status, 200);
  for (const tab of tabs)
    assert.deepEqual([tab.receive(), tab.closed?.code], ["a parcel has come", 4000]);
});
