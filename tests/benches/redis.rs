//! The layer on Redis, with interface server and worker as two processes, beside as many plain commands
//! of Redis in the same run.
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
    net::SocketAddr,
    sync::{Arc, atomic::AtomicU64},
    time::Instant,
};

use bytes::Bytes;
use futures_util::StreamExt;
use load::{Load, http_client, throughput, websocket_client};
use tests::{Process, RedisServer, Slots};
use tidegate::{
    layer::{ChannelLayer, LayerConfig, RedisLayer},
    message::{ChannelName, Content, CorrelationId, GroupName, Message, ModuleName},
    redis::{Redis, RedisConfig, Topology},
    telemetry::Metrics,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Runtime,
};
use tokio_tungstenite::connect_async;
use turns::{ROUNDS, compare, median};

const TIDEGATE: &str = env!("CARGO_BIN_EXE_tidegate-under-test");
const CLIENTS: usize = 32;
/// Commands that Redis gets for a message that is sent and received: send, receive.
const TO_CARRY: usize = 2;
/// Commands for an event and its answer: send, wake-up, receive, answer, inbox.
const TO_ECHO: usize = 5;
/// Members of a group, and messages to it in a round.
const MEMBERS: [usize; 3] = [100, 1_000, 5_000];
const BROADCASTS: usize = 20;
/// `{"type": "websocket.send", "text": "hi"}`
const FRAME: &[u8] = b"\x82\xa4type\xaewebsocket.send\xa4text\xa2hi";

fn main() {
    tests::raise_descriptor_limit();
    let clients = Runtime::new().unwrap();
    let redis = RedisServer::start();
    println!(
        "medians of {ROUNDS} rounds; Redis, interface server, worker and clients on one machine"
    );
    carry(&clients, &redis);
    let (interface, _worker) = clients.block_on(processes(&redis));
    let (address, port) = (interface.address, redis.port());
    let raw = || clients.block_on(throughput(CLIENTS, move |load| commands(port, TO_ECHO, load)));
    compare(
        &format!("HTTP over Redis, {CLIENTS} clients, requests/s"),
        &format!("{TO_ECHO} plain commands"),
        raw,
        || clients.block_on(throughput(CLIENTS, move |load| http_client(address, load))),
    );
    compare(
        &format!("WebSocket echo over Redis, {CLIENTS} clients, messages/s"),
        &format!("{TO_ECHO} plain commands"),
        raw,
        || clients.block_on(throughput(CLIENTS, move |load| websocket_client(address, load))),
    );
    let layer = layer(&clients, &redis, "tidegate");
    for members in MEMBERS {
        clients.block_on(broadcast(&layer, address, members));
    }
}

async fn processes(redis: &RedisServer) -> (Process, Process) {
    let modules: Vec<_> = ["hello", "echo", "jobs"]
        .map(|name| format!("{name}={}", tests::example(name).display()))
        .into();
    let url = redis.url();
    let arguments = |first: &'static str| {
        let mut arguments = vec![first, "--layer", &url];
        for module in &modules {
            arguments.extend(["--module", module]);
        }
        arguments
    };
    let interface_config = [
        ("TIDEGATE_LOG", "off"),
        ("TIDEGATE_INTERFACE_CONNECTIONS_PER_ADDRESS", "off"),
        ("TIDEGATE_INTERFACE_CONNECTIONS_PER_SECOND", "off"),
        ("TIDEGATE_INTERFACE_FRAMES_PER_SECOND", "off"),
    ];
    let any = "127.0.0.1:0".parse().unwrap();
    let (serve, work) = (arguments("--no-worker"), arguments("worker"));
    let interface = Process::serve_with(any, TIDEGATE, &serve, &interface_config).await;
    let worker = Process::serve_with(any, TIDEGATE, &work, &interface_config).await;
    (interface, worker)
}

fn layer(clients: &Runtime, redis: &RedisServer, prefix: &str) -> RedisLayer {
    let config = RedisConfig {
        topology: Topology::parse(&redis.url()).unwrap(),
        prefix: prefix.to_owned(),
        partitions: None,
        lease: std::time::Duration::from_secs(15),
        timeout: std::time::Duration::from_secs(5),
    };
    let metrics = Arc::new(Metrics::new());
    clients.block_on(async {
        let redis = Redis::open(&config, clients.handle().clone()).await.unwrap();
        RedisLayer::new(&redis, LayerConfig::default(), metrics).await.unwrap()
    })
}

