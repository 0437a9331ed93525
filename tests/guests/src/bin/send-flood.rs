//! Sends without end: many messages, or large ones.

use test_guests::{Watch, announce, ok};
use tidegate_sdk::{Context, Frame, Result, export, http};

#[http("GET /run")]
fn run(cx: &mut Context) -> Result<String> {
    announce(cx)?;
    loop {
        cx.group_send("nobody", &Frame::text("x"))?;
    }
}

#[http("GET /large")]
fn large(cx: &mut Context) -> Result<String> {
    announce(cx)?;
    let frame = Frame::text("x".repeat(1024 * 1024));
    loop {
        cx.group_send("nobody", &frame)?;
    }
}

/// Exactly as much as is allowed.
#[http("GET /limit")]
fn limit(cx: &mut Context) -> Result<&'static str> {
    // The answer is the last entry.
    for _ in 0..999 {
        cx.group_send("nobody", &Frame::text("x"))?;
    }
    Ok("sent")
}

export! { run, large, limit, Watch, ok }

fn main() {}
