//! This build beside an earlier one: rate, processor time and context switches a message, round by round in
//! turns. `make bench-paired BEFORE=FILE` runs it; FILE is the binary of the earlier build.
//!
//! Machines are noisy: rounds of the two sides alternate, and the mean ratio counts with its 95 %
//! interval.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints, stops when it cannot go on, and ends with its runtime"
)]

mod audience;
mod load;

use std::{collections::HashMap, io::Read as _, net::SocketAddr, process::Stdio};

use audience::Audience;
use load::{http_client, throughput, websocket_client};
use tests::{Process, RedisServer};
use tokio::runtime::Runtime;

const TIDEGATE: &str = env!("CARGO_BIN_EXE_tidegate-under-test");
/// Rounds of each side, and the 97.5 % quantile of Student's t for one less.
const ROUNDS: usize = 15;
const STUDENT_T: f64 = 2.145;
const CLIENTS: usize = 32;
const MANY_CLIENTS: usize = 1000;
const MEMBERS: usize = 1000;
/// What Linux counts processor time in, unless a kernel was built otherwise.
const TICKS_PER_SECOND: f64 = 100.0;

/// One of the two that are compared.
struct Side {
    name: &'static str,
    /// The processes whose work counts, the one with the listener first.
    processes: Vec<Process>,
}

/// One round of a side, in numbers for each message.
#[derive(Clone, Copy, Debug)]
struct Round {
    rate: f64,
    micros: f64,
    switches: f64,
}

impl Side {
    fn address(&self) -> SocketAddr {
        self.processes.first().unwrap().address
    }

    fn used(&self) -> (f64, f64) {
        let each = self.processes.iter().map(|process| used(process.pid()));
        each.fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }
}

/// Microseconds of processor time and context switches of a process so far.
fn used(pid: u32) -> (f64, f64) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    let ticks = |field: usize| -> f64 {
        after_name.split_whitespace().nth(field).unwrap().parse().unwrap()
    };
    let micros = (ticks(11) + ticks(12)) * 1e6 / TICKS_PER_SECOND;
    let mut switches = 0.0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        // A thread may end meanwhile.
        let Ok(status) = std::fs::read_to_string(task.unwrap().path().join("status")) else {
            continue;
        };
        let counts = status.lines().filter_map(|line| line.split_once("_ctxt_switches:"));
        switches += counts.map(|(_, count)| count.trim().parse::<f64>().unwrap()).sum::<f64>();
    }
    (micros, switches)
}

fn round(side: &Side, mut load: impl FnMut(SocketAddr) -> (f64, f64)) -> Round {
    let before = side.used();
    let (rate, messages) = load(side.address());
    let after = side.used();
    Round {
        rate,
        micros: (after.0 - before.0) / messages,
        switches: (after.1 - before.1) / messages,
    }
}

/// Mean and half the width of the 95 % interval of ratios, by their logarithms.
fn ratio(pairs: &[(Round, Round)], of: impl Fn(&Round) -> f64) -> (f64, f64, f64) {
    #[expect(clippy::cast_precision_loss, reason = "a count of rounds")]
    let n = pairs.len() as f64;
    let logs: Vec<f64> = pairs.iter().map(|(a, b)| (of(b) / of(a)).ln()).collect();
    let mean = logs.iter().sum::<f64>() / n;
    let variance = logs.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let half = STUDENT_T * (variance / n).sqrt();
    (mean.exp(), (mean - half).exp(), (mean + half).exp())
}

fn mean(pairs: &[(Round, Round)], of: impl Fn(&(Round, Round)) -> f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a count of rounds")]
    let n = pairs.len() as f64;
    pairs.iter().map(of).sum::<f64>() / n
}

fn compare(what: &str, one: &Side, other: &Side, mut load: impl FnMut(SocketAddr) -> (f64, f64)) {
    // Whatever is made at first use is made now.
    load(one.address());
    load(other.address());
    let pairs: Vec<_> =
        (0..ROUNDS).map(|_| (round(one, &mut load), round(other, &mut load))).collect();
    println!("{what}: {} → {}", one.name, other.name);
    print_ratio(&pairs, "messages/s", |it| it.rate);
    print_ratio(&pairs, "µs of processor time a message", |it| it.micros);
    print_ratio(&pairs, "context switches a message", |it| it.switches);
}

