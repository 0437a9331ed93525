//! The circuit breaker: shut, open, half open.

use std::time::{Duration, Instant};

use tests::{Host, Reply, background, must};
use tidegate::telemetry::ByModule;

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_keeps_failing_is_answered_without_running_it() {
    let breaker = "[breaker]\nfaults = 3\npause = '1h'\nlongest_pause = '1h'";
    let host = Host::builder().example("hello").guest("panic").section(breaker).start().await;
    for _ in 0..3 {
        assert_eq!(host.get("/run").await.status, 500);
    }
    let refused = host.get("/ok").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(host.invocations("panic", "trap"), 3);
    assert_eq!(host.get("/hello/neighbour").await.status, 200);
    let modules = host.admin().done("GET", "modules", "").await;
    let states = modules["modules"].as_array().unwrap().iter().map(|it| &it["state"]);
    assert_eq!(states.collect::<Vec<_>>(), ["active", "resting"]);
    let module = host.admin().module("panic").await;
    assert!(module["fault"].as_str().unwrap().ends_with(": the tide is out"), "{module}");
    assert!(module["resting_until"].is_string(), "{module}");
    host.stop().await;
}

/// Asks until the host does not refuse any more: the answer, when it was asked for, and how often the host
/// refused before.
async fn tried(host: &Host, path: &str) -> (Reply, Instant, u64) {
    let mut refused = 0;
    must("a run", async {
        loop {
            let began = Instant::now();
            let reply = host.get(path).await;
            if reply.status != 503 {
                return (reply, began, refused);
            }
            refused += 1;
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_pause_one_run_decides_whether_it_lasts_twice_as_long_or_is_over() {
    let pause = Duration::from_millis(500);
    let breaker = "[breaker]\nfaults = 3\nwindow = '1h'\npause = '500ms'\nlongest_pause = '1h'";
    let host = Host::builder().guest("panic").section(breaker).start().await;
    let began = Instant::now();
    for _ in 0..3 {
        assert_eq!(host.get("/run").await.status, 500);
    }
    let (failed, trial, refused) = tried(&host, "/run").await;
    assert_eq!(failed.status, 500);
    assert!(began.elapsed() >= pause);
    let (good, _, again) = tried(&host, "/ok").await;
    assert_eq!(good.status, 200);
    assert!(trial.elapsed() >= 2 * pause);
    let by = ByModule { module: "panic".to_owned() };
    let counted = host.app().metrics().breaker_refusals.get_or_create(&by).get();
    assert_eq!(counted, refused + again);
    // Shut, and what was before is forgotten.
    for _ in 0..2 {
        assert_eq!(host.get("/run").await.status, 500);
        assert_eq!(host.get("/ok").await.status, 200);
    }
    assert_eq!(host.invocations("panic", "trap"), 6);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_beside_the_run_that_is_tried_decides_nothing() {
    let name = "trap-in-disconnect";
    let breaker = "[breaker]\nfaults = 2\nwindow = '1h'\npause = '2s'\nlongest_pause = '1h'";
    let host = Host::builder().set("slots = 4").guest(name).section(breaker).start().await;
    let mut watch = host.websocket("/watch").await;
    let last = host.websocket("/run").await;
    for _ in 0..2 {
        host.websocket("/run").await.close(1000).await;
        assert_eq!(watch.text().await, "running");
    }
    host.until("both have failed", |host| host.invocations(name, "trap") == 2).await;
    let client = host.client();
    let trial = background(async move {
        loop {
            let reply = client.get("/wait").await;
            if reply.status != 503 {
                return reply;
            }
        }
    });
    assert_eq!(watch.text().await, "running", "the trial");
    // Who was told that a connection began is told that it is over, whatever the breaker says.
    last.close(1000).await;
    host.until("its end has failed", |host| host.invocations(name, "trap") == 3).await;
    assert_eq!(must("the trial", trial).await.unwrap().text(), "waited");
    assert_eq!(host.get("/ok").await.text(), "ok", "the trial has decided");
    drop(watch);
    host.stop().await;
}
