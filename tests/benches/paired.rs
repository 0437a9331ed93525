//! This build beside an earlier one: rate, processor time and context switches a message, round by round in
//! turns. `make bench-paired BEFORE=FILE` runs it; FILE is the binary of the earlier build. Without one this build
//! runs beside itself, with a log that stalls.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints, stops when it cannot go on, and ends with its runtime"
)]

mod audience;
mod load;
mod rounds;

use std::{io::Read as _, process::Stdio};

use audience::{Stage, TEXT, broadcast};
use load::{http_client, websocket_client};
use rounds::{ROUNDS, Side, compare, run};
use tests::{Process, RedisServer};
use tokio::runtime::Runtime;

const TIDEGATE: &str = env!("CARGO_BIN_EXE_tidegate-under-test");
const CLIENTS: usize = 32;
const MANY_CLIENTS: usize = 1000;
const MEMBERS: usize = 1000;

const SETTINGS: [(&str, &str); 4] = [
    ("TIDEGATE_INTERFACE_CONNECTIONS_PER_ADDRESS", "off"),
    ("TIDEGATE_INTERFACE_CONNECTIONS_PER_SECOND", "off"),
    ("TIDEGATE_INTERFACE_FRAMES_PER_SECOND", "off"),
    // Members of a group say nothing for many rounds.
    ("TIDEGATE_INTERFACE_PING_INTERVAL", "2h"),
];

fn modules() -> Vec<String> {
    ["hello", "echo"]
        .map(|name| (name, tests::example(name)))
        .into_iter()
        .chain([("actor", tests::guest("actor"))])
        .flat_map(|(name, file)| ["--module".to_owned(), format!("{name}={}", file.display())])
        .collect()
}

/// A host on the memory layer whose log goes somewhere.
async fn in_memory(binary: &str, log: Stdio, level: &'static str) -> Side {
    let modules = modules();
    let arguments: Vec<&str> = modules.iter().map(String::as_str).collect();
    let variables = [&SETTINGS[..], &[("TIDEGATE_LOG", level)]].concat();
    let process = Process::serve_with_log(log, binary, &arguments, &variables).await;
    Side::new([process])
}

async fn over_redis(binary: &str, redis: &RedisServer) -> Side {
    let (modules, url) = (modules(), redis.url());
    let arguments = |first: &'static str| -> Vec<&str> {
        [first, "--layer", &url].into_iter().chain(modules.iter().map(String::as_str)).collect()
    };
    let variables = [&SETTINGS[..], &[("TIDEGATE_LOG", "off")]].concat();
    let (serve, work) = (arguments("--no-worker"), arguments("worker"));
    let interface = Process::serve_with_log(Stdio::null(), binary, &serve, &variables).await;
    let worker = Process::serve_with_log(Stdio::null(), binary, &work, &variables).await;
    Side::new([interface, worker])
}

fn main() {
    tests::raise_descriptor_limit();
    let clients = Runtime::new().unwrap();
    let before = std::env::var("BEFORE").ok();
    let loads = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("{ROUNDS} rounds of {:?} each; load of the machine {}", load::ROUND, loads.trim());
    if let Some(before) = &before {
        builds(&clients, before);
    }
    stalled_log(&clients);
}

/// The group `watch` of the guest `actor`, which joins and sends as its clients say.
fn watch() -> Stage {
    Stage {
        member: "/watch".to_owned(),
        sender: "/actor".to_owned(),
        says: format!("publish watch {TEXT}"),
        is_greeted: false,
    }
}

/// This build and the one before.
fn builds(clients: &Runtime, before: &str) {
    let start = |binary: &str| clients.block_on(in_memory(binary, Stdio::null(), "off"));
    let (one, other) = (start(before), start(TIDEGATE));
    let http = || run(clients, CLIENTS, http_client);
    let echo = |count| run(clients, count, websocket_client);
    let watched = || broadcast(clients, MEMBERS, watch());
    compare("HTTP, 32 clients: before → now", (&one, http()), (&other, http()));
    compare(
        "WebSocket echo, 32 clients: before → now",
        (&one, echo(CLIENTS)),
        (&other, echo(CLIENTS)),
    );
    let (many, as_many) = (echo(MANY_CLIENTS), echo(MANY_CLIENTS));
    compare("WebSocket echo, 1,000 clients: before → now", (&one, many), (&other, as_many));
    compare(
        "Broadcast to 1,000, each delivery: before → now",
        (&one, watched()),
        (&other, watched()),
    );
    drop((one, other));
    let servers = [RedisServer::start(), RedisServer::start()];
    let [first, second] = &servers;
    let one = clients.block_on(over_redis(before, first));
    let other = clients.block_on(over_redis(TIDEGATE, second));
    compare("HTTP over Redis, 32 clients: before → now", (&one, http()), (&other, http()));
    let (first, second) = (echo(CLIENTS), echo(CLIENTS));
    compare("WebSocket echo over Redis, 32 clients: before → now", (&one, first), (&other, second));
}

/// A log that is read, and one whose reader stalls.
fn stalled_log(clients: &Runtime) {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let (_stalled, unread) = std::io::pipe().unwrap();
    let start = |log: Stdio| clients.block_on(in_memory(TIDEGATE, log, "info"));
    let one = start(writer.into());
    std::thread::spawn(move || {
        let mut lines = [0; 65536];
        while reader.read(&mut lines).is_ok_and(|bytes| bytes > 0) {}
    });
    let other = start(unread.into());
    let http = || run(clients, CLIENTS, http_client);
    compare("HTTP, 32 clients, access log: read → stalls", (&one, http()), (&other, http()));
}
