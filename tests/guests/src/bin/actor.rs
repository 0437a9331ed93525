//! Does what a text says, for the history checker: joins and leaves groups, publishes, and sends to
//! channels. Each text is answered when its work is done.

use serde::{Deserialize, Serialize};
use test_guests::{Watch, ok};
use tidegate_sdk::{Context, Error, Frame, Result, Socket, Websocket, channel, export, websocket};

/// Which of the messages of whom.
#[derive(Serialize, Deserialize)]
struct Work {
    stamp: String,
}

struct Actor;

#[websocket("/actor")]
impl Websocket for Actor {
    type State = ();
    type Incoming = String;

    fn receive(&self, socket: &mut Socket<()>, text: String) -> Result<()> {
        let (act, rest) = text.split_once(' ').unwrap_or_default();
        match act {
            "join" => socket.group_add(rest)?,
            "leave" => socket.group_discard(rest)?,
            "publish" => {
                let (group, stamp) = rest.split_once(' ').unwrap_or_default();
                socket.group_send(group, &Frame::text(format!("published {stamp}")))?;
            }
            "send" => send(socket, "actor.once", rest)?,
            "keep" => send(socket, "actor.kept", rest)?,
            _ => return Err(Error::failed("there is no such act")),
        }
        Ok(socket.send(format!("done {text}"))?)
    }
}

fn send(cx: &mut Context, channel: &str, stamp: &str) -> Result<()> {
    Ok(cx.send(channel, &Work { stamp: stamp.to_owned() })?)
}

#[channel("actor.once")]
fn once(cx: &mut Context, work: Work) -> Result<()> {
    Ok(cx.group_send("watch", &Frame::text(format!("once {}", work.stamp)))?)
}

#[channel("actor.kept", retries = 5)]
fn kept(cx: &mut Context, work: Work) -> Result<()> {
    Ok(cx.group_send("watch", &Frame::text(format!("kept {}", work.stamp)))?)
}

export! { Actor, once, kept, Watch, ok }

fn main() {}
