//! Work that is run again: it says when it runs, and then fails, waits or is done.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use test_guests::{Watch, ok};
use tidegate_sdk::{Context, Error, Frame, Result, channel, export, http};

#[derive(Serialize, Deserialize)]
struct Work {
    name: String,
}

#[http("POST /work/{name}")]
fn submit(cx: &mut Context, name: String) -> Result<&'static str> {
    cx.send("retries.work", &Work { name })?;
    Ok("sent")
}

#[http("POST /tomorrow")]
fn tomorrow(cx: &mut Context) -> Result<&'static str> {
    let work = Work { name: "late".to_owned() };
    cx.send_later("retries.work", &work, Duration::from_secs(80_000))?;
    Ok("sent")
}

#[channel("retries.work", retries = 2)]
fn work(cx: &mut Context, work: Work) -> Result<()> {
    cx.group_send("watch", &Frame::text(format!("run {}", work.name)))?;
    // What a fault does not take back.
    cx.flush()?;
    match work.name.as_str() {
        "fails" => return Err(Error::failed("asked to")),
        "waits" => std::thread::sleep(Duration::from_secs(3600)),
        _ => {}
    }
    Ok(())
}

#[channel("retries.work.dead")]
fn dead(cx: &mut Context, work: Work) -> Result<()> {
    cx.group_send("watch", &Frame::text(format!("dead {}", work.name)))?;
    Ok(())
}

export! { submit, tomorrow, work, dead, Watch, ok }

fn main() {}
