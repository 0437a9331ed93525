//! Calls the host a million times, through the standard library.

use std::time::Instant;

use test_guests::{Watch, announce, ok};
use tidegate_sdk::{Context, Result, export, http};

#[http("GET /run")]
fn run(cx: &mut Context) -> Result<&'static str> {
    announce(cx)?;
    for _ in 0..1_000_000 {
        std::hint::black_box(Instant::now());
    }
    Ok("never")
}

export! { run, Watch, ok }

fn main() {}
