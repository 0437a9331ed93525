//! Modules that attack when they run. Each is contained, and others are served.

use tests::{Client, Host, Process, guest};
use tidegate::telemetry::DropReason;

use super::Scene;
use crate::TIDEGATE;

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_too_much_of_the_host_ends_at_a_limit_that_is_named() {
    let scene = Scene::start(Host::builder().set("slots = 4")).await;
    for (name, path, kind, reason) in [
        ("lift", "/run", "deadline", "of 1s; raise limits.deadline"),
        ("lift", "/longer", "call_bytes", "more than 9437184 bytes in one call"),
        ("handles", "/run", "handles", "held 256 handles of the host and wanted more"),
        ("handles", "/misuse", "trap", "trapped: resource has children"),
        ("call-flood", "/run", "host_calls", "called the host 10001 times"),
        ("send-flood", "/run", "outbox_messages", "put 1001 messages into the outbox"),
        ("grow", "/run", "memory", "limits.memory allows 67108864"),
        ("spin", "/run", "fuel", "of 1000000000 fuel"),
    ] {
        let module = format!("modules/{name}");
        let settings = match kind {
            "deadline" => r#"{"limits":{"deadline":"1s"}}"#,
            _ => r#"{"limits":{"deadline":"60s"}}"#,
        };
        scene.api.deploy(name, &guest(name)).await;
        scene.api.done("PUT", &format!("{module}/settings"), settings).await;
        // As many at once as it may use slots.
        let (one, two, neighbour) = tokio::join!(
            scene.host.get(path),
            scene.host.get(path),
            scene.host.get("/hello/neighbour")
        );
        assert_eq!(neighbour.status, 200);
        for reply in [one, two] {
            assert_eq!(reply.status, 500, "{name}");
            let record = scene.host.record_of(reply.text());
            let fault = record.fault().unwrap();
            assert_eq!(fault.kind(), kind, "{name}: {fault}");
            assert!(fault.to_string().contains(reason), "{name}: {fault}");
        }
        assert_eq!(scene.host.get("/ok").await.text(), "ok", "{name}");
        scene.host.instances_left(0).await;
        scene.api.done("DELETE", &module, "").await;
        scene.unchanged(name).await;
    }
    scene.host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_guest_gets_a_socket() {
    let host = Host::builder().guest("handles").start().await;
    assert_eq!(host.get("/sockets").await.text(), "0 sockets");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_of_reply_channels_reach_nobody_and_are_counted() {
    let host = Host::builder().example("echo").guest("guess").start().await;
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(host.websocket("/echo").await);
    }
    // Names that are none are refused at once: four of 905.
    assert_eq!(host.get("/guess").await.text(), "901");
    host.until("all are counted", |host| host.dropped(DropReason::ConnectionGone) == 901).await;
    assert_eq!(host.sends_refused("guess"), 4);
    for socket in &mut sockets {
        socket.send("mine").await;
        assert_eq!(socket.text().await, "mine", "and nothing before it");
    }
    drop(sockets);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_guest_forges_a_line_of_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let host = Process::serve_logged(&log, TIDEGATE, &[]).await;
    host.api().deploy("forge", &guest("forge")).await;
    let client = Client::new(host.address);
    for (path, status) in [("/log", 200), ("/print", 200), ("/fail", 500), ("/panic", 500)] {
        assert_eq!(client.get(path).await.status, status, "{path}");
    }
    host.signal("TERM").await;
    assert_eq!(host.wait().await, Some(0));
    let text = std::fs::read_to_string(log).unwrap();
    let deceptive =
        |c: char| c != '\n' && (c.is_control() || "\u{2028}\u{2029}\u{202e}".contains(c));
    assert!(!text.contains(deceptive), "{text:?}");
    let (mut forged, mut faults) = (0, 0);
    for line in text.lines().filter(|line| line.contains("forged")) {
        // Time, level and target come first, and are the host's.
        let mut words = line.split_whitespace().skip(1);
        match (words.next().unwrap(), words.next().unwrap()) {
            ("INFO", "tidegate::guest:") => forged += 1,
            ("WARN", target) if target.starts_with("tidegate::worker") => faults += 1,
            other => panic!("{other:?}: {line}"),
        }
    }
    // A line that is logged stays one, and each that is printed is one of the guest.
    assert!(forged >= 3, "{text}");
    assert_eq!(faults, 2, "the reasons of `/fail` and `/panic`: {text}");
}
