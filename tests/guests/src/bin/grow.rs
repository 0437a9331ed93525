//! Takes memory without end.

use test_guests::{Watch, announce, ok};
use tidegate_sdk::{Context, Result, export, http};

#[http("GET /run")]
fn run(cx: &mut Context) -> Result<String> {
    announce(cx)?;
    let mut kept = Vec::new();
    loop {
        kept.push(std::hint::black_box(vec![1_u8; 1024 * 1024]));
        if kept.is_empty() {
            return Ok(String::new());
        }
    }
}

export! { run, Watch, ok }

fn main() {}
