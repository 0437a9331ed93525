//! Entries that this version cannot read are dropped and counted, and nobody else is disturbed.

use tests::{Client, Socket, example, guest, must};

use super::{Site, assert_ends_clean, metric, readiness};

const UNREADABLE: &str = r#"tidegate_messages_dropped_total{reason="unreadable"}"#;

/// Runs a line of Lua with a key.
fn eval(site: &Site, line: &str, key: &str) {
    let answer = site.redis.run(&["EVAL", line, "1", key]);
    assert!(!answer.starts_with("ERR"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_another_version_in_a_channel() {
    let site = Site::new(&[("hello", example("hello"))]);
    let (interface, worker) = (site.interface().await, site.worker(&[]).await);
    let far = r"'\255\255\255\255\255\255\255\255'";
    for entry in [
        format!(r"'\2\0' .. {far} .. {far} .. 'anything'"),
        format!(r"'\1\0' .. {far} .. {far} .. 'no map'"),
        format!(r"'\1\0' .. {far} .. {far}"),
        // Too short to have an expiry.
        r"'\1abc'".to_owned(),
        "''".to_owned(),
    ] {
        let line = format!(
            "redis.call('ZADD', '{}', 0, 'http.request.hello') \
             return redis.call('LPUSH', KEYS[1], {entry})",
            "tidegate:{0}:ready"
        );
        eval(&site, &line, "tidegate:{0}:channel:http.request.hello");
    }
    let reply = Client::new(interface.address).get("/hello/x").await;
    assert_eq!((reply.status, reply.text()), (200, "Hello, x!\n"));
    must("all are counted", async { while metric(&worker, UNREADABLE).await < 5 {} }).await;
    assert_eq!(metric(&worker, UNREADABLE).await, 5);
    assert_ends_clean(&[&site.redis], vec![interface, worker]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_another_version_in_an_inbox() {
    let site = Site::new(&[("counter", guest("counter"))]);
    let (interface, worker) = (site.interface().await, site.worker(&[]).await);
    let node = site.redis.run(&["--raw", "ZRANGE", "tidegate:{0}:nodes", "0", "0"]);
    let inbox = format!("tidegate:{{0}}:inbox:{node}");
    for entry in ["''", "'x'", r"'x\129\165probe\129\166number\1'", "'m'", r"'a\192'", "'c!'"] {
        eval(&site, &format!("return redis.call('RPUSH', KEYS[1], {entry})"), &inbox);
    }
    let mut socket = Socket::open(interface.address, "/count").await;
    socket.send("x").await;
    assert_eq!(socket.text().await, "1:x:1");
    assert_eq!(metric(&interface, UNREADABLE).await, 6);
    assert_eq!(readiness(&interface).await.0, 200);
    drop(socket);
    assert_ends_clean(&[&site.redis], vec![interface, worker]).await;
}

/// As an older or newer version may have left it.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_to_be_sent_later_or_again_and_cannot_be_read_keeps_nobody() {
    let site = Site::new(&[("pipeline", guest("pipeline"))]);
    let (interface, worker) = (site.interface().await, site.worker(&[]).await);
    for (id, stored) in [("a", "garbage"), ("b", "\u{1}")] {
        site.redis.run(&["HSET", "tidegate:{0}:later:messages", id, stored]);
        site.redis.run(&["ZADD", "tidegate:{0}:later", "0", id]);
        site.redis.run(&["HSET", "tidegate:{0}:leased:messages", id, stored]);
        site.redis.run(&["ZADD", "tidegate:{0}:leased", "0", id]);
    }
    let mut watcher = Socket::open(interface.address, "/watch").await;
    let client = Client::new(interface.address);
    assert_eq!(client.request("POST", "/later", &[], "").await.status, 200);
    assert_eq!(watcher.text().await, "item 1");
    assert_eq!(watcher.text().await, "item 2");
    let counted = async || metric(&interface, UNREADABLE).await + metric(&worker, UNREADABLE).await;
    must("all are counted", async { while counted().await < 4 {} }).await;
    assert_eq!(counted().await, 4);
    drop(watcher);
    assert_ends_clean(&[&site.redis], vec![interface, worker]).await;
}
