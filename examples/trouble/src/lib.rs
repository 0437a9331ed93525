//! A module that fails, for others to stand beside.

use tidegate_sdk::{export, http};

#[http("POST /trouble/panic")]
fn fail() -> &'static str {
    panic!("on purpose")
}

/// Computes until the host has had enough.
#[http("POST /trouble/loop")]
fn spin() -> String {
    let mut sum = 0_u64;
    loop {
        sum = std::hint::black_box(sum.wrapping_add(1));
        if sum == u64::MAX {
            return format!("{sum}\n");
        }
    }
}

export! { fail, spin }
