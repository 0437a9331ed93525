//! Takes its time for each frame, and floods who listens.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use test_guests::{Watch, ok};
use tidegate_sdk::{Close, Frame, Handshake, Result, Socket, State, Websocket, export, websocket};

struct Slow;

#[derive(Serialize, Deserialize, Default)]
struct Seen {
    frames: u64,
    bytes: u64,
}

impl State for Seen {}

#[websocket("/slow")]
impl Websocket for Slow {
    type State = Seen;
    type Incoming = Frame;

    fn connect(&self, _: &mut Socket<Seen>) -> Result<Handshake> {
        Ok(Handshake::accept())
    }

    fn receive(&self, socket: &mut Socket<Seen>, frame: Frame) -> Result<()> {
        let seen = socket.state();
        let (frames, bytes) = seen.map_or((0, 0), |seen| (seen.frames, seen.bytes));
        match frame {
            Frame::Text(_) => Ok(socket.send(format!("{frames} frames, {bytes} bytes"))?),
            Frame::Binary(part) => {
                std::thread::sleep(Duration::from_millis(2));
                socket.set_state(Seen { frames: frames + 1, bytes: bytes + part.len() as u64 })
            }
        }
    }
}

/// Everybody who is connected here gets what `/flood` is asked to send.
struct Flooded;

#[websocket("/flooded")]
impl Websocket for Flooded {
    type State = ();
    type Incoming = Frame;

    fn connect(&self, socket: &mut Socket<()>) -> Result<Handshake> {
        socket.group_add("flooded")?;
        Ok(Handshake::accept())
    }

    fn receive(&self, _: &mut Socket<()>, _: Frame) -> Result<()> {
        Ok(())
    }

    fn disconnect(&self, socket: &mut Socket<()>, close: Close) -> Result<()> {
        socket.group_send("watch", &Frame::text(format!("closed {}", close.code)))?;
        Ok(())
    }
}

struct Flood;

#[websocket("/flood")]
impl Websocket for Flood {
    type State = ();
    type Incoming = String;

    fn connect(&self, _: &mut Socket<()>) -> Result<Handshake> {
        Ok(Handshake::accept())
    }

    fn receive(&self, socket: &mut Socket<()>, _: String) -> Result<()> {
        socket.group_send("flooded", &Frame::binary(vec![0; 256 * 1024]))?;
        Ok(socket.send("sent")?)
    }
}

export! { Slow, Flooded, Flood, Watch, ok }

fn main() {}
