//! Sends every WebSocket message back.

use tidegate_sdk::{Frame, Result, Socket, Websocket, export, websocket};

struct Echo;

#[websocket("/echo")]
impl Websocket for Echo {
    type State = ();
    type Incoming = Frame;

    fn receive(&self, socket: &mut Socket<()>, frame: Frame) -> Result<()> {
        socket.send(frame)?;
        Ok(())
    }
}

export! { Echo }
