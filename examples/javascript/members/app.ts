/** A room for members: the host knows who they are before anything here runs. */

import { Frame, app, http, websocket } from "@tidegate/sdk";
import type { User } from "@tidegate/sdk";

interface Claims {
    name: string;
}

const nameOf = (user: User<Claims> | undefined) => user?.claims.name ?? "somebody";

const page = http("GET /", { user: "optional" }, (_, cx) =>
    cx.user ? `Hello ${nameOf(cx.user)}!\n` : "Hello! Please sign in.\n",
);

const room = websocket("/room", {
    user: "required",
    incoming: "text",
    groups: () => ["room"],
    receive(socket, text) {
        socket.groupSend("room", Frame.text(`${nameOf(socket.user)}: ${text}`));
    },
    disconnect(socket) {
        socket.groupSend("room", Frame.text(`${nameOf(socket.user)} has left`));
    },
});

const clear = http("POST /clear", { claims: { role: ["admin", "owner"] } }, (_, cx) => {
    cx.groupSend("room", Frame.text(`${cx.user?.id} has cleared the room`));
    return `cleared by ${cx.user?.id}\n`;
});

const cellar = http("GET /cellar", { claims: { level: [3, 4], verified: true } }, (_, cx) => {
    return `${cx.user?.id} is in the cellar\n`;
});

export default app({ "/members": { page, room, clear, cellar } });
