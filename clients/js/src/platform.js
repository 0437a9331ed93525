/** What the client needs of the world around it. A test gives its own. */

/**
 * @typedef {object} Platform
 * @property {typeof WebSocket} WebSocket
 * @property {() => number} now milliseconds that only grow
 * @property {(run: () => void, delay: number) => unknown} setTimeout
 * @property {(timer: any) => void} clearTimeout
 * @property {() => number} random from 0 to below 1
 * @property {Page} page
 */

/**
 * The page that the client lives in.
 *
 * @typedef {object} Page
 * @property {() => boolean} online false when there is surely no network
 * @property {() => boolean} hidden true when nobody sees the page
 * @property {(page: { wake(): void, leave(): void }, signal: AbortSignal) => void} watch calls
 *   `wake` when it is worth trying at once, and `leave` when the page is left
 */

/** @type {Page} */
const page = {
  online: () => globalThis.navigator?.onLine !== false,
  hidden: () => globalThis.document?.visibilityState === "hidden",
  watch({ wake, leave }, signal) {
    // None of it is there in Node, and there is no document in a worker.
    const { addEventListener, document } = globalThis;
    addEventListener?.("online", wake, { signal });
    // A browser may keep a page that was left, and its connection with it, and show it again.
    addEventListener?.("pagehide", leave, { signal });
    addEventListener?.("pageshow", wake, { signal });
    document?.addEventListener("visibilitychange", () => page.hidden() || wake(), { signal });
  },
};

/**
 * @param {Partial<Platform>} given
 * @returns {Platform}
 */
export function platform(given) {
  return {
    WebSocket: globalThis.WebSocket,
    now: () => performance.now(),
    setTimeout: (run, delay) => setTimeout(run, delay),
    clearTimeout: (timer) => clearTimeout(timer),
    random: Math.random,
    page,
    ...given,
  };
}
