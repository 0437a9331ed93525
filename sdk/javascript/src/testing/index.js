/**
 * Runs consumers natively, without WebAssembly and without a host: for tests.
 *
 * @module @tidegate/sdk/testing
 */

export { CaseError, runCases } from "./cases.js";
export { TestResponse } from "./http.js";
export { TestHost } from "./host.js";
export { Denied, TestSocket } from "./websocket.js";
