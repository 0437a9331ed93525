//! State of a connection: kept, left alone by faults, migrated, and never silently reset.

use tests::{Host, guest};

#[tokio::test(flavor = "multi_thread")]
async fn state_of_16_kib_is_kept_and_more_is_refused_and_changes_nothing() {
    let host = Host::builder().guest("state-size").start().await;
    let mut socket = host.websocket("/size").await;
    socket.send("16000").await;
    assert_eq!(socket.text().await, "kept, was 0");
    socket.send("16385").await;
    let refused = socket.text().await;
    assert!(refused.contains("16384") && refused.ends_with("was 16000"), "{refused}");
    socket.send("1").await;
    assert_eq!(socket.text().await, "kept, was 16000");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_leaves_state_alone_where_the_connection_goes_on() {
    let host = Host::builder().guest("counter").with("on_fault = 'continue'").start().await;
    let mut socket = host.websocket("/count").await;
    socket.send("a").await;
    assert_eq!(socket.text().await, "1:a:1");
    socket.send("fault").await;
    socket.send("b").await;
    assert_eq!(socket.text().await, "1:b:2");
    assert_eq!(host.invocations("counter", "failed"), 1);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_migrates_the_state_of_open_sockets() {
    let host = Host::builder().guest("counter").start().await;
    let mut socket = host.websocket("/count").await;
    socket.send("a").await;
    assert_eq!(socket.text().await, "1:a:1");
    host.activate("counter", &guest("counter-2")).await;
    socket.send("b").await;
    assert_eq!(socket.text().await, "2:b:2");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn state_that_a_version_cannot_read_closes_with_1012_and_is_no_reset() {
    let host = Host::builder().guest("counter").start().await;
    let mut socket = host.websocket("/count").await;
    socket.send("a").await;
    socket.text().await;
    host.activate("counter", &guest("counter-3")).await;
    host.prove("counter", "/ok").await;
    socket.send("b").await;
    let (code, reason) = socket.closed().await;
    assert_eq!(code, 1012);
    assert_eq!(host.record_of(&reason).fault().unwrap().kind(), "state_unreadable");
    let mut fresh = host.websocket("/count").await;
    fresh.send("c").await;
    assert_eq!(fresh.text().await, "3:c");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_meets_newer_state_and_says_so() {
    let host = Host::builder().module("counter", &guest("counter-2")).start().await;
    let mut socket = host.websocket("/count").await;
    socket.send("a").await;
    assert_eq!(socket.text().await, "2:a:1");
    host.activate("counter", &guest("counter")).await;
    host.prove("counter", "/ok").await;
    socket.send("b").await;
    assert_eq!(socket.closed().await.0, 1012);
    host.stop().await;
}
