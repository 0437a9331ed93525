//! A module to be replaced while somebody watches: the page counts over one socket, which stays open.

use serde::{Deserialize, Serialize};
use tidegate_sdk::{Response, Result, Socket, State, Websocket, export, http, websocket};

const PAGE: &str = include_str!("page.html");

/// What this version says. `LIVE_WORD` at the time of the build makes another version.
const WORD: &str = match option_env!("LIVE_WORD") {
    Some(word) => word,
    None => "high tide",
};

#[http("GET /live")]
fn page() -> Response {
    Response::html(PAGE)
        .header("cache-control", "no-cache")
        .header("content-security-policy", "default-src 'self' 'unsafe-inline'; img-src data:")
}

/// What the connection keeps from one version to the next.
#[derive(Default, Serialize, Deserialize)]
struct Count {
    messages: u64,
}

impl State for Count {}

/// What a client is told.
#[derive(Serialize)]
struct Answer {
    messages: u64,
    word: &'static str,
}

struct Live;

#[websocket("/live/socket")]
impl Websocket for Live {
    type State = Count;
    type Incoming = String;

    fn receive(&self, socket: &mut Socket<Count>, _text: String) -> Result<()> {
        let messages = socket.state().map_or(0, |count| count.messages) + 1;
        socket.set_state(Count { messages })?;
        socket.send_json(&Answer { messages, word: WORD })
    }
}

export! { page, Live }
