//! Looks at the clock before it can be called.

use std::sync::atomic::{AtomicU64, Ordering};

use test_guests::ok;
use tidegate_sdk::{export, http};

static STARTED: AtomicU64 = AtomicU64::new(0);

/// Run by the C library's start-up code, as constructors of C++ are.
#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;

extern "C" fn start() {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    STARTED.store(now.as_secs(), Ordering::Relaxed);
}

#[http("GET /run")]
fn run() -> String {
    STARTED.load(Ordering::Relaxed).to_string()
}

export! { run, ok }

fn main() {}
