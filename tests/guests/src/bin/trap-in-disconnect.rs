//! Traps when it is told that a connection is over.

use std::time::Duration;

use test_guests::{Watch, announce, ok};
use tidegate_sdk::{Close, Context, Handshake, Result, Socket, Websocket, export, http, websocket};

struct Trap;

#[websocket("/run")]
impl Websocket for Trap {
    type State = ();
    type Incoming = String;

    fn connect(&self, _: &mut Socket<()>) -> Result<Handshake> {
        Ok(Handshake::accept())
    }

    fn receive(&self, socket: &mut Socket<()>, text: String) -> Result<()> {
        Ok(socket.send(text)?)
    }

    fn disconnect(&self, socket: &mut Socket<()>, _: Close) -> Result<()> {
        announce(socket)?;
        std::process::abort()
    }
}

/// Takes its time, and does well.
#[http("GET /wait")]
fn wait(cx: &mut Context) -> Result<&'static str> {
    announce(cx)?;
    std::thread::sleep(Duration::from_secs(1));
    Ok("waited")
}

export! { Trap, wait, Watch, ok }

fn main() {}
