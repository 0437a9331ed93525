//! The version of `versioned` with another schema of the state.

use serde::{Deserialize, Serialize};
use test_guests::version;
use tidegate_sdk::{
    Handshake, OldState, Result, Socket, State, Websocket, export, http, websocket,
};

struct Counter;

#[derive(Serialize, Deserialize)]
struct Tally {
    total: u64,
}

impl State for Tally {
    const SCHEMA: u32 = 2;

    fn migrate(_schema: u32, older: OldState<'_>) -> Result<Self> {
        #[derive(Deserialize)]
        struct Count {
            count: u64,
        }
        Ok(Self { total: older.read::<Count>()?.count })
    }
}

#[websocket("/count")]
impl Websocket for Counter {
    type State = Tally;
    type Incoming = String;

    fn connect(&self, _: &mut Socket<Tally>) -> Result<Handshake> {
        Ok(Handshake::accept())
    }

    fn receive(&self, socket: &mut Socket<Tally>, text: String) -> Result<()> {
        let count = socket.state().map_or(0, |state| state.total) + 1;
        socket.set_state(Tally { total: count })?;
        Ok(socket.send(format!("{}:{text}:{count}", version()))?)
    }
}

#[http("GET /version")]
fn number() -> String {
    version().to_string()
}

export! { Counter, number }

fn main() {}