/// Sending and receiving through the layer alone.
fn carry(clients: &Runtime, redis: &RedisServer) {
    let layer: Arc<dyn ChannelLayer> = Arc::new(layer(clients, redis, "bench"));
    let module = |number| ModuleName::parse(&format!("m{number}")).unwrap();
    let owners = (0..CLIENTS as u64).map(|number| (channel(number), module(number))).collect();
    let slots = Arc::new(Slots::read(&layer, &Arc::new(owners), &Arc::default(), CLIENTS));
    let port = redis.port();
    compare(
        &format!("layer, send and receive, {CLIENTS} at a time, messages/s"),
        &format!("{TO_CARRY} plain commands"),
        || clients.block_on(throughput(CLIENTS, move |load| commands(port, TO_CARRY, load))),
        || {
            let number = Arc::new(AtomicU64::new(0));
            let (layer, slots) = (Arc::clone(&layer), Arc::clone(&slots));
            clients.block_on(throughput(CLIENTS, move |load| {
                let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                carrier(Arc::clone(&layer), number, Arc::clone(&slots), load)
            }))
        },
    );
}

fn channel(number: u64) -> ChannelName {
    ChannelName::parse(&format!("bench.{number}")).unwrap()
}

async fn carrier(layer: Arc<dyn ChannelLayer>, number: u64, slots: Arc<Slots>, load: Arc<Load>) {
    let channel = channel(number);
    let content = Content::parse(Bytes::from_static(b"\x81\xa1n\x01")).unwrap();
    loop {
        let message = Message::custom(content.clone(), CorrelationId::random());
        layer.send(&channel, message).await.unwrap();
        slots.next().await;
        if !load.count() {
            return;
        }
    }
}

/// Plain commands, one after the other, on a connection of its own.
async fn commands(port: u16, count: usize, load: Arc<Load>) {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let mut answer = [0; 64];
    loop {
        for _ in 0..count {
            socket.write_all(b"*3\r\n$3\r\nSET\r\n$3\r\nraw\r\n$2\r\nok\r\n").await.unwrap();
            let read = socket.read(&mut answer).await.unwrap();
            assert_eq!(answer.get(..read), Some(&b"+OK\r\n"[..]));
        }
        if !load.count() {
            return;
        }
    }
}

/// Messages to a group of all watchers of `jobs`, as `tidegate group-send` sends them.
async fn broadcast(layer: &RedisLayer, address: SocketAddr, members: usize) {
    let mut sockets = Vec::with_capacity(members);
    for _ in 0..members {
        let (socket, _) = connect_async(format!("ws://{address}/jobs/watch")).await.unwrap();
        sockets.push(socket);
    }
    let watchers = GroupName::parse("jobs.watchers").unwrap();
    let frame = Content::parse(Bytes::from_static(FRAME)).unwrap();
    let mut rounds = Vec::new();
    for round in 0..=ROUNDS {
        let started = Instant::now();
        let mut readers = tokio::task::JoinSet::new();
        for mut socket in sockets.drain(..) {
            readers.spawn(async move {
                let mut seen = 0;
                while seen < BROADCASTS {
                    seen += usize::from(socket.next().await.unwrap().unwrap().is_text());
                }
                socket
            });
        }
        for _ in 0..BROADCASTS {
            let id = CorrelationId::random();
            layer.group_send(&watchers, frame.clone(), id).await.unwrap();
        }
        sockets = readers.join_all().await;
        #[expect(clippy::cast_precision_loss, reason = "a count of messages")]
        let delivered = (sockets.len() * BROADCASTS) as f64;
        // The first round is for warming up.
        if round > 0 {
            rounds.push(delivered / started.elapsed().as_secs_f64());
        }
    }
    let rate = median(&mut rounds, |rate| *rate);
    println!("broadcast to {members} sockets over Redis: {rate:.0} deliveries/s");
}
