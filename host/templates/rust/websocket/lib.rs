//! Answers on a WebSocket, and counts what it has answered.

use serde::{Deserialize, Serialize};
use tidegate_sdk::{Response, Result, Socket, State, Websocket, export, http, websocket};

#[http("GET /module-name")]
fn page() -> Response {
    Response::html(include_str!("page.html")).header("cache-control", "no-cache")
}

/// What the host keeps with each connection. It outlives a deploy.
#[derive(Serialize, Deserialize)]
struct Seen {
    messages: u64,
}

impl State for Seen {}

struct Echo;

#[websocket("/module-name/socket")]
impl Websocket for Echo {
    type State = Seen;
    type Incoming = String;

    fn receive(&self, socket: &mut Socket<Seen>, text: String) -> Result<()> {
        let messages = socket.state().map_or(0, |seen| seen.messages) + 1;
        socket.set_state(Seen { messages })?;
        socket.send(format!("{messages}: you said {text}"))?;
        Ok(())
    }
}

export! { page, Echo }
