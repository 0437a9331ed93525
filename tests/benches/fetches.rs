//! Requests to servers outside, beside the slots: how many a second, and what they take from others.
//!
//! Machines are noisy: rounds of two sides alternate, and the medians and their ratio count.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a benchmark prints, stops when it cannot go on, and ends with its runtime"
)]

#[expect(dead_code, reason = "nobody speaks WebSocket here")]
mod load;
mod turns;

use std::{convert::Infallible, net::SocketAddr, time::Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Response, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use load::{http_client, throughput};
use serde_json::json;
use tests::{Client, Process, RedisServer};
use tokio::{net::TcpListener, runtime::Runtime};
use turns::{ROUNDS, compare, median};

const TIDEGATE: &str = env!("CARGO_BIN_EXE_tidegate-under-test");
/// Requests of a round, and how many one run asks for.
const REQUESTS: u64 = 10_000;
const PER_RUN: u64 = 200;
/// Requests of the library alone that are in flight.
const IN_FLIGHT: usize = 256;
/// Requests to a slow server, and how long each takes.
const SLOW_REQUESTS: u64 = 1_000;
const SLOW_MILLIS: u64 = 2_000;
const CLIENTS: usize = 32;

fn main() {
    tests::raise_descriptor_limit();
    // The client of the other side is built as the host's, and asks for one.
    tokio_rustls::rustls::crypto::ring::default_provider().install_default().unwrap();
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(serve());
    println!("medians of {ROUNDS} rounds; host, server outside and clients on one machine");
    for layer in ["memory", "Redis"] {
        let redis = (layer == "Redis").then(RedisServer::start);
        let host = runtime.block_on(host(server, redis.as_ref()));
        compare(
            &format!("requests beside the slots, layer {layer}, requests/s"),
            "the client alone",
            || runtime.block_on(alone(server)),
            || runtime.block_on(fetched(&host, server)),
        );
    }
    let host = runtime.block_on(host(server, None));
    runtime.block_on(beside_slow_requests(&host, server));
}

/// Answers `/ok` at once and `/slow` late.
async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            socket.set_nodelay(true).unwrap();
            let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| async move {
                if request.uri().path() == "/slow" {
                    let pause = std::time::Duration::from_millis(SLOW_MILLIS);
                    tokio::time::sleep(pause).await;
                }
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"ok"))))
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
        }
    });
    address
}

async fn host(server: SocketAddr, redis: Option<&RedisServer>) -> Process {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tidegate.toml");
    let settings = format!(
        "[fetch]\nin_flight_per_server = 1024\n\
         [modules.hello]\nfile = {:?}\n\
         [modules.fetches]\nfile = {:?}\ngrants.http = ['{server}']\n",
        tests::example("hello"),
        tests::guest("fetches")
    );
    std::fs::write(&file, settings).unwrap();
    let variables = [("TIDEGATE_LOG", "off"), ("TIDEGATE_INTERFACE_CONNECTIONS_PER_SECOND", "off")];
    let (file, url) = (file.display().to_string(), redis.map(RedisServer::url));
    let mut arguments = vec!["--config", &file];
    arguments.extend(url.iter().flat_map(|url| ["--layer", url]));
    let any = "127.0.0.1:0".parse().unwrap();
    Process::serve_with(any, TIDEGATE, &arguments, &variables).await
}

/// The client library as the host uses it, without the host.
async fn alone(server: SocketAddr) -> f64 {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let started = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for task in 0..IN_FLIGHT as u64 {
        let (client, url) = (client.clone(), format!("http://{server}/ok"));
        let count = REQUESTS / IN_FLIGHT as u64 + u64::from(task < REQUESTS % IN_FLIGHT as u64);
        running.spawn(async move {
            for _ in 0..count {
                let body = client.get(&url).send().await.unwrap().bytes().await.unwrap();
                assert_eq!(&body[..], b"ok");
            }
        });
    }
    running.join_all().await;
    REQUESTS as f64 / started.elapsed().as_secs_f64()
}

async fn ask(host: &Process, server: SocketAddr, path: &str, count: u64) {
    let client = Client::new(host.address);
    let asked = json!({
        "url": format!("http://{server}{path}"), "count": PER_RUN.min(count), "then": "fetches.quick",
    });
    for _ in 0..count.div_ceil(PER_RUN) {
        let fields = [("content-type", "application/json")];
        let reply = client.request("POST", "/fetch", &fields, asked.to_string()).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
}

async fn metric(host: &Process, name: &str) -> u64 {
    let text = Client::new(host.admin).get("/metrics").await.text().to_owned();
    let lines = text.lines().filter(|line| line.starts_with(name));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
}

/// From the first run that asks to the last result that is stored.
async fn fetched(host: &Process, server: SocketAddr) -> f64 {
    let before = metric(host, "tidegate_fetches_total").await;
    let started = Instant::now();
    ask(host, server, "/ok", REQUESTS).await;
    while metric(host, "tidegate_fetches_total").await < before + REQUESTS {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    REQUESTS as f64 / started.elapsed().as_secs_f64()
}

/// The rate of `hello` alone, and while as many requests as may be wait for a slow server.
async fn beside_slow_requests(host: &Process, server: SocketAddr) {
    let address = host.address;
    let mut rounds = Vec::new();
    let mut each = Vec::new();
    for _ in 0..ROUNDS {
        let alone = throughput(CLIENTS, |load| http_client(address, load)).await;
        let (before, done) = (host.memory(), metric(host, "tidegate_fetches_total").await);
        ask(host, server, "/slow", SLOW_REQUESTS).await;
        while metric(host, "tidegate_fetches_in_flight").await < SLOW_REQUESTS * 9 / 10 {}
        each.push(host.memory().saturating_sub(before) as f64 / SLOW_REQUESTS as f64);
        let beside = throughput(CLIENTS, |load| http_client(address, load)).await;
        rounds.push((alone, beside));
        while metric(host, "tidegate_fetches_total").await < done + SLOW_REQUESTS {}
    }
    let share = median(&mut rounds.clone(), |round| 100.0 * round.1 / round.0);
    let (alone, beside) = (median(&mut rounds, |it| it.0), median(&mut rounds, |it| it.1));
    println!(
        "hello alone {alone:.0}/s, beside {SLOW_REQUESTS} requests of {SLOW_MILLIS} ms {beside:.0}/s \
         ({share:.1} %)"
    );
    println!("memory of each: {:.1} KB", median(&mut each, |bytes| *bytes) / 1_000.0);
}
