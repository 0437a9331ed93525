/**
 * Runs consumers natively, without WebAssembly and without a host: for tests.
 *
 * @module @tidegate/sdk/testing
 */

export { CaseError, runCases } from "./cases.js";
export { TestFetch } from "./fetch.js";
export { TestResponse } from "./http.js";
export { TestHost } from "./host.js";
export { TestData } from "./inspection.js";
export { Denied, TestSocket } from "./websocket.js";

/** @typedef {import("./cases.js").CaseUser} CaseUser */
/** @typedef {import("./cases.js").Driver} Driver */
/** @typedef {import("./cases.js").Received} Received */
/** @typedef {import("./host.js").HostOptions} HostOptions */
/** @typedef {import("./host.js").RequestOptions} RequestOptions */
/** @typedef {import("./host.js").WebsocketOptions} WebsocketOptions */
