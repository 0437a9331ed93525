//! The host as systemd runs it: with a socket that is passed, and a service manager that hears how it is.

use std::{
    io::BufRead as _,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    process::{Child, Command},
};

use tests::must;

use crate::TIDEGATE;

/// A service manager: the socket that `NOTIFY_SOCKET` names.
struct Manager {
    path: PathBuf,
    socket: tokio::net::UnixDatagram,
}

impl Manager {
    fn new(directory: &Path) -> Self {
        let path = directory.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { path, socket: tokio::net::UnixDatagram::from_std(socket).unwrap() }
    }

    /// The next message.
    async fn hears(&self) -> String {
        let mut message = vec![0; 4096];
        let bytes =
            must("the service manager hears", self.socket.recv(&mut message)).await.unwrap();
        message.truncate(bytes);
        String::from_utf8(message).unwrap()
    }

    /// The next message that is no sign of life.
    async fn hears_of_a_state(&self) -> String {
        loop {
            let message = self.hears().await;
            if message != "WATCHDOG=1\n" {
                return message;
            }
        }
    }
}

async fn signal(child: &Child, name: &str) {
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-s", name, &pid]).status().await.unwrap().success());
}

/// Arguments of a host that serves a module on a passed socket.
fn arguments(data: &Path) -> Vec<String> {
    let module = format!("scope={}", tests::guest("scope").display());
    ["serve", "--listen", "fd:3", "--admin", "127.0.0.1:0", "--module", &module, "--data-dir"]
        .into_iter()
        .map(str::to_owned)
        .chain([data.display().to_string()])
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_manager_hears_that_it_serves_lives_and_stops() {
    if tests::program("systemd-socket-activate").is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let manager = Manager::new(directory.path());
    let place = directory.path().join("socket");
    let variable = |name: &str, value: &str| format!("--setenv={name}={value}");
    let mut child = Command::new("systemd-socket-activate")
        .arg(format!("--listen={}", place.display()))
        .arg(variable("NOTIFY_SOCKET", manager.path.to_str().unwrap()))
        .arg(variable("WATCHDOG_USEC", "300000"))
        .arg(variable("TIDEGATE_DRAIN_DELAY", "0s"))
        .arg(TIDEGATE)
        .args(arguments(&directory.path().join("data")))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let listens =
        async { while !log.next_line().await.unwrap().unwrap().contains("Listening on") {} };
    must("it listens", listens).await;

    // The host begins with the first client, which waits until it serves.
    let mut client = UnixStream::connect(&place).await.unwrap();
    client.write_all(b"GET /scope HTTP/1.0\r\nhost: a\r\n\r\n").await.unwrap();
    assert_eq!(manager.hears_of_a_state().await, "READY=1\nSTATUS=serving http://fd:3\n");
    let mut answer = String::new();
    must("an answer", client.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");

    for _ in 0..3 {
        assert_eq!(manager.hears().await, "WATCHDOG=1\n");
    }
    signal(&child, "TERM").await;
    assert_eq!(
        manager.hears_of_a_state().await,
        "STOPPING=1\nSTATUS=stopping: connections are ended\n"
    );
    assert_eq!(must("the end", child.wait()).await.unwrap().code(), Some(0));
    assert!(place.exists(), "the socket is the service manager's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_manager_that_is_gone_costs_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    let manager = Manager::new(directory.path());
    let variables = [
        ("NOTIFY_SOCKET", manager.path.to_str().unwrap()),
        ("WATCHDOG_USEC", "60000"),
        ("TIDEGATE_DRAIN_DELAY", "0s"),
    ];
    let (log, writer) = std::io::pipe().unwrap();
    let host = tests::Process::serve_with_log(writer.into(), TIDEGATE, &[], &variables).await;
    let ready = manager.hears_of_a_state().await;
    assert_eq!(ready, format!("READY=1\nSTATUS=serving http://{}\n", host.address));
    drop(manager);
    let warned = tokio::task::spawn_blocking(move || {
        let mut lines = std::io::BufReader::new(&log).lines().map(Result::unwrap);
        let warned = lines.any(|line| line.contains("cannot be notified"));
        // The host goes on to write.
        (warned, log)
    });
    let (warned, _log) = must("a warning", warned).await.unwrap();
    assert!(warned);
    assert_eq!(tests::Client::new(host.admin).get("/livez").await.status, 200);
    host.signal("TERM").await;
    assert_eq!(host.wait().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passed_socket_that_nobody_listens_on_is_named() {
    if tests::program("systemd-socket-activate").is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let places = ["used", "unused"].map(|name| directory.path().join(name));
    let mut child = Command::new("systemd-socket-activate")
        .args(places.iter().map(|place| format!("--listen={}", place.display())))
        .arg(TIDEGATE)
        .args(arguments(&directory.path().join("data")))
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut waits_for = async |text: &str| {
        must(text, async {
            loop {
                let line = log.next_line().await.unwrap().expect("it goes on");
                if line.contains(text) {
                    return line;
                }
            }
        })
        .await
    };
    waits_for("Listening on").await;
    waits_for("Listening on").await;
    let [used, _] = &places;
    let _client = UnixStream::connect(used).await.unwrap();
    let warning = waits_for("is not in `listen`").await;
    assert!(warning.contains("fd:4"), "{warning}");
    child.kill().await.unwrap();
}
