//! Clients that are lost and come back, and who is in a group: `make bench-groups`.
//!
//! The host is a process of its own, so that its memory and its processor time are its own.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a benchmark prints, stops when it cannot go on, and ends with its runtime"
)]

#[expect(dead_code, reason = "clients come and go here")]
mod load;
mod rounds;

use std::{
    net::SocketAddr,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use load::Load;
use rounds::{Side, compare, run};
use serde::Deserialize;
use tests::{Client, Process, RedisServer, Socket, auth_section, background};
use tokio::{runtime::Runtime, time::sleep_until};

const TIDEGATE: &str = env!("CARGO_BIN_EXE_tidegate-under-test");
const MIB: f64 = 1024.0 * 1024.0;
/// Handshakes at the same time: as many as wait for a consumer at most.
const AT_ONCE: usize = 50;
/// Connections whose clients are lost at once.
const LOST: usize = 10_000;
/// Clients that come back within a second, and the messages that each has missed.
const RETURNING: usize = 1_000;
const MISSED: usize = 50;
/// How long the live traffic is measured without them.
const ALONE: Duration = Duration::from_secs(5);
/// The pause between two messages of the live traffic.
const LIVE_PAUSE: Duration = Duration::from_millis(10);
/// Groups, and members of each.
const GROUPS: usize = 100;
const MEMBERS: usize = 100;
/// Members of the group whose list is asked for.
const LISTED: usize = 1_000;
const LISTS: usize = 50;
/// Clients that come and go.
const CHURNING: usize = 16;

fn main() {
    tests::raise_descriptor_limit();
    let clients = Runtime::new().unwrap();
    let redis = RedisServer::start();
    clients.block_on(lost());
    for (layer, redis) in [("memory", None), ("Redis", Some(&redis))] {
        clients.block_on(returning(layer, redis));
        presence(&clients, layer, redis);
    }
}

async fn serve(guest: &str, redis: Option<&RedisServer>) -> Process {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tidegate.toml");
    // The guest `resume` has a route that asks who somebody is.
    let module = format!("[modules.{guest}]\nfile = {:?}\n", tests::guest(guest));
    std::fs::write(&file, auth_section("") + &module).unwrap();
    let (file, url) = (file.display().to_string(), redis.map(RedisServer::url));
    let mut arguments = vec!["--config", &*file];
    arguments.extend(url.iter().flat_map(|url| ["--layer", url]));
    let variables = [
        ("TIDEGATE_INTERFACE_CONNECTIONS_PER_ADDRESS", "off"),
        ("TIDEGATE_INTERFACE_CONNECTIONS_PER_SECOND", "off"),
        ("TIDEGATE_INTERFACE_FRAMES_PER_SECOND", "off"),
        ("TIDEGATE_INTERFACE_PING_INTERVAL", "2h"),
        ("TIDEGATE_LOG", "off"),
    ];
    Process::serve_with_log(Stdio::null(), TIDEGATE, &arguments, &variables).await
}

/// Opens WebSockets, some at a time.
async fn open(address: SocketAddr, paths: impl IntoIterator<Item = String>) -> Vec<Socket> {
    open_with(address, paths, &[]).await
}

async fn open_with(
    address: SocketAddr,
    paths: impl IntoIterator<Item = String>,
    fields: &[(&str, &str)],
) -> Vec<Socket> {
    let (mut sockets, mut paths) = (Vec::new(), paths.into_iter().peekable());
    while paths.peek().is_some() {
        let some: Vec<_> = paths.by_ref().take(AT_ONCE).collect();
        let some = some.iter().map(|path| Socket::try_open(address, path, fields));
        sockets.extend(join_all(some).await.into_iter().map(Result::unwrap));
    }
    sockets
}

/// The value of a metric without labels.
async fn metric(host: &Process, name: &str) -> u64 {
    let answer = Client::new(host.admin).get("/metrics").await;
    let line = answer.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or(0)
}

async fn lost() {
    let host = serve("resume", None).await;
    let offer = [("sec-websocket-protocol", "chat, tidegate.resume")];
    let long = |count| (0..count).map(|_| "/long".to_owned());
    // What the first ones set up is not theirs.
    let mut sockets = open_with(host.address, long(500), &offer).await;
    let before = host.memory();
    sockets.extend(open_with(host.address, long(LOST - 500), &offer).await);
    let open = host.memory();
    // The operating system ends the lines, without a close frame.
    drop(sockets);
    while metric(&host, "tidegate_lost_clients").await < LOST as u64 {}
    let lost = host.memory();
    println!(
        "{LOST} clients lost at once: the host has {:.0} MiB more than with 500 of them open, and had {:.0} \
         while all were ({:.1} and {:.1} KB each)",
        (lost as f64 - before as f64) / MIB,
        (open as f64 - before as f64) / MIB,
        (lost as f64 - before as f64) / LOST as f64 / 1_000.0,
        (open as f64 - before as f64) / LOST as f64 / 1_000.0,
    );
    host.signal("KILL").await;
}

/// A frame to a member of a group that is remembered.
#[derive(Deserialize)]
struct Told {
    tidegate: String,
    position: String,
    text: Option<String>,
}

async fn told(socket: &mut Socket) -> Told {
    serde_json::from_str(&socket.text().await).unwrap()
}

async fn returning(layer: &str, redis: Option<&RedisServer>) {
    let host = serve("remembering", redis).await;
    let (address, room) = (host.address, "/room/long");
    let mut first = Socket::open(address, room).await;
    let position = told(&mut first).await.position;
    let client = Client::new(address);
    for number in 0..MISSED {
        client.clone().request("POST", room, &[], number.to_string()).await;
    }
    drop(first);
    let alone = live(address, ALONE).await;
    let before = host.memory();
    host.reset_peak_memory();
    let back = format!("{room}?after=remembering.room.long:{position}");
    let started = Instant::now();
    let traffic = background(live(address, Duration::from_secs(3)));
    let come = (0..RETURNING).map(|number| {
        let back = back.clone();
        let at = started + Duration::from_secs(1) * u32::try_from(number).unwrap() / 1_000;
        background(async move {
            sleep_until(at.into()).await;
            let mut socket = Socket::open(address, &back).await;
            let mut next = 0;
            while next < MISSED {
                let Told { tidegate, text, .. } = told(&mut socket).await;
                if tidegate == "message" {
                    assert_eq!(text, Some(next.to_string()), "in order and once");
                    next += 1;
                }
            }
            (started.elapsed(), socket)
        })
    });
    let come: Vec<_> = join_all(come).await.into_iter().map(Result::unwrap).collect();
    let last = come.iter().map(|(took, _)| *took).max().unwrap();
    let peak = host.peak_memory();
    let beside = traffic.await.unwrap();
    println!(
        "{RETURNING} clients come back within a second from {MISSED} messages before, {layer}: all have them \
         {:.2} s after the first began; the host took {:.1} MiB more at most; live messages beside them: p50 \
         {:.2} → {:.2} ms, p99 {:.2} → {:.2} ms",
        last.as_secs_f64(),
        (peak as f64 - before as f64) / MIB,
        quantile(&alone, 0.5),
        quantile(&beside, 0.5),
        quantile(&alone, 0.99),
        quantile(&beside, 0.99),
    );
    host.signal("KILL").await;
}

/// Sends to a group again and again. Returns how many milliseconds each message took to a member, sorted.
async fn live(address: SocketAddr, span: Duration) -> Vec<f64> {
    let mut member = Socket::open(address, "/crowd/plain.live").await;
    let mut crier = Socket::open(address, "/crier/plain.live").await;
    let (mut took, started) = (Vec::new(), Instant::now());
    while started.elapsed() < span {
        let sent = Instant::now();
        crier.send("the tide comes in").await;
        member.text().await;
        took.push(sent.elapsed().as_secs_f64() * 1_000.0);
        crier.text().await;
        sleep_until((sent + LIVE_PAUSE).into()).await;
    }
    took.sort_by(f64::total_cmp);
    took
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place among few numbers"
)]
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let at = (sorted.len() as f64 * part) as usize;
    sorted.get(at.min(sorted.len() - 1)).copied().unwrap_or(f64::NAN)
}

