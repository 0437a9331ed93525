//! Computes without end before it can be called.

use test_guests::{Watch, announce, ok};
use tidegate_sdk::{Context, Result, export, http};

/// Run by the C library's start-up code, as constructors of C++ are.
#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;

extern "C" fn start() {
    let mut x = 0_u64;
    loop {
        x = std::hint::black_box(x.wrapping_add(1));
    }
}

#[http("GET /run")]
fn run(cx: &mut Context) -> Result<&'static str> {
    announce(cx)?;
    Ok("never")
}

export! { run, Watch, ok }

fn main() {}
