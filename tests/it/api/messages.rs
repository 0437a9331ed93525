//! Messages of scripts over the admin API, where the channel layer is that of one process.

use serde_json::{Value, json};
use tests::{Host, must};

#[tokio::test(flavor = "multi_thread")]
async fn a_script_sends_to_a_channel_and_to_a_group_of_one_process() {
    let host = Host::builder().example("jobs").start().await;
    let api = host.admin();
    let mut watcher = host.websocket("/jobs/watch").await;
    let job = json!({"id": "cron", "below": 10, "next": "jobs.report"}).to_string();
    let reply = api.ask("POST", "channels/jobs.count/messages", job).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    let sent: Value = serde_json::from_str(reply.text()).unwrap();
    let mut last = String::new();
    while !last.contains("\"done\"") {
        last = must("the result", watcher.text()).await;
    }
    assert!(last.contains("\"cron\"") && last.contains("\"primes\":4"), "{last}");
    let id = sent["correlation_id"].as_str().unwrap();
    let records = api.done("GET", &format!("records?correlation_id={id}"), "").await;
    let consumers = records["records"].as_array().unwrap().iter().map(|it| &it["consumer"]);
    assert_eq!(consumers.collect::<Vec<_>>(), ["report", "count"]);
    let frame = json!({"text": "hello from cron"}).to_string();
    let sent = api.done("POST", "groups/jobs.watchers/messages", frame).await;
    assert_eq!((&sent["reached"], &sent["missed"]), (&json!(1), &json!(0)));
    assert_eq!(watcher.text().await, "hello from cron");
    let key = |key: &'static str| {
        let (api, frame) = (api.clone(), json!({"text": "once"}).to_string());
        async move {
            let authorization = api.authorization();
            let headers = [("authorization", &*authorization), ("idempotency-key", key)];
            let path = "/api/v1/groups/jobs.watchers/messages";
            api.client().request("POST", path, &headers, frame).await
        }
    };
    let (first, again) = (key("k").await, key("k").await);
    assert_eq!(first.text(), again.text(), "the answer is the same");
    assert_eq!(watcher.text().await, "once");
    assert_eq!(key("other").await.status, 202);
    assert_eq!(watcher.text().await, "once");
    assert_eq!(key("").await.status, 400);
    let nobody = api.done("POST", "groups/jobs.nobody/messages", "{}").await;
    assert_eq!(nobody["reached"], 0);
    drop(watcher);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_not_taken_is_a_problem_with_a_status() {
    let host = Host::builder().set("worker = false").example("jobs").start().await;
    let api = host.admin();
    let count = "channels/jobs.count/messages";
    for (path, body, status, code) in [
        (count, "no JSON".to_owned(), 400, "message"),
        (count, "[1]".to_owned(), 422, "message"),
        (count, format!("{{\"n\": {}}}", u64::MAX), 422, "message"),
        (count, json!({"text": "x".repeat(2 * 1024 * 1024)}).to_string(), 413, "too-large"),
        ("channels/jobs.cuont/messages", "{}".to_owned(), 404, "no-such-channel"),
        ("channels/a%20b/messages", "{}".to_owned(), 400, "name"),
        ("groups/a%20b/messages", "{}".to_owned(), 400, "name"),
        ("channels/http.request.jobs/messages", "{}".to_owned(), 403, "reserved"),
        ("channels/websocket.receive/messages", "{}".to_owned(), 403, "reserved"),
    ] {
        let refused = api.refused("POST", path, body).await;
        assert_eq!((refused.0, &*refused.1), (status, code), "{path}: {}", refused.2);
    }
    // Nobody takes them off, and a channel has room for a hundred.
    for _ in 0..100 {
        assert_eq!(api.ask("POST", count, "{}").await.status, 202);
    }
    let full = api.ask("POST", count, "{}").await;
    assert_eq!((full.status, full.header("retry-after")), (503, Some("1")), "{}", full.text());
    assert!(full.text().contains("\"code\":\"full\""), "{}", full.text());
    host.stop().await;
}
