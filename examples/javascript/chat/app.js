/** A chat with rooms: a page, and a WebSocket on the same path. */

import { Frame, Response, app, http, websocket } from "@tidegate/sdk";

import css from "../../chat/src/page/page.css?text";
import page from "../../chat/src/page/page.html?text";
import script from "../../chat/src/page/page.js?text";
import { client, serve, tagged } from "./files.js";
import { Wrong, readId, readLine, readName, readRoom } from "./text.js";

const pages = tagged({ "page.css": css, "page.js": script });

/** The lines of a room that are kept, and shown to who joins. */
const LINES = 100;
const DAY = 24 * 3_600_000;

const showPage = () =>
  Response.html(page, {
    headers: {
      "cache-control": "no-cache",
      "content-security-policy": "default-src 'self'; img-src data:",
    },
  });

const lobby = http("GET /chat", showPage);
const room = http("GET /chat/{room}", { params: { room: readRoom } }, showPage);
const pageFile = http("GET /chat/page/{file}", (request) => serve(pages, request));
const clientFile = http("GET /chat/tidegate/{file}", (request) => serve(client, request));

/** @typedef {{ name: string, id?: string }} Member who a connection belongs to; told to everybody in the room */

const chat = websocket("/chat/{room}", {
  params: { room: readRoom },
  history: { "room.*": { messages: LINES, age: DAY, bytes: 2 ** 20 } },
  resume: 120_000,
  // There is none before the client has said its name.
  state: () => /** @type {Member | null} */ (null),

  connect(socket) {
    socket.debug(`connected to ${group(socket)}`);
  },

  receive(socket, message) {
    try {
      const said = read(message);
      if (said.type === "join") join(socket, said);
      else say(socket, said);
    } catch (error) {
      if (!(error instanceof Wrong)) throw error;
      socket.sendJson({ type: "error", text: error.message });
    }
  },

  disconnect(socket) {
    if (socket.state) socket.groupSendJson(group(socket), { type: "left", ...socket.state });
  },
});

/** @param {{ params: { room: string } }} socket */
function group({ params }) {
  return `room.${params.room}`;
}

/** The keys of what a client may say, after its type. With `remember` it knows positions, and wants lines that it has missed. */
const KEYS = { join: ["name", "id", "remember"], say: ["text"] };

/**
 * @param {string | Uint8Array} message
 * @returns {{ type: string, name?: unknown, id?: unknown, remember?: boolean, text?: unknown }}
 * @throws {Wrong}
 */
function read(message) {
  let said;
  try {
    said = JSON.parse(/** @type {string} */ (message));
  } catch {
    said = undefined;
  }
  const { type, ...fields } = said ?? {};
  const known = Object.hasOwn(KEYS, String(type))
    ? KEYS[/** @type {"join" | "say"} */ (type)]
    : undefined;
  if (
    typeof message !== "string" ||
    !known ||
    !Object.keys(fields).every((key) => known.includes(key)) ||
    !["undefined", "boolean"].includes(typeof fields.remember)
  ) {
    throw new Wrong('Please send JSON like {"type": "say", "text": "Hello"}.');
  }
  return said;
}

/**
 * @param {import("@tidegate/sdk").Socket<{ room: string }, Member | null>} socket
 * @param {{ name?: unknown, id?: unknown, remember?: boolean }} said
 */
function join(socket, said) {
  if (socket.state) throw new Wrong("You have a name already.");
  const name = readName(said.name);
  const id = said.id === undefined || said.id === null ? undefined : readId(said.id);
  const who = id === undefined ? { name } : { name, id };
  socket.setState(who);
  // First in, then the notice: whoever joins sees it too, and knows that it worked.
  const room = group(socket);
  if (said.remember) socket.groupJoin(room, { after: socket.lastPosition(room), latest: LINES });
  else socket.groupAdd(room);
  socket.groupSendJson(room, { type: "joined", ...who });
}

/**
 * @param {import("@tidegate/sdk").Socket<{ room: string }, Member | null>} socket
 * @param {{ text?: unknown }} said
 */
function say(socket, said) {
  if (!socket.state) throw new Wrong("Please join with a name first.");
  const text = readLine(said.text);
  socket.groupSend(group(socket), Frame.json({ type: "said", ...socket.state, text }));
}

export default app({ lobby, room, pageFile, clientFile, chat });
