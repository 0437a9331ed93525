//! The version of `versioned` that traps on every event.

use test_guests::version;
use tidegate_sdk::{Handshake, Result, Socket, Websocket, export, http, websocket};

struct Counter;

fn trap() -> ! {
    panic!("version {} traps", version());
}

#[websocket("/count")]
impl Websocket for Counter {
    type State = ();
    type Incoming = String;

    fn connect(&self, _: &mut Socket<()>) -> Result<Handshake> {
        trap()
    }

    fn receive(&self, _: &mut Socket<()>, _: String) -> Result<()> {
        trap()
    }
}

#[http("GET /version")]
fn number() -> String {
    trap()
}

export! { Counter, number }

fn main() {}
