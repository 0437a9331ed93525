//! Each capability beside a consumer or a group without it, in the same process: `make bench-capabilities`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints, stops when it cannot go on, and ends with its runtime"
)]

mod audience;
#[expect(dead_code, reason = "requests have fields of their own here")]
mod load;
mod rounds;

use std::{
    net::SocketAddr,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use audience::{Stage, TEXT, broadcast};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper_util::rt::TokioIo;
use load::Load;
use rounds::{ROUNDS, Side, compare, run};
use serde_json::json;
use tests::{Client, Process, RedisServer, auth_section, sessions_section, token};
use tokio::{net::TcpStream, runtime::Runtime};

const TIDEGATE: &str = env!("CARGO_BIN_EXE_tidegate-under-test");
const CLIENTS: usize = 32;

/// The request of a client.
#[derive(Clone, Debug)]
struct Call {
    method: &'static str,
    /// `{client}` stands for the number of the client.
    path: &'static str,
    fields: Vec<(&'static str, String)>,
}

impl Call {
    fn hello() -> Self {
        Self { method: "GET", path: "/hello/ann", fields: Vec::new() }
    }

    /// Sends it until the round is over.
    async fn repeat(self, address: SocketAddr, client: usize, load: Arc<Load>) {
        let socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.unwrap();
        tokio::spawn(connection);
        let path = self.path.replace("{client}", &client.to_string());
        loop {
            let mut request =
                Request::builder().method(self.method).uri(&path).header("host", "localhost");
            for (name, value) in &self.fields {
                request = request.header(*name, value);
            }
            let request = request.body(Empty::<Bytes>::new()).unwrap();
            let response = sender.send_request(request).await.unwrap();
            assert_eq!(response.status(), 200, "{path}");
            response.into_body().collect().await.unwrap();
            if !load.count() {
                return;
            }
        }
    }
}

fn calls(clients: &Runtime, call: Call) -> impl FnMut(SocketAddr) -> (f64, f64) {
    let started = AtomicUsize::new(0);
    run(clients, CLIENTS, move |address, load| {
        let client = started.fetch_add(1, Ordering::Relaxed) % CLIENTS;
        call.clone().repeat(address, client, load)
    })
}

/// A host with `hello` and a guest.
async fn host(guest: &str, redis: Option<&RedisServer>) -> Side {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tidegate.toml");
    let grants = if guest == "sessions" { "grants.sessions = true\n" } else { "" };
    let settings = format!(
        "[interface]\nconnections_per_address = 'off'\nconnections_per_second = 'off'\n\
         frames_per_second = 'off'\nping_interval = '2h'\n{}{}[modules.hello]\nfile = {:?}\n\
         [modules.{guest}]\nfile = {:?}\n{grants}",
        auth_section(""),
        sessions_section(""),
        tests::example("hello"),
        tests::guest(guest),
    );
    std::fs::write(&file, settings).unwrap();
    let (file, url) = (file.display().to_string(), redis.map(RedisServer::url));
    let mut arguments = vec!["--config", &*file];
    arguments.extend(url.iter().flat_map(|url| ["--layer", url]));
    let log = [("TIDEGATE_LOG", "off")];
    let process = Process::serve_with_log(Stdio::null(), TIDEGATE, &arguments, &log).await;
    Side::new([process])
}

fn main() {
    tests::raise_descriptor_limit();
    let clients = Runtime::new().unwrap();
    println!("{ROUNDS} rounds of {:?} each", load::ROUND);
    layer(&clients, "memory", None);
    layer(&clients, "Redis", Some(RedisServer::start()));
}

fn layer(clients: &Runtime, layer: &str, mut redis: Option<RedisServer>) {
    let mut side = |guest: &str| {
        // The modules of the host before would still be there.
        if let Some(redis) = &mut redis {
            redis.restart();
        }
        clients.block_on(host(guest, redis.as_ref()))
    };
    let bearer = format!("Bearer {}", token("ada", &json!({ "role": "owner" })));
    let known = Call { method: "GET", path: "/me", fields: vec![("authorization", bearer)] };
    beside_hello(clients, layer, &side("users"), "a user by a token that was seen before", known);
    let increment = Call { method: "POST", path: "/increment/k{client}", fields: Vec::new() };
    beside_hello(clients, layer, &side("store"), "one key read and written", increment);
    let sessions = side("sessions");
    let call = clients.block_on(signed_in(sessions.address()));
    beside_hello(clients, layer, &sessions, "a user by a session", call);
    drop(sessions);
    let remembering = side("remembering");
    for members in [100, 1_000] {
        let of = |kind: &str| {
            let group = format!("{kind}.{members}");
            broadcast(clients, members, crowd(&group, kind == "kept"))
        };
        compare(
            &format!("Broadcast to {members}, {layer}, each delivery: group → remembered group"),
            (&remembering, of("plain")),
            (&remembering, of("kept")),
        );
    }
}

/// A group of the guest `remembering`.
fn crowd(group: &str, is_remembered: bool) -> Stage {
    Stage {
        member: format!("/crowd/{group}"),
        sender: format!("/crier/{group}"),
        says: TEXT.to_owned(),
        is_greeted: is_remembered,
    }
}

fn beside_hello(clients: &Runtime, layer: &str, side: &Side, what: &str, call: Call) {
    compare(
        &format!("HTTP, {CLIENTS} clients, {layer}: hello → {what}"),
        (side, calls(clients, Call::hello())),
        (side, calls(clients, call)),
    );
}

/// A request of somebody who has signed in.
async fn signed_in(address: SocketAddr) -> Call {
    let reply = Client::new(address).request("POST", "/login/ada/member", &[], "").await;
    let set = reply.header("set-cookie").unwrap();
    let cookie = set.split_once(';').unwrap().0.to_owned();
    Call { method: "GET", path: "/me", fields: vec![("cookie", cookie)] }
}
