//! A shared drawing: who is there, where their pointers are, and what they draw.

use client_files::{CLIENT, Files, files};
use serde::{Deserialize, Serialize};
use tidegate_sdk::{
    Frame, Handshake, Json, Request, Response, Result, Socket, State, Websocket, export, http,
    websocket,
};

mod board;

use board::{Board, Key, Name, Point, Stroke};

const PAGE: &str = include_str!("page/page.html");
const PAGE_FILES: Files = files!["page/", "page.css" "page.js"];

#[http("GET /cursors")]
fn first() -> Response {
    page()
}

#[http("GET /cursors/{board}")]
fn any(_board: Board) -> Response {
    page()
}

fn page() -> Response {
    Response::html(PAGE)
        .header("cache-control", "no-cache")
        .header("content-security-policy", "default-src 'self'; img-src data:")
}

#[http("GET /cursors/page/{file}")]
fn page_file(request: &Request, file: String) -> Response {
    client_files::serve(PAGE_FILES, &file, request)
}

#[http("GET /cursors/tidegate/{file}")]
fn client_file(request: &Request, file: String) -> Response {
    client_files::serve(CLIENT, &file, request)
}

/// A connection to a board.
struct Cursors {
    board: Board,
}

/// The member that a connection belongs to. There is none before the client has said who it is.
#[derive(Serialize, Deserialize)]
struct Person {
    key: Key,
}

impl State for Person {}

/// The facts of a member, for everybody on the board.
#[derive(Serialize)]
struct Facts {
    name: Name,
    /// From 0 to 359.
    hue: u16,
}

/// A message from a client.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum Incoming {
    Join {
        key: String,
        name: String,
    },
    /// Where its pointer is.
    At {
        at: Point,
    },
    /// A part of a line.
    Draw {
        stroke: Stroke,
    },
}

/// A message to clients. The host tells them who is there.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Outgoing<'a> {
    At { key: &'a Key, at: Point },
    Draw { key: &'a Key, stroke: Stroke },
    Error { text: &'a str },
}

#[websocket("/cursors/{board}")]
impl Websocket for Cursors {
    type State = Person;
    type Incoming = Result<Json<Incoming>, String>;

    fn connect(&self, socket: &mut Socket<Person>) -> Result<Handshake> {
        socket.debug(format!("connected to {}", self.board.group()));
        Ok(Handshake::accept())
    }

    fn receive(&self, socket: &mut Socket<Person>, incoming: Self::Incoming) -> Result<()> {
        let refused = match incoming {
            Ok(Json(Incoming::Join { key, name })) => self.join(socket, &key, &name)?,
            Ok(Json(Incoming::At { at })) => self.tell(socket, |key| Outgoing::At { key, at })?,
            Ok(Json(Incoming::Draw { stroke })) if stroke.is_valid() => {
                self.tell(socket, |key| Outgoing::Draw { key, stroke })?
            }
            Ok(Json(Incoming::Draw { .. })) => Some("A stroke has 2 to 64 points."),
            Err(_) => Some("Please send JSON like {\"type\": \"at\", \"at\": [500, 500]}."),
        };
        match refused {
            None => Ok(()),
            Some(text) => socket.send_json(&Outgoing::Error { text }),
        }
    }
}

impl Cursors {
    /// Joins the board, or says what is wrong. All connections with one key are one person.
    fn join(
        &self,
        socket: &mut Socket<Person>,
        key: &str,
        name: &str,
    ) -> Result<Option<&'static str>> {
        let (key, name) = match (key.parse::<Key>(), name.parse::<Name>()) {
            (Ok(key), Ok(name)) => (key, name),
            (Err(text), _) | (_, Err(text)) => return Ok(Some(text)),
        };
        let facts = Facts { name, hue: key.hue() };
        socket.present(self.board.group(), key.as_str(), &facts)?;
        socket.set_state(Person { key })?;
        Ok(None)
    }

    /// Tells everybody on the board something. Nothing of it is kept, and it changes nothing of who is there.
    fn tell(
        &self,
        socket: &mut Socket<Person>,
        what: impl for<'a> FnOnce(&'a Key) -> Outgoing<'a>,
    ) -> Result<Option<&'static str>> {
        let Some(Person { key }) = socket.state() else {
            return Ok(Some("Please join with a name first."));
        };
        let frame = Frame::json(&what(key))?;
        socket.group_send(self.board.group(), &frame)?;
        Ok(None)
    }
}

export! {
    #[presence("board.*", leave_after = "5s", interval = "250ms")]
    Cursors,
    first,
    any,
    page_file,
    client_file,
}
