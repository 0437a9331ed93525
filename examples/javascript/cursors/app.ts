/** A shared drawing: who is there, where their pointers are, and what they draw. */

import { Response, app, http, websocket } from "@tidegate/sdk";
import type { Socket } from "@tidegate/sdk";

import css from "../../cursors/src/page/page.css?text";
import page from "../../cursors/src/page/page.html?text";
import script from "../../cursors/src/page/page.js?text";
import { client, serve, tagged } from "../chat/files.js";
import { Refused, checkKey, checkName, checkStroke, hue, isPlace, readBoard } from "./board.ts";
import type { Place } from "./board.ts";

const pages = tagged({ "page.css": css, "page.js": script });

const showPage = () =>
    Response.html(page, {
        headers: {
            "cache-control": "no-cache",
            "content-security-policy": "default-src 'self'; img-src data:",
        },
    });

const first = http("GET /cursors", showPage);
const any = http("GET /cursors/{board}", { params: { board: readBoard } }, showPage);
const pageFile = http("GET /cursors/page/{file}", (request) => serve(pages, request));
const clientFile = http("GET /cursors/tidegate/{file}", (request) => serve(client, request));

/** The member that a connection belongs to. There is none before the client has said who it is. */
type State = { key: string } | null;
type Board = Socket<{ board: string }, State>;

/** A message from a client. */
type Incoming =
    | { type: "join"; key: string; name: string }
    | { type: "at"; at: Place }
    | { type: "draw"; stroke: Place[] };

const group = ({ params }: Board) => `board.${params.board}`;

const cursors = websocket("/cursors/{board}", {
    params: { board: readBoard },
    presence: { groups: "board.*", leaveAfter: 5000, interval: 250 },
    state: (): State => null,

    connect(socket) {
        socket.debug(`connected to ${group(socket)}`);
    },

    receive(socket, message) {
        try {
            const incoming = read(message);
            if (incoming.type === "join") join(socket, incoming.key, incoming.name);
            else tell(socket, incoming);
        } catch (error) {
            if (!(error instanceof Refused)) throw error;
            socket.sendJson({ type: "error", text: error.message });
        }
    },
});

function read(message: string | Uint8Array): Incoming {
    let said;
    try {
        said = typeof message === "string" ? JSON.parse(message) : undefined;
    } catch {
        said = undefined;
    }
    const { type, ...fields } = said ?? {};
    switch (Object.keys(fields).sort().join()) {
        case "key,name":
            if (type === "join" && typeof said.key === "string" && typeof said.name === "string") return said;
            break;
        case "at":
            if (type === "at" && isPlace(said.at)) return said;
            break;
        case "stroke":
            if (type === "draw" && checkStroke(said.stroke)) return said;
            break;
    }
    throw new Refused('Please send JSON like {"type": "at", "at": [500, 500]}.');
}

/** Joins the board. All connections with one key are one person. */
function join(socket: Board, key: string, name: string) {
    const facts = { hue: hue(checkKey(key)), name: checkName(name) };
    socket.present(group(socket), key, facts);
    socket.setState({ key });
}

/** Tells everybody on the board something. Nothing of it is kept, and it changes nothing of who is there. */
function tell(socket: Board, what: Incoming) {
    if (!socket.state) throw new Refused("Please join with a name first.");
    socket.groupSendJson(group(socket), { ...what, key: socket.state.key });
}

export default app({ first, any, pageFile, clientFile, cursors });
