//! What the misbehaving guests share: a way to tell the test that they run, and a way to behave.

mod versioned;

use tidegate_sdk::{Context, Frame, Handshake, Result, Socket, Websocket, http, websocket};
pub use versioned::{Counts, count, version};

/// Tells whoever watches, at once, that a consumer runs now.
pub fn announce(cx: &mut Context) -> Result<()> {
    cx.group_send("watch", &Frame::text("running"))?;
    cx.flush()?;
    Ok(())
}

/// Joins those who are told.
pub struct Watch;

#[websocket("/watch")]
impl Websocket for Watch {
    type State = ();
    type Incoming = String;

    fn connect(&self, socket: &mut Socket<()>) -> Result<Handshake> {
        socket.group_add("watch")?;
        Ok(Handshake::accept())
    }

    fn receive(&self, _: &mut Socket<()>, _: String) -> Result<()> {
        Ok(())
    }
}

/// Behaves.
#[http("GET /ok")]
pub fn ok() -> &'static str {
    "ok"
}
