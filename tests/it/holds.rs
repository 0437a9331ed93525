//! Requests that wait without a slot, streams, and clients that leave.

use tests::Host;
use tidegate::telemetry::DropReason;

#[tokio::test(flavor = "multi_thread")]
async fn two_slots_hold_200_requests_while_others_are_served() {
    let host = Host::builder().set("slots = 2").example("hello").guest("hold").start().await;
    let mut watch = host.websocket("/watch").await;
    let client = host.client();
    let mut held = tokio::task::JoinSet::new();
    for _ in 0..4 {
        // Fewer at a time than wait in a channel.
        for _ in 0..50 {
            held.spawn(async move { client.get("/hold").await });
        }
        for _ in 0..50 {
            assert_eq!(watch.text().await, "held");
        }
    }
    assert_eq!(host.get("/hello/neighbour").await.status, 200);
    assert_eq!(host.post("/release").await.text(), "ok");
    for reply in tests::must("all answers", held.join_all()).await {
        assert_eq!((reply.status, reply.text()), (200, "released"));
    }
    assert_eq!(host.app().metrics().holds.get(), 0);
    drop(watch);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_ends_is_answered_504_or_with_its_fallback() {
    let host = Host::builder().guest("hold").start().await;
    let reply = host.get("/brief").await;
    assert_eq!(reply.status, 504, "{}", reply.text());
    let reply = host.get("/fallback").await;
    assert_eq!((reply.status, reply.text()), (200, "nothing new"));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_a_held_request_is_not_stored_unless_it_says_so() {
    let host = Host::builder().example("hello").guest("hold").example("longpoll").start().await;
    let mut watch = host.websocket("/watch").await;
    let client = host.client();
    let held = tests::background(async move { client.get("/hold").await });
    assert_eq!(watch.text().await, "held");
    // The watcher may hear of it before the connection does.
    host.until("the request is held", |host| host.app().metrics().holds.get() == 1).await;
    assert_eq!(host.post("/release").await.text(), "ok");
    let released = held.await.unwrap();
    for reply in [released, host.get("/fallback").await, host.get("/poll/tide?wait=1").await] {
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    }
    assert_eq!(host.get("/hello/ann").await.header("cache-control"), None);
    drop(watch);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_is_noticed_and_forgotten() {
    let host = Host::builder().guest("hold").start().await;
    let mut watch = host.websocket("/watch").await;
    let client = host.client();
    let leaving = tests::background(async move { client.get("/hold").await });
    assert_eq!(watch.text().await, "held");
    tests::give_up(leaving).await;
    assert_eq!(watch.text().await, "left");
    drop(watch);
    let layer = std::sync::Arc::clone(host.app().layer());
    assert_eq!(host.stop().await, 0);
    assert_eq!(layer.statistics().await.unwrap().groups, 0, "a group still has members");
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_stream_come_as_they_are_flushed() {
    let host = Host::builder().guest("hold").start().await;
    let mut streaming = host.client().start("GET", "/stream", &[], "").await;
    assert_eq!(streaming.response.headers()["transfer-encoding"], "chunked");
    let mut text = String::new();
    while let Some(part) = streaming.part().await {
        text += std::str::from_utf8(&part.unwrap()).unwrap();
    }
    assert_eq!(text, "one two three");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_stream_goes_on_and_ends_from_afar() {
    let host = Host::builder().guest("hold").start().await;
    let mut watch = host.websocket("/watch").await;
    let mut streaming = host.client().start("GET", "/open", &[], "").await;
    assert_eq!(watch.text().await, "open");
    let mut text = String::new();
    for next in ["/part", "/end", ""] {
        text += std::str::from_utf8(&streaming.part().await.unwrap().unwrap()).unwrap();
        if !next.is_empty() {
            assert_eq!(host.post(next).await.text(), "ok");
        }
    }
    assert_eq!(text, "one two three");
    assert!(streaming.part().await.is_none(), "it is complete");
    host.until("the hold is over", |host| host.app().metrics().holds.get() == 0).await;
    // Nobody is there any more.
    assert_eq!(host.post("/part").await.text(), "ok");
    drop(watch);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_nobody_reads_is_aborted_beyond_16_mib() {
    let host = Host::builder().guest("hold").start().await;
    let mut watch = host.websocket("/watch").await;
    let mut streaming = host.client().start("GET", "/pour", &[], "").await;
    // All 32 MiB are flushed before the first is read.
    assert_eq!(watch.text().await, "poured");
    assert!(host.dropped(DropReason::ClientTooSlow) > 0);
    let mut read = 0;
    let aborted = loop {
        match streaming.part().await {
            Some(Ok(part)) => read += part.len(),
            Some(Err(_)) => break true,
            None => break false,
        }
    };
    assert!(aborted, "a body that lacks parts must not look complete");
    assert!(read <= 26 * 1024 * 1024, "{read} bytes were kept for the client");
    drop(watch);
    host.stop().await;
}
