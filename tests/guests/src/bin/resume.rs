//! Connections that go on when their clients come back.

use serde::{Deserialize, Serialize};
use tidegate_sdk::{
    Close, Context, Frame, Group, Handshake, Result, Socket, State, Websocket, export, http,
    websocket,
};

/// How many messages the client has sent.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Count(u32);

impl State for Count {}

fn count(socket: &Socket<Count>) -> u32 {
    socket.state().copied().unwrap_or_default().0
}

fn receive(room: &str, socket: &mut Socket<Count>, text: &str) -> Result<()> {
    let number = count(socket) + 1;
    socket.set_state(Count(number))?;
    match text.split_once(' ') {
        Some(("say", text)) => Ok(socket.group_send(room, &Frame::text(text))?),
        Some(("many", number)) => {
            for number in 0..number.parse().unwrap_or(0) {
                socket.send(format!("{number} {}", "x".repeat(1_000)))?;
            }
            Ok(())
        }
        Some(("close", code)) => Ok(socket.close(code.parse().unwrap_or(4000), "as asked")?),
        _ => Ok(socket.send(format!("{text} {number}"))?),
    }
}

macro_rules! room {
    ($type:ident, $path:literal, $name:literal) => {
        struct $type;

        #[websocket($path)]
        impl Websocket for $type {
            type State = Count;
            type Incoming = String;

            fn groups(&self) -> Vec<Group<'static>> {
                vec![Group::from($name)]
            }

            fn connect(&self, socket: &mut Socket<Count>) -> Result<Handshake> {
                let offered = socket.scope().map(|scope| scope.subprotocols().join(","));
                let offered = offered.unwrap_or_default();
                socket.send(format!("offered {offered}"))?;
                let accepted = Handshake::accept();
                Ok(if offered == "chat" { accepted.subprotocol("chat") } else { accepted })
            }

            fn receive(&self, socket: &mut Socket<Count>, text: String) -> Result<()> {
                receive($name, socket, &text)
            }

            fn disconnect(&self, socket: &mut Socket<Count>, close: Close) -> Result<()> {
                let text = format!("left {} after {}", close.code, count(socket));
                Ok(socket.group_send($name, &Frame::text(text))?)
            }
        }
    };
}

room!(Long, "/long", "long");
room!(Short, "/short", "short");
room!(Plain, "/plain", "plain");
room!(Mine, "/mine", "mine");

#[http("POST /say/{room}/{text}")]
fn say(cx: &mut Context, room: &str, text: &str) -> Result<&'static str> {
    cx.group_send(room, &Frame::text(text))?;
    Ok("said")
}

#[http("POST /fill/{room}/{bytes}")]
fn fill(cx: &mut Context, room: &str, bytes: usize) -> Result<&'static str> {
    cx.group_send(room, &Frame::text("x".repeat(bytes)))?;
    Ok("said")
}

export! {
    #[resume]
    Long,
    #[resume("1s")]
    Short,
    Plain,
    #[user]
    #[resume("10m")]
    Mine,
    say,
    fill,
}

fn main() {}
