//! Waits for longer than it may.

use std::time::Duration;

use test_guests::{Watch, announce, ok};
use tidegate_sdk::{Context, Result, export, http};

#[http("GET /run")]
fn run(cx: &mut Context) -> Result<&'static str> {
    announce(cx)?;
    std::thread::sleep(Duration::from_secs(3600));
    Ok("never")
}

export! { run, Watch, ok }

fn main() {}
