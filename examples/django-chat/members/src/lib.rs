//! A room for those who are signed in at the Django site beside it.

use serde::{Deserialize, Serialize};
use tidegate_sdk::{Group, Handshake, Json, Result, Socket, Websocket, export, websocket};

/// A line of the chat, from a client and to all in the room.
#[derive(Serialize, Deserialize)]
struct Line {
    message: String,
}

/// The claims that the site adds to a token.
#[derive(Deserialize)]
struct Claims {
    name: String,
}

/// A connection to a room. Its group is `members.ROOM`, since the module is served as `members`.
struct Members {
    room: String,
}

#[websocket("/ws/members/{room}/")]
impl Websocket for Members {
    type State = ();
    type Incoming = Json<Line>;

    fn groups(&self) -> Vec<Group<'static>> {
        vec![self.room.clone().into()]
    }

    fn connect(&self, socket: &mut Socket<()>) -> Result<Handshake> {
        // The site closes the sockets of this group when the login of the user is over.
        let group = socket.user().map(|user| format!("user.{}", user.id()));
        if let Some(group) = group {
            socket.group_add(&group)?;
        }
        Ok(Handshake::accept())
    }

    fn receive(&self, socket: &mut Socket<()>, Json(line): Json<Line>) -> Result<()> {
        let Some(user) = socket.user() else { return Ok(()) };
        let Claims { name } = user.claims()?;
        let message = format!("{name}: {}", line.message);
        socket.group_send_json(&self.room, &Line { message })
    }
}

export! {
    #[user]
    Members
}
