//! Answers with its version, what it was sent, and a count in the connection's state. Reads the state of
//! `versioned-2` as well, so that it can come back.

use serde::{Deserialize, Serialize};
use test_guests::{Counts, count, version};
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

impl Counts for Count {
    fn of(count: u64) -> Self {
        Self { count }
    }

    fn count(&self) -> u64 {
        self.count
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
        count(socket, &text)
    }
}

#[http("GET /version")]
fn number() -> String {
    version().to_string()
}

export! { Counter, number }

fn main() {}
