//! Runs each second, and notes the moments.

use std::time::UNIX_EPOCH;

use test_guests::{Watch, ok};
use tidegate_sdk::{Context, Frame, Result, Tick, channel, export, http};

#[channel("scheduled.tick", retries = 100)]
fn tick(cx: &mut Context, tick: &Tick) -> Result<()> {
    let due = tick.due().duration_since(UNIX_EPOCH)?.as_millis();
    cx.store().add(&format!("due:{due:020}"), 1)?;
    cx.group_send("watch", &Frame::text(due.to_string()))?;
    Ok(())
}

/// Nobody waits for it.
#[channel("scheduled.yearly")]
fn yearly() {}

/// Each moment that has come, in milliseconds since 1970, and how often.
#[http("GET /dues")]
fn dues(cx: &mut Context) -> Result<String> {
    let mut lines = String::new();
    for key in cx.store().keys("due:") {
        let key = key?;
        let due = key.trim_start_matches("due:").trim_start_matches('0');
        lines += &format!("{due} {}\n", cx.store().counter(&key)?);
    }
    Ok(lines)
}

export! {
    #[schedule("* * * * * *", zone = "Europe/Berlin")]
    tick,
    #[schedule("@yearly", missed = "skip")]
    yearly,
    dues,
    Watch,
    ok,
}

fn main() {}
