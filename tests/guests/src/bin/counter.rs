//! Counts in its connection's state, and answers with order and count.

use serde::{Deserialize, Serialize};
use test_guests::ok;
use tidegate_sdk::{Close, Handshake, Result, Socket, State, Websocket, export, http, websocket};

struct Counter;

#[derive(Serialize, Deserialize, Default)]
struct Count {
    count: u64,
}

impl State for Count {}

#[websocket("/count")]
impl Websocket for Counter {
    type State = Count;
    type Incoming = String;

    fn connect(&self, _: &mut Socket<Count>) -> Result<Handshake> {
        Ok(Handshake::accept())
    }

    fn receive(&self, socket: &mut Socket<Count>, text: String) -> Result<()> {
        let count = socket.state().map_or(0, |state| state.count) + 1;
        if text == "fault" {
            socket.set_state(Count { count: 1_000_000 })?;
            return Err(tidegate_sdk::Error::failed("asked to"));
        }
        socket.set_state(Count { count })?;
        Ok(socket.send(format!("1:{text}:{count}"))?)
    }

    fn disconnect(&self, socket: &mut Socket<Count>, close: Close) -> Result<()> {
        socket.info(format!(
            "disconnect {} after {}",
            close.code,
            socket.state().map_or(0, |s| s.count)
        ));
        Ok(())
    }
}

#[http("GET /version")]
fn version() -> &'static str {
    "1"
}

export! { Counter, version, ok }

fn main() {}
