//! Uploaded files, up to where the compiler would have them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::engine::fuzzing;

fuzz_target!(|file: &[u8]| fuzzing::upload(file));
