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

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use load::{http_client, throughput};
use serde_json::json;
use tests::{Client, Process, RedisServer};
use tokio::{
    net::TcpListener,
    runtime::Runtime,
    sync::{Notify, Semaphore},
};
use turns::{ROUNDS, compare, median};

const TIDEGATE: &str = env!("CARGO_BIN_EXE_tidegate-under-test");
/// Requests of a round, and how many one run asks for.
const REQUESTS: u64 = 10_000;
const PER_RUN: u64 = 200;
/// Requests of the library alone that are in flight.
const IN_FLIGHT: usize = 256;
/// Requests to a server that answers when a round of `hello` is over, which takes two seconds.
const SLOW_REQUESTS: u64 = 1_000;
const CLIENTS: usize = 32;

fn main() {
    tests::raise_descriptor_limit();
    // The client of the other side is built as the host's, and asks for one.
    tokio_rustls::rustls::crypto::ring::default_provider().install_default().unwrap();
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(Server::start());
    let address = server.address;
    println!("medians of {ROUNDS} rounds; host, server outside and clients on one machine");
    for layer in ["memory", "Redis"] {
        let redis = (layer == "Redis").then(RedisServer::start);
        let host = runtime.block_on(host(address, redis.as_ref()));
        compare(
            &format!("requests beside the slots, layer {layer}, requests/s"),
            "the client alone",
            || runtime.block_on(alone(address)),
            || runtime.block_on(fetched(&host, &server)),
        );
    }
    let host = runtime.block_on(host(address, None));
    runtime.block_on(beside_slow_requests(&host, &server));
}

/// The server outside, on a task of its own.
#[derive(Debug)]
struct Server {
    address: SocketAddr,
    answers: Arc<Answers>,
}

#[derive(Debug)]
struct Answers {
    /// Requests that were answered at once.
    count: AtomicU64,
    counted: Notify,
    /// Answers to `/slow` that may go.
    released: Semaphore,
}

impl Server {
    /// Answers `/ok` at once, and `/slow` when it is released.
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answers = Arc::new(Answers {
            count: AtomicU64::new(0),
            counted: Notify::new(),
            released: Semaphore::new(0),
        });
        let of = Arc::clone(&answers);
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                socket.set_nodelay(true).unwrap();
                let of = Arc::clone(&of);
                let service = service_fn(move |request: Request<Incoming>| {
                    let of = Arc::clone(&of);
                    async move {
                        if request.uri().path() == "/slow" {
                            of.released.acquire().await.unwrap().forget();
                        } else {
                            of.count.fetch_add(1, Ordering::Relaxed);
                            of.counted.notify_one();
                        }
                        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"ok"))))
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
            }
        });
        Self { address, answers }
    }

    /// Waits until so many requests were answered at once.
    async fn until(&self, count: u64) {
        while self.answers.count.load(Ordering::Relaxed) < count {
            self.answers.counted.notified().await;
        }
    }
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
async fn fetched(host: &Process, server: &Server) -> f64 {
    let before = metric(host, "tidegate_fetches_total").await;
    let answered = server.answers.count.load(Ordering::Relaxed);
    let started = Instant::now();
    ask(host, server.address, "/ok", REQUESTS).await;
    server.until(answered + REQUESTS).await;
    while metric(host, "tidegate_fetches_total").await < before + REQUESTS {}
    REQUESTS as f64 / started.elapsed().as_secs_f64()
}

/// The rate of `hello` alone, and while as many requests as may be wait for a slow server.
async fn beside_slow_requests(host: &Process, server: &Server) {
    let address = host.address;
    let mut rounds = Vec::new();
    let mut each = Vec::new();
    for _ in 0..ROUNDS {
        let alone = throughput(CLIENTS, |load| http_client(address, load)).await;
        let (before, done) = (host.memory(), metric(host, "tidegate_fetches_total").await);
        ask(host, server.address, "/slow", SLOW_REQUESTS).await;
        while metric(host, "tidegate_fetches_in_flight").await < SLOW_REQUESTS {}
        each.push(host.memory().saturating_sub(before) as f64 / SLOW_REQUESTS as f64);
        let beside = throughput(CLIENTS, |load| http_client(address, load)).await;
        rounds.push((alone, beside));
        server.answers.released.add_permits(usize::try_from(SLOW_REQUESTS).unwrap());
        while metric(host, "tidegate_fetches_total").await < done + SLOW_REQUESTS {}
    }
    let share = median(&mut rounds.clone(), |round| 100.0 * round.1 / round.0);
    let (alone, beside) = (median(&mut rounds, |it| it.0), median(&mut rounds, |it| it.1));
    println!(
        "hello alone {alone:.0}/s, beside {SLOW_REQUESTS} requests that wait {beside:.0}/s ({share:.1} %)"
    );
    println!("memory of each: {:.1} KB", median(&mut each, |bytes| *bytes) / 1_000.0);
}
