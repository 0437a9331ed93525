//! A chat with rooms: a page, and a WebSocket on the same path.

use client_files::{CLIENT, Files, files};
use serde::{Deserialize, Serialize};
use tidegate_sdk::{
    Close, Frame, Handshake, Json, Request, Response, Result, Since, Socket, State, Websocket,
    export, http, websocket,
};

mod text;

use text::{ConnectionId, Line, Name, Room};

/// The lines of a room that are kept, and shown to who joins.
const LINES: u32 = 100;
const PAGE: &str = include_str!("page/page.html");
const PAGE_FILES: Files = files!["page/", "page.css" "page.js"];

#[http("GET /chat")]
fn lobby() -> Response {
    page()
}

#[http("GET /chat/{room}")]
fn room(_room: Room) -> Response {
    page()
}

fn page() -> Response {
    Response::html(PAGE)
        .header("cache-control", "no-cache")
        .header("content-security-policy", "default-src 'self'; img-src data:")
}

#[http("GET /chat/page/{file}")]
fn page_file(request: &Request, file: String) -> Response {
    client_files::serve(PAGE_FILES, &file, request)
}

#[http("GET /chat/tidegate/{file}")]
fn client_file(request: &Request, file: String) -> Response {
    client_files::serve(CLIENT, &file, request)
}

/// A connection to a room.
struct Chat {
    room: Room,
}

/// Who a connection belongs to; told to everybody in the room. There is none before the client has said its name.
#[derive(Serialize, Deserialize)]
struct Member {
    name: Name,
    /// Tells apart two people with one name. A client that gives none has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<ConnectionId>,
}

impl State for Member {}

/// What a client says.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum Incoming {
    Join {
        name: String,
        #[serde(default)]
        id: Option<String>,
        /// Whether it knows positions, and wants the lines that it has missed.
        #[serde(default)]
        remember: bool,
    },
    Say {
        text: String,
    },
}

/// What a client is told.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Outgoing<'a> {
    Joined {
        #[serde(flatten)]
        who: &'a Member,
    },
    Said {
        #[serde(flatten)]
        who: &'a Member,
        text: &'a Line,
    },
    Left {
        #[serde(flatten)]
        who: &'a Member,
    },
    Error {
        text: &'a str,
    },
}

#[websocket("/chat/{room}")]
impl Websocket for Chat {
    type State = Member;
    type Incoming = Result<Json<Incoming>, String>;

    fn connect(&self, socket: &mut Socket<Member>) -> Result<Handshake> {
        socket.debug(format!("connected to {}", self.room.group()));
        Ok(Handshake::accept())
    }

    fn receive(&self, socket: &mut Socket<Member>, incoming: Self::Incoming) -> Result<()> {
        let outcome = match incoming {
            Ok(Json(Incoming::Join { name, id, remember })) => {
                self.join(socket, &name, id.as_deref(), remember)?
            }
            Ok(Json(Incoming::Say { text })) => self.say(socket, &text)?,
            Err(_) => Err("Please send JSON like {\"type\": \"say\", \"text\": \"Hello\"}."),
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(text) => socket.send_json(&Outgoing::Error { text }),
        }
    }

    fn disconnect(&self, socket: &mut Socket<Member>, _close: Close) -> Result<()> {
        let Some(who) = socket.state() else { return Ok(()) };
        let notice = Frame::json(&Outgoing::Left { who })?;
        socket.group_send(self.room.group(), &notice)?;
        Ok(())
    }
}

/// Done, or what to tell the client.
type Answer = std::result::Result<(), &'static str>;

impl Chat {
    fn join(
        &self,
        socket: &mut Socket<Member>,
        name: &str,
        id: Option<&str>,
        remember: bool,
    ) -> Result<Answer> {
        if socket.state().is_some() {
            return Ok(Err("You have a name already."));
        }
        let who = match (name.parse::<Name>(), id.map(str::parse::<ConnectionId>).transpose()) {
            (Ok(name), Ok(id)) => Member { name, id },
            (Err(text), _) | (_, Err(text)) => return Ok(Err(text)),
        };
        let notice = Frame::json(&Outgoing::Joined { who: &who })?;
        socket.set_state(who)?;
        // First in, then the notice: whoever joins sees it too, and knows that it worked.
        let group = self.room.group();
        if remember {
            let since = Since::position(socket.last_position(&group));
            socket.group_join(&group, since.or_latest(LINES))?;
        } else {
            socket.group_add(&group)?;
        }
        socket.group_send(&group, &notice)?;
        Ok(Ok(()))
    }

    fn say(&self, socket: &mut Socket<Member>, text: &str) -> Result<Answer> {
        let Some(who) = socket.state() else {
            return Ok(Err("Please join with a name first."));
        };
        let message = match text.parse::<Line>() {
            Ok(text) => Frame::json(&Outgoing::Said { who, text: &text })?,
            Err(text) => return Ok(Err(text)),
        };
        socket.group_send(self.room.group(), &message)?;
        Ok(Ok(()))
    }
}

export! {
    lobby,
    room,
    page_file,
    client_file,
    #[history("room.*", messages = 100, age = "24h", bytes = "1MiB")]
    #[resume("2m")]
    Chat,
}
