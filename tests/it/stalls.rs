//! WebSocket clients that stop in the middle of something: each is ended within a limit, and others
//! are served meanwhile.

use std::time::{Duration, Instant};

use tests::{Host, Wire, answers};

const HANDSHAKE: &str = "GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/// A text frame of one byte, and the same coming back.
const FRAME: &[u8] = b"\x81\x81\0\0\0\0a";
const ECHO: &str = "\u{1}a";
/// A close frame with code 1000.
const CLOSE: &[u8] = b"\x88\x82\0\0\0\0\x03\xe8";

/// Each limit that a stalled client meets, and how much longer it may take on a busy machine.
const LIMIT: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(10);

async fn host() -> Host {
    Host::builder()
        .example("echo")
        .example("hello")
        .guest("counter")
        .section("[interface]\nheader_timeout = '300ms'\nclose_timeout = '300ms'\nwrite_timeout = '300ms'")
        .start()
        .await
}

async fn open(host: &Host, path: &str) -> Wire {
    let mut wire = Wire::connect(host.address()).await;
    wire.send(HANDSHAKE.replace("/echo", path)).await.unwrap();
    wire.until("\r\n\r\n").await;
    wire
}

/// Others are served, over HTTP and WebSocket.
async fn serves(host: &Host) {
    assert_eq!(host.get("/hello/ann").await.status, 200);
    let mut other = host.websocket("/echo").await;
    other.send("here").await;
    assert_eq!(other.text().await, "here");
    other.close(1000).await;
}

