//! HTTP/2 without TLS, by prior knowledge.

use futures_util::{SinkExt as _, StreamExt as _};
use tests::{Host, Http2, must};
use tokio_tungstenite::tungstenite::{Message, protocol::frame::coding::CloseCode};

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_share_a_connection_and_one_that_waits_holds_up_none() {
    let host = Host::builder().guest("scope").guest("hold").start().await;
    let http2 = Http2::connect(host.address()).await;
    let mut watch = host.websocket("/watch").await;
    let held = http2.clone();
    let held = tests::background(async move { held.get("/hold").await.0 });
    assert_eq!(watch.text().await, "held");
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let http2 = http2.clone();
        requests.spawn(async move { http2.get("/scope").await });
    }
    for (status, text) in must("all responses", requests.join_all()).await {
        assert_eq!(status, 200, "{text}");
        assert!(text.starts_with("2 http 127.0.0.1:") && text.contains("host=localhost"), "{text}");
    }
    assert_eq!(http2.get("/nowhere").await.0, 404);
    let (left, answer) = tokio::join!(host.stop(), must("an answer", held));
    assert_eq!((left, answer.unwrap()), (0, 503));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_lives_in_a_stream_beside_requests_and_is_drained_with_a_close_frame() {
    let host = Host::builder().guest("scope").start().await;
    let http2 = Http2::connect(host.address()).await;
    assert_eq!(http2.get("/scope").await.0, 200, "the settings have come");
    assert_eq!(http2.websocket("/nowhere").await.err(), Some(403));
    let mut socket = http2.websocket("/scope").await.unwrap();
    for text in ["one", "two"] {
        socket.send(Message::Text(text.into())).await.unwrap();
        assert_eq!(http2.get("/scope").await.0, 200);
        let echo = must("an echo", socket.next()).await.unwrap().unwrap();
        assert_eq!(echo, Message::Text(text.into()));
    }
    let client = async {
        let close = must("a close frame", socket.next()).await.unwrap().unwrap();
        let Message::Close(Some(close)) = close else { panic!("{close:?}") };
        assert_eq!(close.code, CloseCode::Away);
        while must("the end", socket.next()).await.is_some() {}
    };
    let (left, ()) = tokio::join!(host.stop(), client);
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_requests_is_closed_and_one_with_a_held_request_is_not() {
    let settings = "[interface]\nheader_timeout = '500ms'";
    let host = Host::builder().guest("hold").section(settings).start().await;
    let mut idle = Http2::connect(host.address()).await;
    let busy = Http2::connect(host.address()).await;
    let mut watch = host.websocket("/watch").await;
    let held = busy.clone();
    let held = tests::background(async move { held.get("/hold").await.0 });
    assert_eq!(watch.text().await, "held");
    idle.closed().await;
    assert!(!held.is_finished());
    let (_, answer) = tokio::join!(host.stop(), must("an answer", held));
    assert_eq!(answer.unwrap(), 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_in_several_fields_are_one_for_a_consumer() {
    let host = Host::builder().guest("mirror").start().await;
    let http2 = Http2::connect(host.address()).await;
    let cookies = [("cookie", "a=1"), ("cookie", "session=abc"), ("x", "y"), ("cookie", "c=3")];
    let (status, seen) = http2.get_with("/mirror", &cookies).await;
    assert_eq!(status, 200);
    let lines: Vec<_> = seen.lines().filter(|line| line.starts_with("cookie")).collect();
    assert_eq!(lines, ["cookie: a=1; session=abc; c=3"], "{seen}");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_handshake_is_counted_as_a_101() {
    let host = Host::builder().guest("scope").start().await;
    let http2 = Http2::connect(host.address()).await;
    assert_eq!(http2.get("/scope").await.0, 200, "the settings have come");
    drop(http2.websocket("/scope").await.unwrap());
    let responses = &host.app().metrics().responses;
    let count = |status| responses.get_or_create(&tidegate::telemetry::ByStatus { status }).get();
    assert_eq!((count(200), count(101)), (1, 1));
    host.stop().await;
}
