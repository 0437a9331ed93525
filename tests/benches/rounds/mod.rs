//! Two sides in turns, round by round: rate, processor time and context switches a message.
//!
//! Machines are noisy: rounds of the two sides alternate, and the mean ratio counts with its 95 %
//! interval. Words pick rows: `cargo bench --bench peers -- nchan`.

use std::{net::SocketAddr, sync::Arc};

use tests::Process;
use tokio::runtime::Runtime;

use crate::load::{Load, ROUND, throughput};

/// Rounds of each side, and the 97.5 % quantile of Student's t for one less.
pub(crate) const ROUNDS: usize = 15;
const STUDENT_T: f64 = 2.145;
/// What Linux counts processor time in, unless a kernel was built otherwise.
const TICKS_PER_SECOND: f64 = 100.0;

/// A server that runs as processes of its own.
pub(crate) trait Server: std::fmt::Debug {
    /// Where it serves.
    fn address(&self) -> SocketAddr;
    /// The processes whose work counts.
    fn pids(&self) -> Vec<u32>;
}

impl Server for Process {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn pids(&self) -> Vec<u32> {
        vec![self.pid()]
    }
}

/// One of the two that are compared.
#[derive(Debug)]
pub(crate) struct Side {
    servers: Vec<Box<dyn Server>>,
}

/// One round of a side, in numbers for each message.
#[derive(Clone, Copy, Debug)]
struct Round {
    rate: f64,
    micros: f64,
    switches: f64,
}

impl Side {
    /// Servers whose work counts, the one with the listener first.
    pub(crate) fn new(servers: impl IntoIterator<Item = impl Server + 'static>) -> Self {
        Self { servers: servers.into_iter().map(|it| Box::new(it) as Box<dyn Server>).collect() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.servers.first().unwrap().address()
    }

    fn used(&self) -> (f64, f64) {
        let each = self.servers.iter().flat_map(|server| server.pids()).map(used);
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

/// Compares two sides, each with its load, which gives a rate and a number of messages.
pub(crate) fn compare<A, B>(
    what: &str,
    (one, mut load): (&Side, A),
    (other, mut other_load): (&Side, B),
) where
    A: FnMut(SocketAddr) -> (f64, f64),
    B: FnMut(SocketAddr) -> (f64, f64),
{
    if !is_wanted(what) {
        return;
    }
    // Whatever is made at first use is made now.
    load(one.address());
    other_load(other.address());
    let pairs: Vec<_> =
        (0..ROUNDS).map(|_| (round(one, &mut load), round(other, &mut other_load))).collect();
    println!("{what}");
    print_ratio(&pairs, "messages/s", |it| it.rate);
    print_ratio(&pairs, "µs of processor time a message", |it| it.micros);
    print_ratio(&pairs, "context switches a message", |it| it.switches);
}

/// Whether a row has the words that were given; cargo gives flags, too.
pub(crate) fn is_wanted(row: &str) -> bool {
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with('-'));
    words.all(|word| row.contains(&word))
}

fn print_ratio(pairs: &[(Round, Round)], name: &str, of: impl Fn(&Round) -> f64) {
    let (ratio, low, high) = ratio(pairs, &of);
    let (a, b) = (mean(pairs, |it| of(&it.0)), mean(pairs, |it| of(&it.1)));
    println!("  {name}: {a:.2} → {b:.2}, × {ratio:.3} ({low:.3} to {high:.3})");
}

/// Runs clients and gives rate and number of messages.
pub(crate) fn run<F>(
    clients: &Runtime,
    count: usize,
    client: impl Fn(SocketAddr, Arc<Load>) -> F,
) -> impl FnMut(SocketAddr) -> (f64, f64)
where
    F: Future<Output = ()> + Send + 'static,
{
    move |address| {
        let rate = clients.block_on(throughput(count, |load| client(address, load)));
        (rate, rate * ROUND.as_secs_f64())
    }
}
