//! The chat of the Channels tutorial, with its sockets held by Tidegate. The site beside it is Django's.

use serde::{Deserialize, Serialize};
use tidegate_sdk::{Group, Json, Result, Socket, Websocket, export, websocket};

/// A line of the chat, from a client and to all in the room.
#[derive(Serialize, Deserialize)]
struct Line {
    message: String,
}

/// A connection to a room. Its group is `chat.ROOM`, since the module is served as `chat`.
struct Chat {
    room: String,
}

#[websocket("/ws/chat/{room}/")]
impl Websocket for Chat {
    type State = ();
    type Incoming = Json<Line>;

    fn groups(&self) -> Vec<Group<'static>> {
        vec![self.room.clone().into()]
    }

    fn receive(&self, socket: &mut Socket<()>, Json(line): Json<Line>) -> Result<()> {
        socket.group_send_json(&self.room, &line)
    }
}

export! { Chat }
