//! Logs a million lines.

use test_guests::{Watch, announce, ok};
use tidegate_sdk::{Context, Result, export, http};

#[http("GET /run")]
fn run(cx: &mut Context) -> Result<String> {
    announce(cx)?;
    for number in 0..1_000_000 {
        cx.info(format!("line {number:07}"));
    }
    Ok("never".into())
}

/// Stays below the number of calls and above the size of a log.
#[http("GET /much")]
fn much(cx: &mut Context) -> &'static str {
    for _ in 0..100 {
        cx.info("x".repeat(1_000));
    }
    "logged"
}

/// As many lines as calls allow, about.
#[http("GET /many")]
fn many(cx: &mut Context) -> &'static str {
    for _ in 0..8_192 {
        cx.info("x");
    }
    "logged"
}

export! { run, much, many, Watch, ok }

fn main() {}
