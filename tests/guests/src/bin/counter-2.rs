//! The next version of `counter`: its state has another shape, and it knows how to read the old one.

use serde::{Deserialize, Serialize};
use test_guests::ok;
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

    fn migrate(_schema: u32, old: OldState<'_>) -> Result<Self> {
        #[derive(Deserialize)]
        struct Count {
            count: u64,
        }
        Ok(Self { total: old.read::<Count>()?.count })
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
        let total = socket.state().map_or(0, |state| state.total) + 1;
        socket.set_state(Tally { total })?;
        Ok(socket.send(format!("2:{text}:{total}"))?)
    }
}

#[http("GET /version")]
fn version() -> &'static str {
    "2"
}

export! { Counter, version, ok }

fn main() {}
