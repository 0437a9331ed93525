//! Sets a state of a size that the client asks for.

use serde::{Deserialize, Serialize};
use test_guests::ok;
use tidegate_sdk::{Handshake, Result, Socket, State, Websocket, export, websocket};

struct Sized;

#[derive(Serialize, Deserialize)]
struct Blob {
    text: String,
}

impl State for Blob {}

#[websocket("/size")]
impl Websocket for Sized {
    type State = Blob;
    type Incoming = String;

    fn connect(&self, _: &mut Socket<Blob>) -> Result<Handshake> {
        Ok(Handshake::accept())
    }

    fn receive(&self, socket: &mut Socket<Blob>, size: String) -> Result<()> {
        let before = socket.state().map_or(0, |blob| blob.text.len());
        let text = "x".repeat(size.parse()?);
        match socket.set_state(Blob { text }) {
            Ok(()) => Ok(socket.send(format!("kept, was {before}"))?),
            Err(error) => Ok(socket.send(format!("{error}, was {before}"))?),
        }
    }
}

export! { Sized, ok }

fn main() {}