/// Waits for the end of a connection that has stalled since; what came before it.
async fn ends(wire: &mut Wire, since: Instant) -> Vec<u8> {
    let rest = wire.rest().await;
    let took = since.elapsed();
    assert!(took >= LIMIT && took < LIMIT + PATIENCE, "it ended after {took:?}");
    rest.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_whose_head_never_ends_is_ended_by_the_header_timeout() {
    let host = host().await;
    let since = Instant::now();
    let mut wire = Wire::connect(host.address()).await;
    wire.send(HANDSHAKE.trim_end()).await.unwrap();
    serves(&host).await;
    let answers = answers(&ends(&mut wire, since).await);
    assert!(answers.is_empty(), "{answers:?}");
    assert_eq!(host.stop().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_comes_byte_by_byte_is_given_no_more_time() {
    let host = host().await;
    let since = Instant::now();
    let mut wire = Wire::connect(host.address()).await;
    let mut bytes = HANDSHAKE.trim_end().bytes().cycle();
    // A byte each time that another client has been served: more often than the limit.
    while since.elapsed() < LIMIT + PATIENCE && wire.send([bytes.next().unwrap()]).await.is_ok() {
        assert_eq!(host.get("/hello/ann").await.status, 200);
    }
    assert!(since.elapsed() < LIMIT + PATIENCE, "a byte now and then keeps a connection");
    assert_eq!(host.stop().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_within_a_frame_harms_nobody_and_leaves_with_the_host() {
    let host = host().await;
    let mut wire = open(&host, "/echo").await;
    wire.send(&FRAME[..4]).await.unwrap();
    serves(&host).await;
    // What is left comes late, and is served.
    wire.send(&FRAME[4..]).await.unwrap();
    assert!(wire.until(ECHO).await.ends_with(b"\x81\x01a"));
    wire.send(&FRAME[..4]).await.unwrap();
    let (left, rest) = tokio::join!(host.stop(), wire.rest());
    assert_eq!(left, 0);
    assert_eq!(rest[2..4], 1001_u16.to_be_bytes(), "{rest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_answers_a_close_frame_is_left_after_the_close_timeout() {
    let host = host().await;
    let mut wire = open(&host, "/count").await;
    // The consumer fails on this, so the host closes. This client does not answer.
    wire.send(b"\x81\x85\0\0\0\0fault").await.unwrap();
    let since = Instant::now();
    serves(&host).await;
    let rest = ends(&mut wire, since).await;
    assert_eq!(rest[2..4], 1011_u16.to_be_bytes(), "{rest:?}");
    assert_eq!(host.closes("1011"), 1);
    assert_eq!(host.stop().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_closes_and_stays_is_left_at_once() {
    let host = host().await;
    let mut wire = open(&host, "/echo").await;
    wire.send(CLOSE).await.unwrap();
    let rest = wire.rest().await;
    assert_eq!(&rest[..], b"\x88\x02\x03\xe8");
    serves(&host).await;
    assert_eq!(host.stop().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_sent_before_it_closed_its_side_is_answered_or_ends_with_it() {
    let host = host().await;
    // A WebSocket without a close frame: the end of the stream is the end.
    let mut wire = open(&host, "/echo").await;
    wire.send(FRAME).await.unwrap();
    wire.until(ECHO).await;
    wire.finish().await;
    assert_eq!(&wire.rest().await[..], b"");
    // Half a handshake: nothing to answer.
    let mut wire = Wire::connect(host.address()).await;
    wire.send(&HANDSHAKE[..40]).await.unwrap();
    wire.finish().await;
    assert_eq!(&wire.rest().await[..], b"");
    serves(&host).await;
    assert_eq!(host.stop().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_client_that_closes_its_side_has_left() {
    let host = Host::builder().guest("hold").start().await;
    let mut watch = host.websocket("/watch").await;
    let mut wire = Wire::connect(host.address()).await;
    wire.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert_eq!(watch.text().await, "held");
    wire.finish().await;
    assert_eq!(watch.text().await, "left");
    assert_eq!(&wire.rest().await[..], b"");
    drop(watch);
    assert_eq!(host.stop().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_and_never_reads_is_let_go_and_others_are_served() {
    let host = host().await;
    let mut wire = open(&host, "/echo").await;
    // A binary frame of 60,000 bytes, which comes back and back until nothing fits anywhere.
    let frame = [&b"\x82\xfe\xea\x60\0\0\0\0"[..], &vec![0; 60_000]].concat();
    let flood = async { while wire.send(&frame).await.is_ok() {} };
    tokio::join!(flood, serves(&host));
    host.until("it is counted", |host| host.refused("write_time", "refused") == 1).await;
    drop(wire);
    serves(&host).await;
    assert_eq!(host.stop().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_kept_for_a_time_of_its_own_which_is_announced() {
    let settings = "[interface]\nheader_timeout = '300ms'\nkeep_alive_timeout = '3s'";
    let host = Host::builder().example("hello").section(settings).start().await;
    let get = "GET /hello/ann HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut wire = Wire::connect(host.address()).await;
    let since = Instant::now();
    wire.send(get).await.unwrap();
    let head = String::from_utf8(wire.until("Hello, ann!\n").await.to_vec()).unwrap();
    assert!(head.contains("keep-alive: timeout=3\r\n"), "{head}");
    assert!(head.contains("connection: keep-alive\r\n"), "{head}");
    assert!(wire.rest().await.is_empty());
    assert!(since.elapsed() >= Duration::from_secs(3), "{:?}", since.elapsed());
    // An idle connection has broken no rule.
    assert_eq!(host.refused("header_time", "refused"), 0);
    // A head that is begun has less time, on a connection that was used, too.
    let mut wire = Wire::connect(host.address()).await;
    wire.send(get).await.unwrap();
    wire.until("Hello, ann!\n").await;
    let since = Instant::now();
    wire.send("GET /hel").await.unwrap();
    ends(&mut wire, since).await;
    assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
    assert_eq!(host.refused("header_time", "refused"), 1);
    for last in [
        "GET /hello/ann HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /hello/ann HTTP/1.0\r\n\r\n",
    ] {
        let mut wire = Wire::connect(host.address()).await;
        wire.send(last).await.unwrap();
        let text = String::from_utf8(wire.rest().await.to_vec()).unwrap();
        assert!(!text.contains("keep-alive"), "{text}");
    }
    assert_eq!(host.stop().await, 0);
}
