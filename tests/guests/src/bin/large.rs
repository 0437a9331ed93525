//! Answers with more than a client takes at once.

use test_guests::ok;
use tidegate_sdk::{Frame, Request, Response, Result, Socket, Websocket, export, http, websocket};

/// A response with as many bytes as the query says.
#[http("GET /large")]
fn large(request: &Request) -> Result<Response> {
    let bytes = request.query("bytes").unwrap_or_default().parse()?;
    Ok(Response::new(200).body(vec![b'x'; bytes]))
}

/// As many messages of 64 KiB as the text of a message says, from one run.
struct Burst;

#[websocket("/burst")]
impl Websocket for Burst {
    type State = ();
    type Incoming = String;

    fn receive(&self, socket: &mut Socket<()>, count: String) -> Result<()> {
        for _ in 0..count.parse::<u32>()? {
            socket.send(Frame::binary(vec![b'x'; 64 * 1024]))?;
        }
        Ok(())
    }
}

export! { large, Burst, ok }

fn main() {}
