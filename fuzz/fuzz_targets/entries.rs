//! Entries in Redis, as another program may have left them. The first byte says which kind it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::layer::fuzzing;

fuzz_target!(|bytes: &[u8]| {
    match bytes.split_first() {
        Some((0, entry)) => fuzzing::channel(entry),
        Some((_, entry)) => fuzzing::inbox(entry),
        None => {}
    }
});
