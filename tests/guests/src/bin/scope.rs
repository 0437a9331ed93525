//! Says what a consumer knows of its connection.

use tidegate_sdk::{Frame, Request, Result, Scope, Socket, Websocket, export, http, websocket};

#[http("GET /scope")]
fn scope(request: &Request) -> String {
    show(request)
}

fn show(scope: &Scope) -> String {
    let (client, port) = scope.client();
    format!(
        "{} {} {client}:{port} path={} root={} host={} forwarded={}",
        scope.http_version(),
        scope.scheme(),
        scope.path(),
        scope.root_path(),
        scope.header("host").unwrap_or("-"),
        scope.header("x-forwarded-for").unwrap_or("-"),
    )
}

struct Open;

#[websocket("/scope")]
impl Websocket for Open {
    type State = ();
    type Incoming = Frame;

    fn receive(&self, socket: &mut Socket<()>, frame: Frame) -> Result<()> {
        Ok(socket.send(frame)?)
    }
}

/// Joins as many groups as the text of a message says.
struct Joiner;

#[websocket("/join")]
impl Websocket for Joiner {
    type State = ();
    type Incoming = String;

    fn receive(&self, socket: &mut Socket<()>, count: String) -> Result<()> {
        for number in 0..count.parse::<u32>()? {
            socket.group_add(format!("group.{number}"))?;
        }
        match socket.flush() {
            Ok(()) => Ok(socket.send("joined")?),
            Err(error) => Ok(socket.send(error.to_string())?),
        }
    }
}

export! { scope, Open, Joiner }

fn main() {}
