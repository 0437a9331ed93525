//! Reaches the connections of users.

use std::time::Duration;

use tidegate_sdk::{
    Context, Frame, Group, Handshake, OnlineError, Reply, Response, Result, Socket, User,
    Websocket, export, http, websocket,
};

/// Who is in it says where a message came in relation to others.
struct Room;

#[websocket("/room")]
impl Websocket for Room {
    type State = ();
    type Incoming = String;

    fn connect(&self, socket: &mut Socket<()>) -> Result<Handshake> {
        let user = socket.user().map(|user| user.id().to_owned()).unwrap_or_default();
        if socket.scope().is_some_and(|scope| scope.query_string() == "greet") {
            // Its own connection is one of them already, and gets this when it is let in.
            socket.connections_of(&user).send(&Frame::text("hello"))?;
        }
        Ok(Handshake::accept())
    }

    fn receive(&self, socket: &mut Socket<()>, text: String) -> Result<()> {
        Ok(socket.send(text)?)
    }
}

/// Asks for no user, so its connections are nobody's.
struct Open;

#[websocket("/open")]
impl Websocket for Open {
    type State = ();
    type Incoming = String;

    fn receive(&self, socket: &mut Socket<()>, text: String) -> Result<()> {
        Ok(socket.send(text)?)
    }
}

fn told(result: std::result::Result<String, OnlineError>) -> (u16, String) {
    match result {
        Ok(text) => (200, text),
        Err(OnlineError::Invalid(text)) => (400, text),
        Err(error) => (503, error.to_string()),
    }
}

#[http("GET /count/{whom}")]
fn count(cx: &mut Context, whom: &str) -> (u16, String) {
    told(cx.connections_of(whom).count().map(|count| count.to_string()))
}

#[http("POST /tell/{whom}/{text}")]
fn tell(cx: &mut Context, whom: &str, text: &str) -> (u16, String) {
    told(cx.connections_of(whom).send(&Frame::text(text)).map(|()| "told".to_owned()))
}

#[http("POST /answer/{whom}/{text}")]
fn answer(cx: &mut Context, whom: &str, text: &str) -> (u16, String) {
    told(cx.connections_of(whom).send(&Response::text(text)).map(|()| "told".to_owned()))
}

#[http("POST /close/{whom}/{code}")]
fn close(cx: &mut Context, whom: &str, code: u16) -> (u16, String) {
    let mut theirs = cx.connections_of(whom);
    let done = theirs.send(&Frame::text("bye")).and_then(|()| theirs.close(code, "by request"));
    told(done.map(|()| "closed".to_owned()))
}

/// What a group of the host's answers to whoever names it.
#[http("POST /trespass/{group}")]
fn trespass(cx: &mut Context, group: &str) -> String {
    let group = || Group::named(group.to_owned());
    let sent = cx.group_send(group(), &Frame::text("forged"));
    let added = cx.group_add(group());
    let discarded = cx.group_discard(group());
    [sent, added, discarded]
        .map(|it| it.map_or_else(|error| error.to_string(), |()| "ok".into()))
        .join("\n")
}

#[http("GET /hold")]
fn hold(cx: &mut Context) -> Reply {
    cx.hold(Duration::from_secs(600)).or(Response::text("nothing"))
}

#[http("GET /wait")]
fn wait(cx: &mut Context) -> Reply {
    cx.hold(Duration::from_secs(600))
}

#[http("GET /stream")]
fn stream(cx: &mut Context, user: User) -> Result<Reply> {
    cx.start_stream(Response::text(format!("{}:", user.id())))?;
    Ok(cx.hold(Duration::from_secs(600)))
}

export! {
    #[user]
    Room,
    Open,
    count,
    tell,
    answer,
    close,
    trespass,
    #[user]
    hold,
    #[user]
    wait,
    #[user]
    stream,
}

fn main() {}
