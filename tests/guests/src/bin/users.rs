//! Says who is at the other end, as far as the host lets in.

use serde::Deserialize;
use test_guests::{Watch, ok};
use tidegate_sdk::{
    Close, Context, Frame, Handshake, Request, Result, Socket, User, Websocket, export, http,
    websocket,
};

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    role: String,
}

/// The id, the role, and whether an end is known.
fn told(user: Option<&User>) -> Result<String> {
    let Some(user) = user else { return Ok("nobody".to_owned()) };
    let Claims { role } = user.claims()?;
    Ok(format!("{} {role} {}", user.id(), user.expires().is_some()))
}

#[http("GET|POST /me")]
fn me(user: User) -> Result<String> {
    told(Some(&user))
}

#[http("GET|POST /home")]
fn home(user: Option<User>, request: Request) -> Result<String> {
    Ok(format!("{} {:?}", told(user.as_ref())?, request.query_string()))
}

#[http("POST /close")]
fn close(user: User) -> String {
    format!("closed by {}", user.id())
}

/// Asks for no user, so there is none.
#[http("GET /open")]
fn open(cx: &mut Context) -> Result<String> {
    told(cx.user())
}

#[http("GET /forgotten")]
fn forgotten(user: User) -> String {
    user.id().to_owned()
}

struct Room;

#[websocket("/room")]
impl Websocket for Room {
    type State = ();
    type Incoming = String;

    fn connect(&self, socket: &mut Socket<()>) -> Result<Handshake> {
        let wanted =
            socket.scope().is_some_and(|it| it.subprotocols().contains(&"chat".to_owned()));
        Ok(if wanted { Handshake::accept().subprotocol("chat") } else { Handshake::accept() })
    }

    fn receive(&self, socket: &mut Socket<()>, text: String) -> Result<()> {
        let who = told(socket.user())?;
        let facts = socket.scope().map(|scope| {
            let field = scope.header("sec-websocket-protocol").unwrap_or_default().to_owned();
            format!("{:?} {field:?}", scope.subprotocols())
        });
        let text = format!("{who}: {text} {}", facts.unwrap_or_default());
        Ok(socket.send(text)?)
    }

    fn disconnect(&self, socket: &mut Socket<()>, _: Close) -> Result<()> {
        let who = told(socket.user())?;
        Ok(socket.group_send("watch", &Frame::text(format!("{who} left")))?)
    }
}

export! {
    #[user]
    me,
    #[user(optional)]
    home,
    #[claims(role = ["admin", "owner"])]
    close,
    open,
    forgotten,
    #[user]
    Room,
    Watch,
    ok,
}

fn main() {}
