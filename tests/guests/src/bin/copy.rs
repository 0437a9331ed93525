//! Copies and fills memory, so that a test sees what that costs.

use std::hint::black_box;

use test_guests::{Watch, ok};
use tidegate_sdk::{export, http};

const BYTES: usize = 60_000;
const TIMES: usize = 100;

#[http("GET /copies")]
fn copies() -> &'static str {
    let (from, mut to) = (vec![1_u8; BYTES], vec![0_u8; BYTES]);
    for _ in 0..TIMES {
        black_box(&mut to[..]).copy_from_slice(black_box(&from[..]));
    }
    "copied"
}

#[http("GET /fills")]
fn fills() -> &'static str {
    let (from, mut to) = (vec![1_u8; BYTES], vec![0_u8; BYTES]);
    black_box(&from[..]);
    for times in 0..TIMES {
        black_box(&mut to[..]).fill(black_box(times) as u8);
    }
    "filled"
}

/// What the others do besides.
#[http("GET /neither")]
fn neither() -> &'static str {
    let (from, mut to) = (vec![1_u8; BYTES], vec![0_u8; BYTES]);
    for _ in 0..TIMES {
        black_box(&mut to[..]);
        black_box(&from[..]);
    }
    "neither"
}

export! { copies, fills, neither, Watch, ok }

fn main() {}
