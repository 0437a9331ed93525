//! Traps when it is told that a connection is over.

use test_guests::{Watch, announce, ok};
use tidegate_sdk::{Close, Handshake, Result, Socket, Websocket, export, websocket};

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

export! { Trap, Watch, ok }

fn main() {}
