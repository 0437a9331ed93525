//! Sends to what belongs to others.

use test_guests::{Watch, announce, ok};
use tidegate_sdk::{Context, Frame, Group, Result, export, http};

#[http("GET /run")]
fn run(cx: &mut Context) -> Result<&'static str> {
    announce(cx)?;
    cx.send("http.request.x", &Frame::text("x"))?;
    Ok("never")
}

/// Tries each, and says what it was told.
#[http("GET /each")]
fn each(cx: &mut Context) -> String {
    let mut told = String::new();
    for channel in ["http.request.x", "websocket.send", "others.channel", "a b", "a!b!c"] {
        let outcome = cx.send(channel, &Frame::text("x"));
        told +=
            &format!("{channel}: {}\n", outcome.map_or_else(|e| e.to_string(), |()| "sent".into()));
    }
    let foreign = cx.group_send(Group::named("hello.all"), &Frame::text("x"));
    told += &format!("hello.all: {}\n", foreign.map_or_else(|e| e.to_string(), |()| "sent".into()));
    told
}

export! { run, each, Watch, ok }

fn main() {}
