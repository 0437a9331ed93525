//! Each limit on what strangers may use, exceeded; and what a dry run does about it.

use std::net::SocketAddr;

use futures_util::future::join_all;
use tests::{Host, Http2, Socket, Wire, must};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;

const OK: &str = "GET /scope HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n";

async fn host(settings: &str) -> Host {
    let section = format!("[interface]\n{settings}");
    Host::builder().guest("scope").section(&section).start().await
}

/// Whether a connection of its own is answered rather than closed unread.
async fn is_served(host: &Host) -> bool {
    let mut wire = Wire::connect(host.address()).await;
    // The host may have closed before it was sent.
    drop(wire.send(OK).await);
    wire.rest().await.starts_with(b"HTTP/1.1 200")
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_are_closed_unread_until_others_end() {
    for (setting, reason) in [
        ("connections = 2", "connections"),
        ("connections_per_address = 2", "connections_per_address"),
    ] {
        let host = host(&format!("{setting}\nclose_timeout = '50ms'")).await;
        let one = host.websocket("/scope").await;
        let _two = host.websocket("/scope").await;
        assert!(!is_served(&host).await);
        assert_eq!(host.refused(reason, "refused"), 1, "{reason}");
        one.close(1000).await;
        must("a place", async { while !is_served(&host).await {} }).await;
        host.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_counts_and_lets_pass() {
    let host = host(
        "dry_run = true\nconnections = 1\nconnections_per_address = 1\nholds = 1\n\
         uri_bytes = 20\nheader_count = 3\nheader_bytes = 200\nframes_per_second = 1",
    )
    .await;
    let mut socket = host.websocket("/scope").await;
    for text in ["one", "two", "three"] {
        socket.send(text).await;
        assert_eq!(socket.text().await, text);
    }
    let long = format!("/scope?{}", "q".repeat(50));
    assert_eq!(host.get(&long).await.status, 200);
    let headers = [("x-a", "a"), ("x-b", "b"), ("x-c", "c"), ("x-d", &"d".repeat(300))];
    let reply = host.client().request("GET", "/scope", &headers, "").await;
    assert_eq!(reply.status, 200);
    for reason in
        ["connections", "connections_per_address", "uri_bytes", "request_head", "frames_per_second"]
    {
        assert!(host.refused(reason, "allowed") > 0, "{reason}");
        assert_eq!(host.refused(reason, "refused"), 0, "{reason}");
    }
    host.stop().await;
}

/// HTTP/2 connections with two requests each: fewer requests than a channel holds messages.
const CONNECTIONS: u32 = 40;

/// Asks for two holds at once over one connection. Returns their statuses.
async fn two_holds(address: SocketAddr) -> (u16, u16) {
    let client = Http2::connect(address).await;
    let (one, two) = tokio::join!(client.get("/hold"), client.get("/hold"));
    (one.0, two.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_counts_requests_of_one_connection_at_the_same_time() {
    let settings = "[interface]\nstreams = 1\ndry_run = true";
    let host = Host::builder().guest("hold").section(settings).start().await;
    // Two requests of a connection come at the same moment: on some of so many, both before either is counted.
    let held = tests::background(join_all((0..CONNECTIONS).map(|_| two_holds(host.address()))));
    let all = 2 * CONNECTIONS;
    host.until("all hold", |host| host.app().metrics().holds.get() == i64::from(all)).await;
    assert_eq!(host.refused("streams", "allowed"), u64::from(CONNECTIONS));
    assert_eq!(host.post("/release").await.text(), "ok");
    let answers = must("all answers", held).await.unwrap();
    assert!(answers.iter().all(|answer| *answer == (200, 200)), "{answers:?}");
    assert_eq!(host.refused("streams", "refused"), 0);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_new_connections_in_a_second_than_may_be_are_closed_unread() {
    let host = host("connections_per_second = 3").await;
    let served = join_all((0..20).map(|_| is_served(&host))).await;
    let count = served.iter().filter(|served| **served).count();
    // Another three may come in each second that this takes.
    assert!((3..20).contains(&count), "{count}");
    assert_eq!(host.refused("connections_per_second", "refused"), 20 - count as u64);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_sends_too_fast_is_closed_with_1008() {
    let host = host("frames_per_second = 10").await;
    let mut socket = host.websocket("/scope").await;
    for _ in 0..30 {
        socket.feed("spam").await;
    }
    socket.flush().await;
    let (code, reason) = socket.closed().await;
    assert_eq!((code, reason.as_str()), (1008, "too many frames in a second"));
    assert_eq!(host.refused("frames_per_second", "refused"), 1);
    assert_eq!(host.closes("1008"), 1);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_message_in_more_fragments_than_may_come_in_a_second_is_closed_with_1008() {
    let handshake = "GET /scope HTTP/1.1\r\nhost: a.example\r\nconnection: upgrade\r\n\
        upgrade: websocket\r\nsec-websocket-version: 13\r\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    // A text frame that is not the last, empty continuations, and the last one.
    let flood = [&b"\x01\x81\0\0\0\0a"[..], &b"\0\x80\0\0\0\0".repeat(5_000), b"\x80\x80\0\0\0\0"];
    for (dry_run, end) in [(false, "\x03\u{f0}too many frames in a second"), (true, "\u{1}a")] {
        let host = host(&format!("frames_per_second = 100\ndry_run = {dry_run}")).await;
        let mut wire = Wire::connect(host.address()).await;
        wire.send(handshake).await.unwrap();
        wire.until("\r\n\r\n").await;
        wire.send(flood.concat()).await.unwrap();
        if dry_run {
            wire.until(end).await;
            assert!(host.refused("frames_per_second", "allowed") > 4_000);
        } else {
            wire.finish().await;
            let text: String = wire.rest().await.iter().map(|&byte| char::from(byte)).collect();
            assert!(text.ends_with(end), "{text:?}");
            assert_eq!(host.refused("frames_per_second", "refused"), 1);
        }
        drop(wire);
        host.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_beyond_the_limit_is_answered_503_and_the_first_stays() {
    let host = Host::builder().guest("hold").section("[interface]\nholds = 1").start().await;
    let client = host.client();
    let mut watch = host.websocket("/watch").await;
    let held = tests::background(async move { client.get("/hold").await.status });
    assert_eq!(watch.text().await, "held");
    host.until("a hold", |host| host.app().metrics().holds.get() == 1).await;
    assert_eq!(host.get("/hold").await.status, 503);
    assert_eq!(host.refused("holds", "refused"), 1);
    assert!(!held.is_finished());
    let (_, answer) = tokio::join!(host.stop(), must("an answer", held));
    assert_eq!(answer.unwrap(), 503, "shutdown ends it");
}

#[tokio::test(flavor = "multi_thread")]
async fn long_targets_and_large_heads_are_refused() {
    let host = host("uri_bytes = 100\nheader_count = 5\nheader_bytes = 1000").await;
    let client = host.client();
    let long = format!("/scope?{}", "q".repeat(100));
    assert_eq!(client.get(&long).await.status, 414);
    assert_eq!(host.refused("uri_bytes", "refused"), 1);
    let many = ["x-1", "x-2", "x-3", "x-4", "x-5"].map(|name| (name, "x"));
    assert_eq!(client.request("GET", "/scope", &many, "").await.status, 431);
    let large = "x".repeat(1_000);
    assert_eq!(client.request("GET", "/scope", &[("x-1", &large)], "").await.status, 431);
    // Larger than is read at all.
    let huge = "x".repeat(100_000);
    assert_eq!(client.request("GET", "/scope", &[("x-1", &huge)], "").await.status, 431);
    host.until("all are counted", |host| host.refused("request_head", "refused") == 3).await;
    assert_eq!(client.get("/scope").await.status, 200);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_a_target_has_8_kib_and_a_request_100_header_fields() {
    let host = host("").await;
    let client = host.client();
    let target = |bytes: usize| format!("/scope?{}", "q".repeat(bytes - 7));
    assert_eq!(client.get(&target(8 * 1024)).await.status, 200);
    assert_eq!(client.get(&target(8 * 1024 + 1)).await.status, 414);
    let names: Vec<String> = (0..100).map(|number| format!("x-{number}")).collect();
    let fields: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    // The client adds `host`.
    assert_eq!(client.request("GET", "/scope", &fields[1..], "").await.status, 200);
    assert_eq!(client.request("GET", "/scope", &fields, "").await.status, 431);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_its_time_before_http_or_in_a_head_or_body_is_let_go() {
    let host =
        host("handshake_timeout = '500ms'\nheader_timeout = '500ms'\nbody_timeout = '500ms'\nkeep_alive_timeout = '500ms'").await;
    for (sent, reason, answer) in [
        ("", "handshake_time", ""),
        ("PRI * HTTP", "handshake_time", ""),
        ("GET /scope HTTP/1.1\r\nhost:", "header_time", ""),
        (
            "POST /scope HTTP/1.1\r\nhost: a.example\r\ncontent-length: 9\r\n\r\nslow",
            "",
            "HTTP/1.1 405",
        ),
    ] {
        let mut wire = Wire::connect(host.address()).await;
        wire.send(sent).await.unwrap();
        let text = wire.rest().await;
        assert!(text.starts_with(answer.as_bytes()), "{sent:?}: {text:?}");
        if !reason.is_empty() {
            host.until(reason, |host| host.refused(reason, "refused") > 0).await;
        }
    }
    // An idle connection is closed, too, and did nothing wrong.
    let counted = host.refused("header_time", "refused");
    let mut wire = Wire::connect(host.address()).await;
    wire.send(OK.replace("connection: close\r\n", "")).await.unwrap();
    assert!(wire.rest().await.starts_with(b"HTTP/1.1 200"));
    assert_eq!(host.refused("header_time", "refused"), counted);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_nothing_is_let_go() {
    let host = Host::builder()
        .guest("mirror")
        .section("[interface]\nwrite_timeout = '100ms'")
        .start()
        .await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    let mut stream = socket.connect(host.address()).await.unwrap();
    let body = "x".repeat(1_000_000);
    let request = format!(
        "POST /mirror HTTP/1.1\r\nhost: a.example\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    // The answers to these are more than the kernel takes for a client that reads none of them.
    let sending = async { while stream.write_all(request.as_bytes()).await.is_ok() {} };
    must("the host closes", sending).await;
    host.until("it is counted", |host| host.refused("write_time", "refused") == 1).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_answers_no_ping_is_let_go_and_one_that_does_stays() {
    let host = host("ping_interval = '50ms'\nping_timeout = '2s'\nclose_timeout = '50ms'").await;
    let mut alive = host.websocket("/scope").await;
    let listening = tests::background(async move { alive.closed().await });
    let mut wire = Wire::connect(host.address()).await;
    let handshake = "GET /scope HTTP/1.1\r\nhost: a.example\r\nconnection: upgrade\r\n\
                     upgrade: websocket\r\nsec-websocket-version: 13\r\n\
                     sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    wire.send(handshake).await.unwrap();
    wire.until("\r\n\r\n").await;
    let frames = wire.rest().await;
    // One ping without a payload, then the close frame with 1013.
    assert_eq!(frames[..2], [0x89, 0]);
    assert_eq!(frames[2], 0x88);
    assert_eq!(u16::from_be_bytes([frames[4], frames[5]]), 1013);
    assert_eq!(host.refused("ping_time", "refused"), 1);
    assert!(!listening.is_finished(), "the other one answers");
    let (_, close) = tokio::join!(host.stop(), must("a close frame", listening));
    assert_eq!(close.unwrap().0, 1001);
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_that_are_idle_or_too_old_are_closed_with_1001() {
    for (setting, reason) in [
        ("idle_timeout = '50ms'", "nothing was said for too long"),
        ("maximum_age = '50ms'", "the connection is too old"),
    ] {
        let host = host(setting).await;
        let close = host.websocket("/scope").await.closed().await;
        assert_eq!(close, (1001, reason.to_owned()));
        host.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_pages_of_allowed_origins_open_a_socket() {
    let host = host("origins = ['same', 'https://*.example.org']").await;
    let address = host.address();
    let own = format!("http://{address}");
    let https = format!("https://{address}");
    let nearly = format!("http://{}:1", address.ip());
    for (origin, allowed) in [
        (own.as_str(), true),
        (https.as_str(), true),
        ("https://a.example.org", true),
        ("https://example.org", false),
        ("https://a.example.org.evil.test", false),
        (nearly.as_str(), false),
        ("null", false),
    ] {
        let opened = Socket::try_open(address, "/scope", &[("origin", origin)]).await;
        match opened {
            Ok(_) => assert!(allowed, "{origin}"),
            Err(denied) => {
                assert!(!allowed, "{origin}");
                assert_eq!(denied.status().as_u16(), 403);
            }
        }
    }
    assert_eq!(host.refused("origin", "refused"), 4);
    drop(host.websocket("/scope").await);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_a_connection_is_a_member_of_100_groups() {
    let host = host("").await;
    let mut socket = host.websocket("/join").await;
    socket.send("100").await;
    assert_eq!(socket.text().await, "joined");
    socket.send("101").await;
    let text = socket.text().await;
    assert!(text.contains("at most 100 groups (layer.groups_per_connection)"), "{text}");
    host.stop().await;
}
