//! Panics.

use test_guests::{Watch, announce, ok};
use tidegate_sdk::{Context, Result, export, http};

#[http("GET /run")]
fn run(cx: &mut Context) -> Result<String> {
    announce(cx)?;
    panic!("the tide is out");
}

export! { run, Watch, ok }

fn main() {}
