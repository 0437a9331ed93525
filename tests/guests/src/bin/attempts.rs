//! Work that fails, and says which message it is and which attempt at it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use test_guests::{Watch, ok};
use tidegate_sdk::{
    Close, Context, Error, Frame, Result, Socket, Websocket, channel, export, http, websocket,
};

#[derive(Serialize, Deserialize)]
struct Work {
    name: String,
}

fn told(cx: &Context) -> String {
    format!("{} {}", cx.message_id().as_deref().unwrap_or("none"), cx.attempt())
}

#[http("POST /work/{name}")]
fn submit(cx: &mut Context, name: String) -> Result<String> {
    cx.send("attempts.work", &Work { name })?;
    Ok(told(cx))
}

/// Fails until it is run the third time. What is called `never` does so each time, and what is called `waits` waits
/// the first time.
#[channel("attempts.work", retries = 2)]
fn work(cx: &mut Context, work: Work) -> Result<()> {
    say(cx, "work", &work)?;
    // What a fault does not take back.
    cx.flush()?;
    match (work.name.as_str(), cx.attempt()) {
        ("waits", 1) => std::thread::sleep(Duration::from_secs(3600)),
        ("waits", _) => {}
        ("never", _) | (_, 1 | 2) => return Err(Error::failed("asked to")),
        _ => {}
    }
    Ok(())
}

#[channel("attempts.work.dead")]
fn dead(cx: &mut Context, work: Work) -> Result<()> {
    say(cx, "dead", &work)
}

/// Is run again since its data changes meanwhile, which is no further attempt.
#[channel("attempts.conflict", retries = 1)]
fn conflict(cx: &mut Context, work: Work) -> Result<()> {
    let store = cx.store();
    let count = store.counter("runs")?;
    store.set("runs", &(count + 1))?;
    say(cx, "conflict", &work)
}

/// The same for a message on a channel that loses what fails.
#[channel("attempts.once")]
fn once(cx: &mut Context, work: Work) -> Result<()> {
    say(cx, "once", &work)
}

#[http("POST /to/{channel}/{name}")]
fn send(cx: &mut Context, channel: String, name: String) -> Result<&'static str> {
    for _ in 0..if channel == "conflict" { 20 } else { 1 } {
        cx.send(&format!("attempts.{channel}"), &Work { name: name.clone() })?;
    }
    Ok("sent")
}

fn say(cx: &mut Context, what: &str, work: &Work) -> Result<()> {
    let line = format!("{what} {} {}", work.name, told(cx));
    Ok(cx.group_send("watch", &Frame::text(line))?)
}

struct Facts;

#[websocket("/facts")]
impl Websocket for Facts {
    type State = ();
    type Incoming = String;

    fn receive(&self, socket: &mut Socket<()>, _: String) -> Result<()> {
        let line = told(socket);
        Ok(socket.send(line)?)
    }

    fn disconnect(&self, socket: &mut Socket<()>, _: Close) -> Result<()> {
        let line = format!("left {}", told(socket));
        Ok(socket.group_send("watch", &Frame::text(line))?)
    }
}

export! { submit, work, dead, conflict, once, send, Facts, Watch, ok }

fn main() {}
