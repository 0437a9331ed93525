//! The version of `versioned` with another schema of the state.

use serde::{Deserialize, Serialize};
use test_guests::{Counts, count, version};
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

impl Counts for Tally {
    fn of(count: u64) -> Self {
        Self { total: count }
    }

    fn count(&self) -> u64 {
        self.total
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
        count(socket, &text)
    }
}

#[http("GET /version")]
fn number() -> String {
    version().to_string()
}

export! { Counter, number }

fn main() {}
