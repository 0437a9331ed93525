//! Stopping: requests finish, sockets are told, consumers know, the process ends.

use tests::{Client, Process, Socket, must};
use tidegate::telemetry::DropReason;

use crate::TIDEGATE;

async fn serve(extra: &[&str]) -> Process {
    let modules: Vec<String> = ["counter", "hold", "sleep"]
        .iter()
        .filter(|name| extra.contains(name))
        .map(|name| format!("{name}={}", tests::guest(name).display()))
        .collect();
    let mut arguments = Vec::new();
    for module in &modules {
        arguments.extend(["--module", module]);
    }
    Process::serve(TIDEGATE, &arguments).await
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_closes_sockets_with_1001_and_exits_0() {
    let host = serve(&["counter"]).await;
    let mut sockets = Vec::new();
    for _ in 0..50 {
        sockets.push(Socket::open(host.address, "/count").await);
    }
    host.signal("TERM").await;
    for socket in &mut sockets {
        assert_eq!(socket.closed().await.0, 1001);
    }
    assert_eq!(host.wait().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_invocation_finishes_and_a_held_request_is_answered_503() {
    let host = serve(&["hold"]).await;
    let client = Client::new(host.address);
    let mut watch = Socket::open(host.address, "/watch").await;
    let held = tests::background(async move { client.get("/hold").await });
    assert_eq!(watch.text().await, "held");
    host.signal("TERM").await;
    let reply = must("an answer", held).await.unwrap();
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
    assert_eq!(watch.closed().await.0, 1001);
    assert_eq!(host.wait().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_flight_is_answered_before_the_process_ends() {
    let host = serve(&["sleep"]).await;
    let client = Client::new(host.address);
    let mut watch = Socket::open(host.address, "/watch").await;
    let running = tests::background(async move { client.get("/run").await });
    assert_eq!(watch.text().await, "running");
    host.signal("TERM").await;
    // It runs into its deadline, and that is answered.
    assert_eq!(must("an answer", running).await.unwrap().status, 500);
    assert_eq!(host.wait().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_the_process_at_once() {
    let host = serve(&["sleep"]).await;
    let client = Client::new(host.address);
    let mut watch = Socket::open(host.address, "/watch").await;
    let running = tests::background(async move { client.start("GET", "/run", &[], "").await });
    assert_eq!(watch.text().await, "running");
    host.signal("TERM").await;
    assert_eq!(watch.closed().await.0, 1001, "it is stopping");
    host.signal("TERM").await;
    assert_eq!(host.wait().await, Some(1));
    running.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn consumers_are_told_that_their_sockets_are_closed() {
    let host = tests::Host::builder().guest("counter").start().await;
    let mut sockets = Vec::new();
    for _ in 0..10 {
        sockets.push(host.websocket("/count").await);
    }
    let records = std::sync::Arc::clone(host.app().records());
    let metrics = std::sync::Arc::clone(host.app().metrics());
    let clients = async {
        for socket in &mut sockets {
            assert_eq!(socket.closed().await.0, 1001);
        }
    };
    let (left, ()) = tokio::join!(host.stop(), clients);
    assert_eq!(left, 0);
    let told = records.latest().iter().filter(|r| r.log.text.contains("disconnect 1001")).count();
    assert_eq!(told, 10);
    assert_eq!(metrics.dropped_count(DropReason::DisconnectLost), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_answer_the_close_frame_does_not_keep_the_process() {
    let host = tests::Host::builder()
        .guest("counter")
        .section("[interface]\nclose_timeout = '50ms'")
        .start()
        .await;
    let silent = host.websocket("/count").await;
    assert_eq!(host.stop().await, 0);
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_end_with_the_process_are_said_by_kind() {
    let directory = tempfile::tempdir().unwrap();
    let [log, settings] = ["log", "tidegate.toml"].map(|name| directory.path().join(name));
    std::fs::write(&settings, "[layer]\nretry_pause = '1h'\n").unwrap();
    let module = format!("retries={}", tests::guest("retries").display());
    let settings = settings.display().to_string();
    let arguments = ["--config", &settings, "--module", &module];
    let host = Process::serve_logged(&log, TIDEGATE, &arguments).await;
    let client = Client::new(host.address);
    let mut watch = Socket::open(host.address, "/watch").await;
    // It fails, and waits for its second try.
    assert_eq!(client.request("POST", "/work/fails", &[], "").await.status, 200);
    assert_eq!(watch.text().await, "run fails");
    // The store has those that a consumer sent, and nobody has another.
    let body = r#"{"name":"fails"}"#;
    host.api().done("POST", "channels/retries.work/messages", body).await;
    assert_eq!(watch.text().await, "run fails");
    assert_eq!(client.request("POST", "/tomorrow", &[], "").await.status, 200);
    host.signal("TERM").await;
    assert_eq!(host.wait().await, Some(0));
    let log = std::fs::read_to_string(log).unwrap();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("are lost")).collect();
    let [line] = lines.as_slice() else { panic!("{log}") };
    for part in ["WARN", "delayed=0", "at_least_once=1", "at_most_once=0"] {
        assert!(line.contains(part), "{part}: {line}");
    }
}
