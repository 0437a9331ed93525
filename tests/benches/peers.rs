//! This build beside other servers, each as its makers advise to tune it: `make bench-peers`.
//!
//! `scripts/build-peers` installs and builds them.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints, stops when it cannot go on, and ends with its runtime"
)]

mod audience;
#[expect(dead_code, reason = "requests have a body here")]
mod load;
mod rounds;

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use audience::{Stage, TEXT, broadcast};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use load::{Load, websocket_client};
use rounds::{ROUNDS, Server, Side, compare, is_wanted, run};
use tempfile::TempDir;
use tests::{Process, RedisServer};
use tokio::runtime::Runtime;

const TIDEGATE: &str = env!("CARGO_BIN_EXE_tidegate-under-test");
const CLIENTS: usize = 32;
const MANY_CLIENTS: usize = 1000;
const MEMBERS: usize = 1000;

/// `wasmtime serve` with what Tidegate's own pool has: fuel, the pool of instances, memory that stays resident
/// and is cleared by what the kernel says was written. It takes no other number of instances than it would.
const WASMTIME: [&str; 16] = [
    "serve",
    "-S",
    "cli",
    "-W",
    "fuel=1000000000",
    "-O",
    "pooling-allocator",
    "-O",
    "pooling-pagemap-scan=y",
    "-O",
    "pooling-memory-keep-resident=1048576",
    "-O",
    "pooling-table-keep-resident=65536",
    "-O",
    "pooling-async-stack-keep-resident=65536",
    "--addr",
];

/// A server of somebody else.
#[derive(Debug)]
struct Peer {
    child: Child,
    address: SocketAddr,
    /// What it needs until it ends.
    directory: Option<TempDir>,
}

