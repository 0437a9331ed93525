/** Files that the browser loads: those of a page, and the JavaScript client as it is published. */

import { Response } from "@tidegate/sdk";

import codes from "../../../clients/js/src/codes.js?text";
import connection from "../../../clients/js/src/connection.js?text";
import delay from "../../../clients/js/src/delay.js?text";
import errors from "../../../clients/js/src/errors.js?text";
import events from "../../../clients/js/src/events.js?text";
import index from "../../../clients/js/src/index.js?text";
import options from "../../../clients/js/src/options.js?text";
import platform from "../../../clients/js/src/platform.js?text";
import positions from "../../../clients/js/src/positions.js?text";
import presence from "../../../clients/js/src/presence.js?text";
import queue from "../../../clients/js/src/queue.js?text";
import resume from "../../../clients/js/src/resume.js?text";
import socket from "../../../clients/js/src/socket.js?text";
import streams from "../../../clients/js/src/streams.js?text";
import token from "../../../clients/js/src/token.js?text";

/** @typedef {{ text: string, tag: string }} File */

export const client = tagged({
  "codes.js": codes,
  "connection.js": connection,
  "delay.js": delay,
  "errors.js": errors,
  "events.js": events,
  "index.js": index,
  "options.js": options,
  "platform.js": platform,
  "positions.js": positions,
  "presence.js": presence,
  "queue.js": queue,
  "resume.js": resume,
  "socket.js": socket,
  "streams.js": streams,
  "token.js": token,
});

/**
 * Runs while the module is built, so that no request computes a tag.
 *
 * @param {Record<string, string>} texts
 * @returns {Map<string, File>}
 */
export function tagged(texts) {
  return new Map(
    Object.entries(texts).map(([name, text]) => [name, { text, tag: `"${hash(text)}"` }]),
  );
}

/**
 * FNV-1a, with 32 bits.
 *
 * @param {string} text
 */
function hash(text) {
  let sum = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) sum = Math.imul(sum ^ text.charCodeAt(i), 0x01000193);
  return (sum >>> 0).toString(16).padStart(8, "0");
}

/**
 * The file of that name. The browser keeps it, and asks each time whether it is still the same.
 *
 * @param {Map<string, File>} files
 * @param {import("@tidegate/sdk").Request<{ file: string }>} request
 */
export function serve(files, request) {
  const { file: name } = request.params;
  const file = files.get(name);
  if (!file) return Response.text("There is no such file.\n", { status: 404 });
  const kept = request.header("if-none-match") ?? "";
  // A proxy that compresses makes the tag a weak one.
  const isSame = kept.split(",").some((tag) => tag.trim().replace(/^W\//, "") === file.tag);
  const type = name.endsWith(".css") ? "text/css" : "text/javascript";
  return new Response(isSame ? null : file.text, {
    status: isSame ? 304 : 200,
    headers: {
      "content-type": `${type}; charset=utf-8`,
      "cache-control": "no-cache",
      etag: file.tag,
      "x-content-type-options": "nosniff",
    },
  });
}
