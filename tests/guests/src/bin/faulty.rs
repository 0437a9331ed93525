//! Fails in each way that costs little.

use std::time::Duration;

use test_guests::{Watch, ok};
use tidegate_sdk::{export, http};

#[http("GET /fail/{way}")]
fn fail(way: String) -> &'static str {
    match way.as_str() {
        "trap" => std::process::abort(),
        "panic" => panic!("the tide is out"),
        "exit" => std::process::exit(1),
        "stack" => recurse(1),
        "memory" => std::mem::forget(std::hint::black_box(Vec::<u8>::with_capacity(1 << 30))),
        "sleep" => std::thread::sleep(Duration::from_secs(3600)),
        _ => loop {
            std::hint::black_box(&way);
        },
    }
    "never"
}

fn recurse(depth: u64) {
    if std::hint::black_box(depth) > 0 {
        recurse(depth + 1);
        std::hint::black_box(depth);
    }
}

export! { fail, Watch, ok }

fn main() {}
