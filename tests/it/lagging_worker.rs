//! A worker that has not heard yet of the version that served a connection.

use std::time::Duration;

use tests::{Host, example, guest, must};
use tidegate::message::{ChannelName, Event, Message, ModuleName, Payload};

/// A host whose worker takes events that other tests make, and the event of a request.
async fn held_event() -> (Host, Box<Event>) {
    let host = Host::builder().set("worker = false").guest("counter").start().await;
    let client = host.client();
    tests::background(async move { client.get("/version").await });
    let event = host.next_event().await;
    (host, event)
}

async fn send(host: &Host, event: Event) {
    let module = ModuleName::parse("counter").unwrap();
    let channel = ChannelName::of_events(&event.kind, &module);
    let correlation = event.scope.correlation;
    let payload = Payload::Event(Box::new(event));
    let message = Message { payload, correlation, id: None, trace: None, expires_after: None };
    host.app().layer().send(&channel, message).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_until_it_has_heard_and_then_runs_the_new_version() {
    let (_, event) = held_event().await;
    let host = Host::builder().guest("counter").start().await;
    send(&host, Event { activation: 2, order: 1, ..*event }).await;
    host.until("a slot waits", |host| host.app().metrics().slots_busy.get() == 1).await;
    assert!(host.app().records().latest().is_empty());
    host.activate("counter", &guest("counter-2")).await;
    host.until("it ran", |host| !host.app().records().latest().is_empty()).await;
    let record = host.app().records().latest().remove(0);
    assert_eq!((record.version, record.outcome()), (2, "ok"));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_2_seconds_the_event_fails_and_an_older_version_never_runs_it() {
    let (_, event) = held_event().await;
    let host = Host::builder().guest("counter").start().await;
    let began = std::time::Instant::now();
    send(&host, Event { activation: 9, order: 1, ..*event }).await;
    must("a record", async {
        while host.app().records().latest().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(began.elapsed() >= Duration::from_secs(2));
    let record = host.app().records().latest().remove(0);
    let fault = record.fault().unwrap().to_string();
    assert!(fault.contains("this worker is behind: activation 1"), "{fault}");
    assert_eq!(host.invocations("counter", "ok"), 0);
    assert_eq!(host.invocations("counter", "host"), 1, "what did not run is counted, too");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_event_of_a_connection_waits_for_a_consumer_that_only_the_new_version_has() {
    let (held, event) = held_event().await;
    assert_eq!((event.order, event.activation), (0, 1));
    held.activate("counter", &guest("counter-2")).await;
    let client = held.client();
    tests::background(async move { client.get("/version").await });
    let event = held.next_event().await;
    assert_eq!((event.order, event.activation), (0, 2));
    // An older version that has the consumer is good enough for it; one that has not waits.
    let host = Host::builder().guest("counter").start().await;
    send(&host, (*event).clone()).await;
    host.until("it ran", |host| !host.app().records().latest().is_empty()).await;
    assert_eq!(host.app().records().latest().remove(0).version, 1);
    let other = Host::builder().module("counter", &example("hello")).start().await;
    send(&other, *event).await;
    other.until("a slot waits", |host| host.app().metrics().slots_busy.get() == 1).await;
    assert!(other.app().records().latest().is_empty());
    other.activate("counter", &guest("counter-2")).await;
    other.until("it ran", |host| !host.app().records().latest().is_empty()).await;
    let record = other.app().records().latest().remove(0);
    assert_eq!((record.version, record.outcome()), (2, "ok"));
    host.stop().await;
    other.stop().await;
}
