//! Ends the process that it believes to be in.

use test_guests::{Watch, announce, ok};
use tidegate_sdk::{Context, Result, export, http};

#[http("GET /run")]
fn run(cx: &mut Context) -> Result<&'static str> {
    announce(cx)?;
    std::process::exit(7)
}

export! { run, Watch, ok }

fn main() {}