impl Peer {
    /// Starts a program on a port that nobody has, and waits until it listens.
    fn start(program: impl Into<PathBuf>, arguments: impl FnOnce(u16) -> Vec<String>) -> Self {
        let address = free_address();
        let program = program.into();
        let child = Command::new(&program)
            .args(arguments(address.port()))
            .current_dir(tests::root().join("tests/peers"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut peer = Self { child, address, directory: None };
        while TcpStream::connect(address).is_err() {
            let ended = peer.child.try_wait().unwrap();
            assert!(ended.is_none(), "{} ended with {ended:?}", program.display());
            std::thread::yield_now();
        }
        peer
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Its children end with it when they are asked.
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
        drop(self.child.wait());
        drop(self.directory.take());
    }
}

impl Server for Peer {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn pids(&self) -> Vec<u32> {
        let pid = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.unwrap_or_default();
        let children = children.split_whitespace().map(|child| child.parse().unwrap());
        [pid].into_iter().chain(children).collect()
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}

fn strings<const N: usize>(arguments: [&str; N]) -> Vec<String> {
    arguments.map(str::to_owned).into()
}

/// A place below the target directory, which `scripts/setup` or `scripts/build-peers` has filled.
fn installed(path: &str) -> PathBuf {
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned());
    let file = tests::root().join(target).join(path);
    assert!(file.exists(), "{} is missing: run `make bench-peers`", file.display());
    file
}

fn wasmtime() -> Side {
    let guest = tests::guest("wasi-http").display().to_string();
    Side::new([Peer::start(installed("peers/bin/wasmtime"), |port| {
        let mut arguments = strings(WASMTIME);
        arguments.extend([format!("127.0.0.1:{port}"), guest]);
        arguments
    })])
}

fn daphne() -> Side {
    Side::new([Peer::start(installed("peers-python/bin/daphne"), |port| {
        strings(["--bind", "127.0.0.1", "--port", &port.to_string(), "channels_site:application"])
    })])
}

fn uvicorn(application: &str) -> Side {
    Side::new([Peer::start(installed("peers-python/bin/uvicorn"), |port| {
        let port = port.to_string();
        strings(["--port", &port, "--no-access-log", "--log-level", "critical", application])
    })])
}

fn ws() -> Side {
    let packages = tests::root().join("sdk/javascript/node_modules").display().to_string();
    Side::new([Peer::start("node", |port| strings(["echo.js", &packages, &port.to_string()]))])
}

/// nginx with the module nchan, one process that serves.
fn nchan(redis: Option<&RedisServer>) -> Side {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().display().to_string();
    let file = directory.path().join("nginx.conf");
    let (upstream, pass) = match redis.map(RedisServer::url) {
        Some(url) => {
            (format!("upstream redis {{ nchan_redis_server {url}; }}"), "nchan_redis_pass redis;")
        }
        None => (String::new(), ""),
    };
    let mut peer = Peer::start("/usr/sbin/nginx", |port| {
        let settings = format!(
            "load_module /usr/lib/nginx/modules/ngx_nchan_module.so;\n\
             daemon off; worker_processes 1; pid {at}/pid; error_log {at}/log crit;\n\
             events {{ worker_connections 20000; }}\n\
             http {{ access_log off; client_body_temp_path {at}/body; proxy_temp_path {at}/proxy;\n\
             fastcgi_temp_path {at}/fastcgi; uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;\n\
             {upstream}\n\
             server {{ listen 127.0.0.1:{port};\n\
             location = /watch {{ nchan_subscriber websocket; nchan_channel_id room; {pass} }}\n\
             location = /tell {{ nchan_publisher websocket; nchan_channel_id room;\n\
             nchan_message_buffer_length 20; {pass} }}\n\
             }} }}\n"
        );
        std::fs::write(&file, settings).unwrap();
        strings(["-p", &at, "-c", &file.display().to_string()])
    });
    peer.directory = Some(directory);
    // It refuses subscribers until it has found Redis.
    while !is_let_in(peer.address, "/watch") {
        std::thread::yield_now();
    }
    Side::new([peer])
}

/// Whether a WebSocket is opened there.
fn is_let_in(address: SocketAddr, path: &str) -> bool {
    let socket = TcpStream::connect(address).unwrap();
    tokio_tungstenite::tungstenite::client(format!("ws://{address}{path}"), socket).is_ok()
}

async fn tidegate(redis: Option<&RedisServer>) -> Side {
    let mut arguments: Vec<String> =
        [("hello", tests::example("hello")), ("echo", tests::example("echo"))]
            .into_iter()
            .chain([("actor", tests::guest("actor"))])
            .flat_map(|(name, file)| ["--module".to_owned(), format!("{name}={}", file.display())])
            .collect();
    arguments.extend(redis.into_iter().flat_map(|it| ["--layer".to_owned(), it.url()]));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let variables = [
        ("TIDEGATE_LOG", "off"),
        ("TIDEGATE_INTERFACE_CONNECTIONS_PER_ADDRESS", "off"),
        ("TIDEGATE_INTERFACE_CONNECTIONS_PER_SECOND", "off"),
        ("TIDEGATE_INTERFACE_FRAMES_PER_SECOND", "off"),
        // Members of a group say nothing for many rounds.
        ("TIDEGATE_INTERFACE_PING_INTERVAL", "2h"),
    ];
    Side::new([Process::serve_with_log(Stdio::null(), TIDEGATE, &arguments, &variables).await])
}

/// Sends a wish as JSON until the round is over, and reads the greeting.
async fn json_client(address: SocketAddr, load: Arc<Load>) {
    let socket = tokio::net::TcpStream::connect(address).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.unwrap();
    tokio::spawn(connection);
    loop {
        let request = Request::post("/hello")
            .header("host", "localhost")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from_static(br#"{"name":"ann","language":"fr"}"#)));
        let response = sender.send_request(request.unwrap()).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body.get("text"), Some(&"Bonjour, ann!".into()));
        if !load.count() {
            return;
        }
    }
}

/// The group `room` of nchan, whose publishers are told that they were heard.
fn room() -> Stage {
    Stage {
        member: "/watch".to_owned(),
        sender: "/tell".to_owned(),
        says: TEXT.to_owned(),
        is_greeted: false,
    }
}

/// The group `watch` of the guest `actor`.
fn watch() -> Stage {
    Stage {
        member: "/watch".to_owned(),
        sender: "/actor".to_owned(),
        says: format!("publish watch {TEXT}"),
        is_greeted: false,
    }
}

fn main() {
    tests::raise_descriptor_limit();
    let clients = Runtime::new().unwrap();
    let loads = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("{ROUNDS} rounds of {:?} each; load of the machine {}", load::ROUND, loads.trim());
    let json = |count| run(&clients, count, json_client);
    let echo = |count| run(&clients, count, websocket_client);
    let crowd = |stage| broadcast(&clients, MEMBERS, stage);

    let ours = clients.block_on(tidegate(None));
    let beside = |what: &str, theirs: fn() -> Side| {
        let row = format!("HTTP JSON, {CLIENTS} clients: {what} → Tidegate");
        if is_wanted(&row) {
            compare(&row, (&theirs(), json(CLIENTS)), (&ours, json(CLIENTS)));
        }
    };
    beside("wasmtime serve, tuned, with fuel", wasmtime);
    beside("Django on Daphne", daphne);
    let beside = |what: &str, count, theirs: fn() -> Side| {
        let row = format!("WebSocket echo, {count} clients: {what} → Tidegate");
        if is_wanted(&row) {
            compare(&row, (&theirs(), echo(count)), (&ours, echo(count)));
        }
    };
    beside("Channels on Daphne", CLIENTS, daphne);
    beside("Channels on uvicorn", CLIENTS, || uvicorn("channels_site:application"));
    beside("an ASGI application on uvicorn", CLIENTS, || uvicorn("asgi:application"));
    beside("`ws` on Node", CLIENTS, ws);
    beside("Channels on Daphne", MANY_CLIENTS, daphne);
    beside("`ws` on Node", MANY_CLIENTS, ws);
    let row = format!("Broadcast to {MEMBERS}, each delivery: nchan → Tidegate");
    if is_wanted(&row) {
        compare(&row, (&nchan(None), crowd(room())), (&ours, crowd(watch())));
    }
    drop(ours);

    let row = format!("Broadcast to {MEMBERS} over Redis, each delivery: nchan → Tidegate");
    if is_wanted(&row) {
        let servers = [RedisServer::start(), RedisServer::start()];
        let [first, second] = &servers;
        let ours = clients.block_on(tidegate(Some(second)));
        compare(&row, (&nchan(Some(first)), crowd(room())), (&ours, crowd(watch())));
    }
}