fn presence(clients: &Runtime, layer: &str, redis: Option<&RedisServer>) {
    let host = clients.block_on(serve("presence", redis));
    let address = host.address;
    let of = |group: &str, members: usize| -> Vec<String> {
        (0..members).map(|member| format!("/room/{group}/{member}")).collect()
    };
    let everywhere = (0..GROUPS).flat_map(|group| of(&format!("g{group}"), MEMBERS));
    let members = clients.block_on(open(address, everywhere));
    let listed = clients.block_on(open(address, of("listed", LISTED)));
    let mut took: Vec<_> = clients.block_on(async {
        let mut took = Vec::new();
        for _ in 0..LISTS {
            let started = Instant::now();
            let reply = Client::new(address).get("/members/listed").await;
            took.push(started.elapsed().as_secs_f64() * 1_000.0);
            let all: std::collections::BTreeMap<String, serde_json::Value> =
                serde_json::from_str(reply.text()).unwrap();
            assert_eq!(all.len(), LISTED);
        }
        took
    });
    took.sort_by(f64::total_cmp);
    println!(
        "List of {LISTED} members beside {} others, {layer}: p50 {:.1} ms, p99 {:.1} ms",
        members.len(),
        quantile(&took, 0.5),
        quantile(&took, 0.99),
    );
    drop(listed);
    let side = Side::new([host]);
    let comes = |path: fn(usize) -> String| {
        let number = std::sync::atomic::AtomicUsize::new(0);
        run(clients, CHURNING, move |address, load| {
            let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % CHURNING;
            come_and_go(address, path(number), load)
        })
    };
    compare(
        &format!("A WebSocket that comes and goes, {layer}: in a group → present in a group"),
        (&side, comes(|_| "/watch".to_owned())),
        (&side, comes(|number| format!("/room/churn{number}/{number}"))),
    );
    drop(members);
}

async fn come_and_go(address: SocketAddr, path: String, load: Arc<Load>) {
    loop {
        Socket::open(address, &path).await.close(1000).await;
        if !load.count() {
            return;
        }
    }
}
