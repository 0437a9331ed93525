//! What an idle WebSocket costs: memory of the host for each of 10,000, and how fast they are opened.
//!
//! The host is a process of its own, so that its memory is its own.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark prints, and stops when it cannot go on"
)]

use std::time::Instant;

use tests::{Process, Socket};

const SOCKETS: usize = 10_000;
/// Handshakes at the same time: as many as wait for a consumer at most.
const AT_ONCE: usize = 50;

fn main() {
    tests::raise_descriptor_limit();
    tokio::runtime::Runtime::new().unwrap().block_on(measure());
}

async fn measure() {
    let module = format!("echo={}", tests::example("echo").display());
    let variables = [
        ("TIDEGATE_INTERFACE_CONNECTIONS_PER_ADDRESS", "off"),
        ("TIDEGATE_INTERFACE_CONNECTIONS_PER_SECOND", "off"),
        ("TIDEGATE_LOG", "error"),
    ];
    let host = Process::serve_with(
        "127.0.0.1:0".parse().unwrap(),
        env!("CARGO_BIN_EXE_tidegate-under-test"),
        &["--module", &module],
        &variables,
    )
    .await;
    // What the first ones set up is not theirs.
    let mut sockets = open(&host, 500).await;
    let before = host.memory();
    let started = Instant::now();
    sockets.extend(open(&host, SOCKETS).await);
    let took = started.elapsed().as_secs_f64();
    let each = host.memory().saturating_sub(before) as f64 / SOCKETS as f64;
    println!("idle WebSocket: {:.1} KB of the host's memory each, {SOCKETS} open", each / 1_000.0);
    println!("WebSockets opened: {:.0}/s, {AT_ONCE} at a time", SOCKETS as f64 / took);
    drop(sockets);
    host.signal("KILL").await;
}

async fn open(host: &Process, count: usize) -> Vec<Socket> {
    let mut sockets = Vec::with_capacity(count);
    while sockets.len() < count {
        let some = (0..AT_ONCE).map(|_| Socket::open(host.address, "/echo"));
        sockets.extend(futures_util::future::join_all(some).await);
    }
    sockets
}
