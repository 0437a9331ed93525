//! Computes without end.

use test_guests::{Watch, announce, ok};
use tidegate_sdk::{Context, Handshake, Result, Socket, Websocket, export, http, websocket};

#[http("GET /run")]
fn run(cx: &mut Context) -> Result<String> {
    announce(cx)?;
    spin()
}

struct Spin;

#[websocket("/run")]
impl Websocket for Spin {
    type State = ();
    type Incoming = String;

    fn connect(&self, _: &mut Socket<()>) -> Result<Handshake> {
        Ok(Handshake::accept())
    }

    fn receive(&self, socket: &mut Socket<()>, text: String) -> Result<()> {
        if text == "echo" {
            return Ok(socket.send(text)?);
        }
        // Sent only if the consumer returned, which it does not.
        socket.send("never")?;
        announce(socket)?;
        spin()
    }
}

fn spin<T>() -> T {
    let mut x = 0_u64;
    loop {
        x = std::hint::black_box(x.wrapping_mul(31).wrapping_add(7));
    }
}

export! { run, Spin, Watch, ok }

fn main() {}
