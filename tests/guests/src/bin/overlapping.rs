//! Schedules whose runs do not overlap, beside a clock.

use test_guests::Watch;
use tidegate_sdk::{Context, Error, Frame, Result, Tick, channel, export, http};

/// Is done once it is not held.
fn run(cx: &mut Context, which: &str, tick: &Tick) -> Result<()> {
    if cx.store().get::<bool>("held")?.unwrap_or(false) {
        return Err(Error::failed("held"));
    }
    let due = tick.due().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    cx.group_send("watch", &Frame::text(format!("{which} {due}")))?;
    Ok(())
}

#[channel("overlapping.skip", retries = 100)]
fn skip(cx: &mut Context, tick: &Tick) -> Result<()> {
    run(cx, "skip", tick)
}

#[channel("overlapping.queue", retries = 100)]
fn queue(cx: &mut Context, tick: &Tick) -> Result<()> {
    run(cx, "queue", tick)
}

#[channel("overlapping.clock")]
fn clock(cx: &mut Context) -> Result<()> {
    Ok(cx.group_send("watch", &Frame::text("clock"))?)
}

#[http("POST /held/{held}")]
fn hold(cx: &mut Context, held: bool) -> Result<&'static str> {
    cx.store().set("held", &held)?;
    Ok("noted")
}

export! {
    #[schedule("* * * * * *", overlap = "skip")]
    skip,
    #[schedule("* * * * * *", overlap = "queue")]
    queue,
    #[schedule("* * * * * *")]
    clock,
    hold,
    Watch,
}

fn main() {}
