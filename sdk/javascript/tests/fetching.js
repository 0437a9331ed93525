/** Requests to servers outside, as a test says; their results go to everybody who watches. */

import { FetchError, FetchFailed, Frame, app, badRequest, channel, http, websocket } from "@tidegate/sdk";

export default app({
  ask: http("POST /fetch", (request, cx) => {
    const { url, ...options } = request.json();
    const headers = { "x-mine": "yes", "x-bytes": Uint8Array.of(0xff) };
    try {
      cx.fetch(url, { headers, then: "fetching.done", timeout: 20_000, ...options });
    } catch (error) {
      const code = error instanceof FetchError ? error.code : undefined;
      throw badRequest(`${code}: ${/** @type {Error} */ (error).message}\n`);
    }
    return "asked\n";
  }),
  done: channel("fetching.done", { fetched: true, retries: 5 }, (fetched, cx) => {
    const { value, attempts, answer, failure } = fetched;
    const told = answer
      ? { status: answer.status, type: answer.header("Content-Type"), text: answer.text() }
      : { failure: `${failure}` };
    cx.groupSend("fetches", Frame.json({ value, attempts, ...told }));
  }),
  watch: websocket("/fetches", { groups: () => ["fetches"] }),
  now: http("POST /fetch-now", (request, cx) => {
    const { url, ...options } = request.json();
    try {
      const answer = cx.fetchNow(url, { headers: { "x-mine": "yes" }, timeout: 20_000, ...options });
      return { status: answer.status, type: answer.header("Content-Type"), text: answer.text() };
    } catch (error) {
      if (!(error instanceof FetchFailed)) throw error;
      return { reason: error.reason, text: error.message };
    }
  }),
});
