//! Recurses without end.

use test_guests::{Watch, announce, ok};
use tidegate_sdk::{Context, Result, export, http};

/// Keeps nothing in memory: the stack that overflows is the engine's.
#[http("GET /run")]
fn run(cx: &mut Context) -> Result<String> {
    announce(cx)?;
    Ok(deeper(1).to_string())
}

fn deeper(x: u64) -> u64 {
    let again: fn(u64) -> u64 = std::hint::black_box(deeper);
    again(x + 1).rotate_left(3) ^ x
}

/// Keeps arrays: the stack that overflows is the guest's own, in its memory.
#[http("GET /arrays")]
fn arrays(cx: &mut Context) -> Result<String> {
    announce(cx)?;
    Ok(deeper_with_array(1).to_string())
}

#[expect(unconditional_recursion, reason = "what this guest is for")]
fn deeper_with_array(x: u64) -> u64 {
    let frame = std::hint::black_box([x; 64]);
    1 + deeper_with_array(frame[0] + 1) + frame[1]
}

export! { run, arrays, Watch, ok }

fn main() {}
