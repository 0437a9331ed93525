//! Sends to channels of its own: at once, later, in order, and more than they hold.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use test_guests::{Watch, ok};
use tidegate_sdk::{Context, Frame, Response, Result, channel, export, http};

#[derive(Serialize, Deserialize)]
struct Item {
    number: u32,
}

#[http("POST /once")]
fn once(cx: &mut Context) -> Result<&'static str> {
    cx.send("pipeline.work", &Item { number: 7 })?;
    Ok("sent")
}

#[http("POST /later")]
fn later(cx: &mut Context) -> Result<&'static str> {
    cx.send_later("pipeline.work", &Item { number: 2 }, Duration::from_millis(100))?;
    cx.send("pipeline.work", &Item { number: 1 })?;
    Ok("sent")
}

/// More than the channel holds while its only reader waits.
#[http("POST /overflow")]
fn overflow(cx: &mut Context) -> Result<Response> {
    for number in 0..5 {
        cx.send("pipeline.stuck", &Item { number })?;
        if cx.flush().is_err() {
            return Ok(Response::text(format!("full at {number}")).status(503));
        }
    }
    Ok(Response::text("not full"))
}

#[channel("pipeline.work")]
fn work(cx: &mut Context, item: Item) -> Result<()> {
    cx.group_send("watch", &Frame::text(format!("item {}", item.number)))?;
    Ok(())
}

#[channel("pipeline.stuck")]
fn stuck(_item: Item) -> Result<()> {
    std::thread::sleep(Duration::from_secs(3600));
    Ok(())
}

export! { once, later, overflow, work, stuck, Watch, ok }

fn main() {}
