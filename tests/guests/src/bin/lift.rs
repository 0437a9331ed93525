//! Gives the host the longest strings that it takes, and longer ones.

use test_guests::{Watch, announce, ok};
use tidegate_sdk::{Context, Result, export, http};

const MIB: usize = 1024 * 1024;

#[http("GET /run")]
fn run(cx: &mut Context) -> Result<&'static str> {
    announce(cx)?;
    let long = "x".repeat(8 * MIB);
    loop {
        cx.info(&long);
    }
}

/// More than is copied for one call.
#[http("GET /longer")]
fn longer(cx: &mut Context) -> &'static str {
    cx.info("x".repeat(32 * MIB));
    "never"
}

export! { run, longer, Watch, ok }

fn main() {}
