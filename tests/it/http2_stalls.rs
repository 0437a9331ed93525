//! Clients of HTTP/2 that take nothing of what is sent to them, and clients that take all of it.

use std::collections::BTreeSet;

use futures_util::{SinkExt as _, StreamExt as _};
use tests::{
    Client, Host, Http2, Process, Wire,
    frames::{DATA, END_HEADERS, HEADERS, RESET, SETTINGS, field, frame, frames, get, opening},
    must,
};
use tokio_tungstenite::tungstenite::Message;

use crate::TIDEGATE;

const MIB: u64 = 1024 * 1024;
/// SETTINGS_INITIAL_WINDOW_SIZE of 0 (RFC 9113, section 6.5.2).
const NO_WINDOW: [u8; 6] = [0, 4, 0, 0, 0, 0];

/// What a client begins with that takes no data at all.
fn closed_opening() -> Vec<u8> {
    [opening(), frame(SETTINGS, 0, 0, &NO_WINDOW)].concat()
}

/// Reads until as many streams were reset.
async fn until_reset(wire: &mut Wire, streams: usize) -> BTreeSet<u32> {
    let mut bytes = Vec::new();
    loop {
        let reset: BTreeSet<u32> = frames(&bytes)
            .into_iter()
            .filter(|(kind, ..)| *kind == RESET)
            .map(|(_, stream, _)| stream)
            .collect();
        if reset.len() >= streams {
            return reset;
        }
        let more = wire.read().await;
        assert!(!more.is_empty(), "the connection ended after {} resets", reset.len());
        bytes.extend(more);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_opens_no_window_costs_little_and_its_streams_are_reset() {
    let module = format!("large={}", tests::guest("large").display());
    let variables = [("TIDEGATE_INTERFACE_WRITE_TIMEOUT", "2s")];
    let address = "127.0.0.1:0".parse().unwrap();
    let arguments = ["--module", &module, "--slots", "2"];
    let host = Process::serve_with(address, TIDEGATE, &arguments, &variables).await;
    let client = Client::new(host.address);
    // What serving such a response takes for the first time does not count.
    for _ in 0..4 {
        assert_eq!(client.get("/large?bytes=4000000").await.body.len(), 4_000_000);
    }
    let before = host.memory();
    let gets: Vec<u8> =
        (0..100).flat_map(|number| get(2 * number + 1, "/large?bytes=4000000")).collect();
    let mut wires = Vec::new();
    for _ in 0..2 {
        let mut wire = Wire::connect(host.address).await;
        wire.send([closed_opening(), gets.clone()].concat()).await.unwrap();
        wires.push(wire);
    }
    let mut most = 0;
    let reset = async {
        for wire in &mut wires {
            assert_eq!(until_reset(wire, 100).await.len(), 100);
        }
    };
    tokio::pin!(reset);
    loop {
        tokio::select! {
            biased;
            () = reset.as_mut() => break,
            reply = client.get("/large?bytes=10") => {
                assert_eq!(reply.status, 200, "others are served");
                most = most.max(host.memory());
            }
        }
    }
    let grown = most.saturating_sub(before);
    assert!(grown > 0 && grown < 40 * MIB, "the host grew by {grown} bytes");
    host.signal("TERM").await;
    assert_eq!(host.wait().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_gets_all_of_many_large_responses() {
    let host = Host::builder().guest("large").start().await;
    let http2 = Http2::connect(host.address()).await;
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..60 {
        let http2 = http2.clone();
        requests.spawn(async move { http2.get("/large?bytes=2000000").await });
    }
    for (status, body) in must("all responses", requests.join_all()).await {
        assert_eq!((status, body.len()), (200, 2_000_000));
    }
    assert_eq!(host.refused("unsent", "refused"), 0);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_whose_client_takes_nothing_is_ended_and_its_stream_reset() {
    let settings = "[interface]\nwrite_timeout = '300ms'\nclose_timeout = '100ms'";
    let host = Host::builder().guest("large").section(settings).start().await;
    let mut wire = Wire::connect(host.address()).await;
    let handshake = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":path", "/burst"),
        (":authority", "a.example"),
        ("sec-websocket-version", "13"),
    ];
    let handshake: Vec<u8> =
        handshake.iter().flat_map(|(name, value)| field(name, value)).collect();
    // A masked text frame that asks for 8 messages.
    let ask = frame(DATA, 0, 1, b"\x81\x81\0\0\0\x008");
    let bytes = [closed_opening(), frame(HEADERS, END_HEADERS, 1, &handshake), ask].concat();
    wire.send(bytes).await.unwrap();
    assert_eq!(until_reset(&mut wire, 1).await, [1].into());
    host.until("the socket has ended", |host| host.closes("client") == 1).await;
    drop(wire);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_keep_no_request_waiting_and_have_a_limit_of_their_own() {
    let settings = "[interface]\nstreams = 2\nsockets = 4";
    let host = Host::builder().guest("scope").guest("hold").section(settings).start().await;
    let http2 = Http2::connect(host.address()).await;
    assert_eq!(http2.get("/scope").await.0, 200, "the settings have come");
    let mut sockets = Vec::new();
    for _ in 0..4 {
        sockets.push(http2.websocket("/scope").await.unwrap());
    }
    assert_eq!(http2.get("/scope").await.0, 200);
    assert_eq!(http2.websocket("/scope").await.err(), Some(429));
    assert_eq!(host.refused("sockets", "refused"), 1);
    for socket in &mut sockets {
        socket.send(Message::Text("here".into())).await.unwrap();
        assert!(must("an echo", socket.next()).await.unwrap().is_ok());
    }
    drop(sockets);
    host.until("the sockets have ended", |host| host.closes("client") == 4).await;
    let again = http2.websocket("/scope").await;
    assert!(again.is_ok(), "a place is given back");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_beyond_the_streams_wait_for_their_turn() {
    let settings = "[interface]\nstreams = 2\nsockets = 8";
    let host = Host::builder().guest("scope").guest("hold").section(settings).start().await;
    let http2 = Http2::connect(host.address()).await;
    let mut watch = host.websocket("/watch").await;
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let http2 = http2.clone();
        requests.spawn(async move { http2.get("/hold").await });
        assert_eq!(watch.text().await, "held");
    }
    let waiting = http2.clone();
    let mut waiting = tests::background(async move { waiting.get("/scope").await });
    // Another connection is served, and what it asks for ends the wait.
    assert_eq!(host.get("/scope").await.status, 200);
    assert!(!waiting.is_finished());
    assert_eq!(host.post("/release").await.status, 200);
    assert_eq!(must("the answer", &mut waiting).await.unwrap().0, 200);
    for (status, _) in must("all answers", requests.join_all()).await {
        assert_eq!(status, 200);
    }
    host.stop().await;
}
