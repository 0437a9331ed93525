//! Programs in Python that speak the layer's format: an interface server, and one that sends and
//! receives.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::json;
use tests::{Client, Socket, auth_section, example, guest, must, python, root, run, token};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use super::{Site, metric};
use crate::TIDEGATE;

/// A program in Python that runs. Killed when dropped.
struct Program {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

fn script(name: &str) -> PathBuf {
    root().join("examples/interface-server-python").join(name)
}

impl Program {
    /// Starts a program and waits for its first line.
    async fn start(python: &Path, name: &str, arguments: &[&str]) -> (Self, String) {
        let mut command = Command::new(python);
        command.env("PYTHONDONTWRITEBYTECODE", "1").arg(script(name)).args(arguments);
        command.kill_on_drop(true).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut program = Self { child, lines };
        let line = program.line().await;
        (program, line)
    }

    async fn line(&mut self) -> String {
        must("a line", self.lines.next_line()).await.unwrap().expect("the program runs")
    }

    /// Ends it as a service manager does. It has complained of nothing.
    async fn end(mut self) {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").arg(&pid).status().await.unwrap().success());
        let (mut errors, mut told) = (self.child.stderr.take().unwrap(), String::new());
        must("the program ends", errors.read_to_string(&mut told)).await.unwrap();
        assert!(must("its status", self.child.wait()).await.unwrap().success());
        assert_eq!(told, "");
    }
}

/// Runs a program to its end: its status and what it printed.
async fn ran(python: &Path, arguments: &[&str]) -> (i32, String) {
    let peer = script("peer.py").display().to_string();
    let arguments = [&["-B", &peer][..], arguments].concat();
    let output = run(python.to_str().unwrap(), &root(), &arguments).await;
    let told = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(told).unwrap().trim().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interface_server_in_python_serves_http_through_our_workers() {
    let Some(python) = python() else { return };
    let site = Site::new(&[("hello", example("hello")), ("longpoll", example("longpoll"))]);
    let (ours, _worker) = (site.interface().await, site.worker(&[]).await);
    let (server, line) = Program::start(&python, "server.py", &[&site.layer, "127.0.0.1:0"]).await;
    let theirs: std::net::SocketAddr =
        line.strip_prefix("serving http://").unwrap().parse().unwrap();
    let client = move || Client::new(theirs);
    for number in 0..20 {
        let reply = client().get(&format!("/hello/{number}%20%C3%A4")).await;
        assert_eq!((reply.status, reply.text()), (200, &*format!("Hello, {number} ä!\n")));
    }
    assert_eq!(client().get("/nothing-is-here").await.status, 404);
    assert_eq!(client().get("/hello/%FF").await.status, 400);
    let refused = client().request("DELETE", "/hello/you", &[], "").await;
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")));
    let too_large = "x".repeat(1024 * 1024 + 1);
    let refused = client().request("POST", "/publish/tide", &[], too_large).await;
    assert_eq!(refused.status, 413);

    // A request that waits is in a group of its node, and anybody's message answers it.
    for publisher in [ours.address, theirs] {
        let waiting = tests::background(async move { client().get("/poll/tide").await });
        let publisher = Client::new(publisher);
        must("the poll waits, and is told", async {
            while !waiting.is_finished() {
                let published = publisher.request("POST", "/publish/tide", &[], "high water").await;
                assert_eq!(published.status, 202);
            }
        })
        .await;
        assert_eq!(waiting.await.unwrap().text(), "high water");
        must("the group is empty", async {
            while site.redis.keys().iter().any(|key| key.contains("group:")) {}
        })
        .await;
    }
    let gone = client().get("/poll/tide?wait=1").await;
    assert_eq!(gone.status, 204, "nobody published");
    server.end().await;
    let left = site.redis.keys();
    assert!(!left.iter().any(|key| key.contains("python")), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interface_server_in_python_that_knows_no_users_reaches_no_guarded_consumer() {
    let Some(python) = python() else { return };
    let site = Site::new(&[("users", guest("users"))]);
    site.set(&auth_section(""));
    let (ours, worker) = (site.interface().await, site.worker(&[]).await);
    let (server, line) = Program::start(&python, "server.py", &[&site.layer, "127.0.0.1:0"]).await;
    let theirs = Client::new(line.strip_prefix("serving http://").unwrap().parse().unwrap());
    let bearer = format!("Bearer {}", token("ada", &json!({ "role": "admin" })));
    let signed_in = [("authorization", &*bearer)];
    // It passes the token on as a header field, and nobody has checked it.
    for (method, path, status) in
        [("GET", "/me", 401), ("POST", "/close", 401), ("GET", "/home", 200), ("GET", "/open", 200)]
    {
        let reply = theirs.request(method, path, &signed_in, "").await;
        assert_eq!(reply.status, status, "{path}");
        assert_eq!(reply.header("www-authenticate"), (status == 401).then_some("Bearer"));
        assert!(!reply.text().contains("ada"), "{}", reply.text());
    }
    assert_eq!(
        metric(&worker, "tidegate_auth_refusals_total{reason=\"event_without_user\"}").await,
        2
    );
    // The same worker runs the same consumers for our own interface server.
    let reply = Client::new(ours.address).request("GET", "/me", &signed_in, "").await;
    assert_eq!((reply.status, reply.text()), (200, "ada admin true"));
    let reply = Client::new(ours.address).request("POST", "/close", &signed_in, "").await;
    assert_eq!((reply.status, reply.text()), (200, "closed by ada"));
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_in_python_sends_to_a_channel_and_a_group_and_receives() {
    let Some(python) = python() else { return };
    let site = Site::new(&[("jobs", example("jobs"))]);
    let (interface, worker) = (site.interface().await, site.worker(&[]).await);
    let mut watcher = Socket::open(interface.address, "/jobs/watch").await;
    let job = r#"{"id":"python","below":10,"next":"jobs.report"}"#;
    let layer = site.layer.as_str();
    assert_eq!(ran(&python, &[layer, "send", "jobs.count", job]).await, (0, String::new()));
    let mut last = String::new();
    while !last.contains("\"done\"") {
        last = must("the result", watcher.text()).await;
    }
    assert!(last.contains("\"python\"") && last.contains("\"primes\":4"), "{last}");
    let frame = r#"{"text":"hello from Python"}"#;
    let sent = ran(&python, &[layer, "group-send", "jobs.watchers", frame]).await;
    assert_eq!(sent, (0, "reached 1".to_owned()));
    assert_eq!(must("the frame", watcher.text()).await, "hello from Python");
    assert_eq!(metric(&worker, "tidegate_messages_dropped_total").await, 0);

    let (mut reader, line) =
        Program::start(&python, "peer.py", &[layer, "receive", "python.out"]).await;
    assert_eq!(line, "reading python.out");
    for number in 0..20 {
        let message = format!("{{\"number\": {number}}}");
        let arguments = ["send", "python.out", &message, "--layer", layer];
        let output = run(TIDEGATE, &root(), &arguments).await;
        assert!(output.status.success());
        assert_eq!(reader.line().await, message);
    }
    drop(reader);
    let (status, told) = ran(&python, &[layer, "send", "nobody!here", "{}"]).await;
    assert_eq!((status, told.as_str()), (11, "nobody!here is full or gone"));
}
