//! Answers with its version, what it was sent, and a count in the connection's state. Reads the state of
//! `versioned-2` as well, so that it can come back.

use serde::{Deserialize, Serialize};
use test_guests::version;
use tidegate_sdk::{
    Handshake, OldState, Result, Socket, State, Websocket, export, http, websocket,
};

struct Counter;

#[derive(Serialize, Deserialize)]
struct Count {
    count: u64,
}

impl State for Count {
    const SCHEMA: u32 = 1;

    fn migrate(_schema: u32, newer: OldState<'_>) -> Result<Self> {
        #[derive(Deserialize)]
        struct Tally {
            total: u64,
        }
        Ok(Self { count: newer.read::<Tally>()?.total })
    }
}

#[websocket("/count")]
impl Websocket for Counter {
    type State = Count;
    type Incoming = String;

    fn connect(&self, _: &mut Socket<Count>) -> Result<Handshake> {
        Ok(Handshake::accept())
    }

    fn receive(&self, socket: &mut Socket<Count>, text: String) -> Result<()> {
        let count = socket.state().map_or(0, |state| state.count) + 1;
        socket.set_state(Count { count })?;
        Ok(socket.send(format!("{}:{text}:{count}", version()))?)
    }
}

#[http("GET /version")]
fn number() -> String {
    version().to_string()
}

export! { Counter, number }

fn main() {}
