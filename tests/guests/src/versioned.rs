//! What the versions of `versioned` share: a number that a test writes into the file.

use std::hint::black_box;

use tidegate_sdk::{Result, Socket, State};

/// A test puts another number into its place, and has another version.
static VERSION: [u8; 16] = *b"version=00000001";

/// The number in the file.
pub fn version() -> u64 {
    // Read as it stands in the file, and not as the compiler saw it.
    let text = black_box(&VERSION);
    let digits = text.iter().skip_while(|byte| **byte != b'=').skip(1);
    digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

/// State that has a count, under whatever name.
pub trait Counts: State {
    /// The state of a count.
    fn of(count: u64) -> Self;
    /// Its count.
    fn count(&self) -> u64;
}

/// Counts on, and answers with version, text and count.
pub fn count<S: Counts>(socket: &mut Socket<S>, text: &str) -> Result<()> {
    let count = socket.state().map_or(0, Counts::count) + 1;
    socket.set_state(S::of(count))?;
    Ok(socket.send(format!("{}:{text}:{count}", version()))?)
}
