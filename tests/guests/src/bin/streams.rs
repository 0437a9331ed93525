//! Speaks the protocol of streams by hand, and ends connections as the client asks for.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidegate_sdk::{Error, Handshake, Json, Result, Socket, Websocket, export, websocket};

struct Streams;

#[derive(Serialize, Deserialize)]
struct Packet {
    stream: String,
    payload: Value,
}

#[websocket("/streams")]
impl Websocket for Streams {
    type State = ();
    type Incoming = Json<Packet>;

    fn connect(&self, _: &mut Socket<()>) -> Result<Handshake> {
        Ok(Handshake::accept())
    }

    fn receive(&self, socket: &mut Socket<()>, Json(packet): Json<Packet>) -> Result<()> {
        match (packet.stream.as_str(), &packet.payload) {
            ("raw", Value::String(text)) => Ok(socket.send(text.as_str())?),
            ("close", code) => {
                let code = code.as_u64().and_then(|code| u16::try_from(code).ok());
                Ok(socket.close(code.ok_or(Error::failed("no code"))?, "asked to")?)
            }
            ("fault", _) => Err(Error::failed("asked to")),
            _ => socket.send_json(&packet),
        }
    }
}

struct Useless;

/// Opens, and is over at once.
#[websocket("/useless")]
impl Websocket for Useless {
    type State = ();
    type Incoming = String;

    fn connect(&self, socket: &mut Socket<()>) -> Result<Handshake> {
        socket.close(4000, "nothing here")?;
        Ok(Handshake::accept())
    }

    fn receive(&self, _: &mut Socket<()>, _: String) -> Result<()> {
        Ok(())
    }
}

export! { Streams, Useless }

fn main() {}