fn print_ratio(pairs: &[(Round, Round)], name: &str, of: impl Fn(&Round) -> f64) {
    let (ratio, low, high) = ratio(pairs, &of);
    let (a, b) = (mean(pairs, |it| of(&it.0)), mean(pairs, |it| of(&it.1)));
    println!("  {name}: {a:.2} → {b:.2}, × {ratio:.3} ({low:.3} to {high:.3})");
}

/// Runs clients and gives rate and number of messages.
fn run<F>(
    clients: &Runtime,
    count: usize,
    client: impl Fn(SocketAddr, std::sync::Arc<load::Load>) -> F + Copy,
) -> impl FnMut(SocketAddr) -> (f64, f64)
where
    F: Future<Output = ()> + Send + 'static,
{
    move |address| {
        let rate = clients.block_on(throughput(count, |load| client(address, load)));
        (rate, rate * load::ROUND.as_secs_f64())
    }
}

/// Sends to members of a group, who stay from round to round, and gives rate and number of deliveries.
fn broadcast(clients: &Runtime) -> impl FnMut(SocketAddr) -> (f64, f64) {
    let mut audiences = HashMap::new();
    move |address| {
        let audience = audiences
            .entry(address)
            .or_insert_with(|| clients.block_on(Audience::gather(address, MEMBERS)));
        clients.block_on(audience.broadcast(load::ROUND))
    }
}

const SETTINGS: [(&str, &str); 3] = [
    ("TIDEGATE_INTERFACE_CONNECTIONS_PER_ADDRESS", "off"),
    ("TIDEGATE_INTERFACE_CONNECTIONS_PER_SECOND", "off"),
    ("TIDEGATE_INTERFACE_FRAMES_PER_SECOND", "off"),
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
async fn in_memory(name: &'static str, binary: &str, log: Stdio, level: &'static str) -> Side {
    let modules = modules();
    let arguments: Vec<&str> = modules.iter().map(String::as_str).collect();
    let variables = [&SETTINGS[..], &[("TIDEGATE_LOG", level)]].concat();
    let process = Process::serve_with_log(log, binary, &arguments, &variables).await;
    Side { name, processes: vec![process] }
}

async fn over_redis(name: &'static str, binary: &str, redis: &RedisServer) -> Side {
    let (modules, url) = (modules(), redis.url());
    let arguments = |first: &'static str| -> Vec<&str> {
        [first, "--layer", &url].into_iter().chain(modules.iter().map(String::as_str)).collect()
    };
    let variables = [&SETTINGS[..], &[("TIDEGATE_LOG", "off")]].concat();
    let (serve, work) = (arguments("--no-worker"), arguments("worker"));
    let interface = Process::serve_with_log(Stdio::null(), binary, &serve, &variables).await;
    let worker = Process::serve_with_log(Stdio::null(), binary, &work, &variables).await;
    Side { name, processes: vec![interface, worker] }
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

/// This build and the one before.
fn builds(clients: &Runtime, before: &str) {
    let start =
        |name, binary: &str| clients.block_on(in_memory(name, binary, Stdio::null(), "off"));
    let (one, other) = (start("before", before), start("now", TIDEGATE));
    compare("HTTP, 32 clients", &one, &other, run(clients, CLIENTS, http_client));
    compare("WebSocket echo, 32 clients", &one, &other, run(clients, CLIENTS, websocket_client));
    let many = run(clients, MANY_CLIENTS, websocket_client);
    compare("WebSocket echo, 1,000 clients", &one, &other, many);
    compare("Broadcast to 1,000, each delivery", &one, &other, broadcast(clients));
    drop((one, other));
    let servers = [RedisServer::start(), RedisServer::start()];
    let [first, second] = &servers;
    let one = clients.block_on(over_redis("before", before, first));
    let other = clients.block_on(over_redis("now", TIDEGATE, second));
    compare("HTTP over Redis, 32 clients", &one, &other, run(clients, CLIENTS, http_client));
    let echo = run(clients, CLIENTS, websocket_client);
    compare("WebSocket echo over Redis, 32 clients", &one, &other, echo);
}

/// A log that is read, and one whose reader stalls.
fn stalled_log(clients: &Runtime) {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let (_stalled, unread) = std::io::pipe().unwrap();
    let start = |name, log: Stdio| clients.block_on(in_memory(name, TIDEGATE, log, "info"));
    let one = start("log that is read", writer.into());
    std::thread::spawn(move || {
        let mut lines = [0; 65536];
        while reader.read(&mut lines).is_ok_and(|bytes| bytes > 0) {}
    });
    let other = start("log that stalls", unread.into());
    compare("HTTP, 32 clients, access log", &one, &other, run(clients, CLIENTS, http_client));
}
