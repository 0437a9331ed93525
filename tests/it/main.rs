//! All integration tests: one binary, over real sockets.

#![expect(
    clippy::unwrap_used,
    clippy::string_slice,
    reason = "a test that meets what it does not expect panics, with the place"
)]

mod autobahn;
mod backpressure;
mod browser;
mod cli;
mod examples;
mod floors;
mod held;
mod http;
mod http1;
mod limits;
mod misbehaviour;
mod order;
mod readme;
mod reload;
mod shutdown;
mod stalls;
mod state;
mod websocket;
mod wit;

/// The `tidegate` binary.
const TIDEGATE: &str = env!("CARGO_BIN_EXE_tidegate-under-test");
