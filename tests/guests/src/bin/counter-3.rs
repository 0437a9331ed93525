//! A version of `counter` that cannot read the state of the others, and lacks a route of theirs.

use serde::{Deserialize, Serialize};
use test_guests::ok;
use tidegate_sdk::{Handshake, Result, Socket, State, Websocket, export, websocket};

struct Counter;

#[derive(Serialize, Deserialize)]
struct Other {
    other: u64,
}

impl State for Other {
    const SCHEMA: u32 = 3;
}

#[websocket("/count")]
impl Websocket for Counter {
    type State = Other;
    type Incoming = String;

    fn connect(&self, _: &mut Socket<Other>) -> Result<Handshake> {
        Ok(Handshake::accept())
    }

    fn receive(&self, socket: &mut Socket<Other>, text: String) -> Result<()> {
        Ok(socket.send(format!("3:{text}"))?)
    }
}

export! { Counter, ok }

fn main() {}
