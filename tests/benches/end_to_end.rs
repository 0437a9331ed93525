//! HTTP and WebSocket from client to consumer and back, beside the raw libraries in the same run, and
//! what a module that loops in every slot it may use does to its neighbours.
//!
//! Machines are noisy: rounds of the two sides alternate, and the medians and their ratio count.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints, stops when it cannot go on, and ends with its runtime"
)]

mod load;
mod turns;

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Empty, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use load::{ROUND, http_client, throughput, websocket_client};
use tests::Host;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};
use tokio_tungstenite::accept_async;
use turns::{ROUNDS, compare, median};

/// Few that are always busy, and many.
const CLIENTS: [usize; 2] = [32, 1_000];

fn main() {
    tests::raise_descriptor_limit();
    // Servers and clients on runtimes of their own, as if they were processes of their own.
    let (servers, clients) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let host = servers.block_on(
        Host::builder()
            .set("log = 'off'")
            .example("hello")
            .example("echo")
            // A channel that is full answers 503 at once, which is not what is measured.
            .section(
                "[layer.capacities]\n'*' = 2000\n\
                     [interface]\nconnections_per_address = 'off'\nconnections_per_second = 'off'",
            )
            .start(),
    );
    let address = host.address();
    let http = servers.block_on(raw_http());
    let websocket = servers.block_on(raw_websocket());
    println!("medians of {ROUNDS} rounds of {ROUND:?}");
    for count in CLIENTS {
        compare(
            &format!("HTTP, {count} clients, requests/s"),
            "raw hyper",
            || clients.block_on(throughput(count, move |load| http_client(http, load))),
            || clients.block_on(throughput(count, move |load| http_client(address, load))),
        );
        compare(
            &format!("WebSocket echo, {count} clients, messages/s"),
            "raw tungstenite",
            || clients.block_on(throughput(count, move |load| websocket_client(websocket, load))),
            || clients.block_on(throughput(count, move |load| websocket_client(address, load))),
        );
    }
    neighbour(&servers, &clients);
}

async fn raw_http() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = |request: Request<Incoming>| async move {
        let name = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(format!("Hello, {name}!\n")))))
    };
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            socket.set_nodelay(true).unwrap();
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service_fn(answer));
            tokio::spawn(connection);
        }
    });
    address
}

async fn raw_websocket() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            socket.set_nodelay(true).unwrap();
            tokio::spawn(async move {
                let mut socket = accept_async(socket).await.unwrap();
                while let Some(Ok(message)) = socket.next().await {
                    if (message.is_text() || message.is_binary())
                        && socket.send(message).await.is_err()
                    {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// Times of a neighbour's requests, alone and beside a module that loops in every slot it may use.
fn neighbour(servers: &Runtime, clients: &Runtime) {
    let host = servers.block_on(
        Host::builder()
            .set("log = 'off'")
            .example("hello")
            .guest("spin")
            .section("[breaker]\nenabled = false")
            .start(),
    );
    let address = host.address();
    let mut rounds: Vec<(f64, f64)> = (0..ROUNDS)
        .map(|_| {
            let alone = clients.block_on(latency(address));
            let stop = Arc::new(AtomicBool::new(false));
            let loops: Vec<_> =
                (0..16).map(|_| clients.spawn(looping(address, Arc::clone(&stop)))).collect();
            let beside = clients.block_on(latency(address));
            stop.store(true, Ordering::Relaxed);
            for task in loops {
                clients.block_on(task).unwrap();
            }
            (alone, beside)
        })
        .collect();
    let alone = median(&mut rounds, |round| round.0);
    let beside = median(&mut rounds, |round| round.1);
    println!(
        "p99 of a neighbour, 4 clients: alone {alone:.2} ms, beside endless loops {beside:.2} ms \
         ({:.1} times)",
        beside / alone
    );
}

async fn looping(address: SocketAddr, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        assert_eq!(tests::Client::new(address).get("/run").await.status, 500);
    }
}

/// The 99th percentile of the time of a request, in milliseconds.
async fn latency(address: SocketAddr) -> f64 {
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..4 {
        clients.spawn(async move {
            let socket = TcpStream::connect(address).await.unwrap();
            socket.set_nodelay(true).unwrap();
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.unwrap();
            tokio::spawn(connection);
            let (started, mut times) = (Instant::now(), Vec::new());
            while started.elapsed() < ROUND {
                let request = Request::get("/hello/ann").header("host", "localhost");
                let begun = Instant::now();
                let response =
                    sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await;
                response.unwrap().into_body().collect().await.unwrap();
                times.push(begun.elapsed().as_secs_f64() * 1_000.0);
            }
            times
        });
    }
    let mut times: Vec<f64> = clients.join_all().await.into_iter().flatten().collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() * 99 / 100).copied().unwrap_or(f64::NAN)
}
