//! A room for members: the host knows who they are before anything here runs.

use serde::Deserialize;
use tidegate_sdk::{
    Close, Context, Frame, Handshake, Result, Socket, User, Websocket, export, http, websocket,
};

#[derive(Deserialize)]
struct Claims {
    name: String,
}

#[http("GET /")]
fn page(user: Option<User>) -> Result<String> {
    Ok(match user {
        Some(user) => format!("Hello {}!\n", user.claims::<Claims>()?.name),
        None => "Hello! Please sign in.\n".to_owned(),
    })
}

struct Room;

#[websocket("/room")]
impl Websocket for Room {
    type State = ();
    type Incoming = String;

    fn connect(&self, socket: &mut Socket<()>) -> Result<Handshake> {
        socket.group_add("room")?;
        Ok(Handshake::accept())
    }

    fn receive(&self, socket: &mut Socket<()>, text: String) -> Result<()> {
        let line = format!("{}: {text}", name(socket.user())?);
        Ok(socket.group_send("room", &Frame::text(line))?)
    }

    fn disconnect(&self, socket: &mut Socket<()>, _: Close) -> Result<()> {
        let line = format!("{} has left", name(socket.user())?);
        Ok(socket.group_send("room", &Frame::text(line))?)
    }
}

fn name(user: Option<&User>) -> Result<String> {
    user.map_or_else(|| Ok("somebody".to_owned()), |user| Ok(user.claims::<Claims>()?.name))
}

#[http("POST /clear")]
fn clear(cx: &mut Context, user: User) -> Result<String> {
    cx.group_send("room", &Frame::text(format!("{} has cleared the room", user.id())))?;
    Ok(format!("cleared by {}\n", user.id()))
}

#[http("GET /cellar")]
fn cellar(user: User) -> String {
    format!("{} is in the cellar\n", user.id())
}

export! {
    "/members" => {
        #[user(optional)]
        page,
        #[user]
        Room,
        #[claims(role = ["admin", "owner"])]
        clear,
        #[claims(level = [3, 4], verified = true)]
        cellar,
    },
}
