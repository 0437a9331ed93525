//! What the versions of `versioned` share: a number that a test writes into the file.

use std::hint::black_box;

/// A test puts another number into its place, and has another version.
static VERSION: [u8; 16] = *b"version=00000001";

/// The number in the file.
pub fn version() -> u64 {
    // Read as it stands in the file, and not as the compiler saw it.
    let text = black_box(&VERSION);
    let digits = text.iter().skip_while(|byte| **byte != b'=').skip(1);
    digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}
