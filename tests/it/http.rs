//! HTTP at the edge: routes, methods, bodies, answers of the host.

use tests::{Client, Host};
use tidegate::{
    message::{Answer, Done, Outcome},
    telemetry::{ByProtocol, DropReason},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_host_answers_what_no_consumer_serves_with_a_short_text_and_an_id() {
    let host = Host::builder().example("hello").start().await;
    for (method, path, status) in [
        ("GET", "/nowhere", 404),
        ("GET", "/hello/", 404),
        ("DELETE", "/hello/ann", 405),
        ("GET", "/hello/%ff", 400),
    ] {
        let reply = host.client().request(method, path, &[], "").await;
        assert_eq!(reply.status, status, "{method} {path}");
        assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
        let id = reply.text().lines().nth(1).unwrap().strip_prefix("id: ").unwrap().to_owned();
        assert_eq!(id.len(), 32, "{}", reply.text());
    }
    let wrong = host.client().request("DELETE", "/hello/ann", &[], "").await;
    assert_eq!(wrong.header("allow"), Some("GET, HEAD, OPTIONS"));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_request_is_answered_by_get_without_the_body() {
    let host = Host::builder().example("hello").start().await;
    let reply = host.client().request("HEAD", "/hello/ann", &[], "").await;
    assert_eq!((reply.status, reply.text()), (200, ""));
    assert_eq!(reply.header("content-length"), Some("12"));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_decoded_and_an_escaped_slash_stays_in_its_segment() {
    let host = Host::builder().example("hello").start().await;
    for (path, name) in
        [("/hello/J%C3%BCrgen%20M", "Jürgen M"), ("/%68ello/a%2Fb", "a/b"), ("/hello/%2e%2E", "..")]
    {
        let reply = host.get(path).await;
        assert_eq!(reply.text(), format!("Hello, {name}!\n"), "{path}");
    }
    host.stop().await;
}

/// A host without slots: the test is the worker.
async fn idle_host() -> Host {
    Host::builder().set("worker = false").example("hello").start().await
}

/// Ends the next event, after a mark for another one.
async fn serve(host: &Host, outcome: Outcome) {
    let event = host.next_event().await;
    let (node, to) = event.scope.reply_channel.connection().unwrap();
    let stale = Some(Done { outcome: Outcome::Gone, state: None, activation: 0 });
    let wrong = Answer { to, order: event.order + 1, replies: Vec::new(), done: stale };
    host.app().layer().answer(&node, wrong).await.unwrap();
    host.answer(&event, Vec::new(), outcome).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn how_an_event_ends_decides_the_status() {
    let host = idle_host().await;
    let id = tidegate::message::CorrelationId::random();
    for (outcome, status, text) in [
        (Outcome::Ok, 500, "the consumer returned without an answer"),
        (Outcome::Fault(id), 500, "the consumer failed"),
        (Outcome::Gone, 503, "the consumer is not there any more"),
        (
            Outcome::Refused,
            503,
            "not served now: the module is paused, its channel is full, or a group cannot be joined",
        ),
    ] {
        let (reply, ()) = tokio::join!(host.get("/hello/x"), serve(&host, outcome));
        assert_eq!(reply.status, status);
        assert!(reply.text().contains(text), "{}", reply.text());
    }
    // A mark for another event came before each of them.
    assert_eq!(host.dropped(DropReason::Stale), 4);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_no_worker_takes_is_answered_503_and_counted_lost() {
    let host = Host::builder()
        .set("worker = false")
        .example("hello")
        .with("event_expiry = '10ms'")
        .with("[modules.hello.limits]\ndeadline = '10ms'")
        .start()
        .await;
    let reply = host.get("/hello/x").await;
    assert_eq!(reply.status, 503, "{}", reply.text());
    assert!(reply.text().contains("no worker took the request"));
    assert_eq!(host.app().metrics().events_lost.get(), 1);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_channel_is_answered_503_at_once() {
    let host = Host::builder()
        .set("worker = false")
        .section("[drain]\ngrace = '10ms'")
        .example("hello")
        .section("[layer.capacities]\n'http.request.*' = 2")
        .start()
        .await;
    let client = host.client();
    let mut waiting = tokio::task::JoinSet::new();
    let mut refused = None;
    for _ in 0..3 {
        waiting.spawn(async move { client.get("/hello/x").await });
    }
    // Two wait in the channel, the third cannot.
    if let Some(reply) = tests::must("a refusal", waiting.join_next()).await {
        refused = Some(reply.unwrap());
    }
    let refused = refused.unwrap();
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("too many requests wait already"), "{}", refused.text());
    assert_eq!((host.dropped(DropReason::ChannelFull), waiting.len()), (1, 2));
    waiting.abort_all();
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_sees_the_request_as_it_was_sent() {
    let host = Host::builder().example("hello").start().await;
    let reply = host
        .client()
        .request("POST", "/hello", &[("content-type", "application/json")], "{\"name\": \"Ann\"}")
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let json: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert!(json.to_string().contains("Ann"), "{json}");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_listener_tells_life_readiness_and_metrics() {
    let host = Host::builder().example("hello").start().await;
    host.get("/hello/x").await;
    let admin = Client::new(host.app().admin_address());
    assert_eq!(admin.get("/livez").await.text(), "alive\n");
    assert_eq!(admin.get("/readyz").await.text(), "ready\n");
    assert_eq!(admin.get("/other").await.status, 404);
    assert_eq!(admin.request("POST", "/livez", &[], "").await.status, 405);
    host.until("a free slot", |host| host.app().metrics().slots_busy.get() == 0).await;
    let open = ByProtocol { protocol: "http" };
    let is_over = |host: &Host| host.app().metrics().connections.get_or_create(&open).get() == 0;
    host.until("the request is over", is_over).await;
    let metrics = admin.get("/metrics").await;
    for line in [
        "tidegate_invocations_total{module=\"hello\",outcome=\"ok\"} 1",
        "tidegate_messages_received_total",
        "tidegate_slots_busy 0",
        "tidegate_connections{protocol=\"http\"} 0",
        "tidegate_queue_wait_seconds_count 1",
        "tidegate_run_time_seconds_count 1",
        "tidegate_responses_total{status=\"200\"} 1",
    ] {
        assert!(metrics.text().contains(line), "{line} is missing in\n{}", metrics.text());
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_message_runs_its_consumer_and_a_later_one_comes_later() {
    let host = Host::builder().guest("pipeline").start().await;
    let mut watch = host.websocket("/watch").await;
    host.post("/later").await;
    assert_eq!([watch.text().await, watch.text().await], ["item 1", "item 2"]);
    host.post("/once").await;
    assert_eq!(watch.text().await, "item 7");
    let records = host.app().records().latest();
    let last = |channel: &str| records.iter().rfind(|r| r.channel.as_str() == channel).unwrap();
    let (sent, worked) = (last("http.request.pipeline"), last("pipeline.work"));
    assert_eq!(sent.correlation, worked.correlation, "background work has its request's id");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flush_tells_a_consumer_that_a_channel_is_full() {
    // With two slots the module holds one: nobody reads its channel while it runs.
    let host = Host::builder()
        .set("slots = 2")
        .guest("pipeline")
        .section("[layer.capacities]\n'pipeline.stuck' = 3")
        .start()
        .await;
    let reply = host.post("/overflow").await;
    assert_eq!((reply.status, reply.text()), (503, "full at 3"));
    host.stop().await;
}
