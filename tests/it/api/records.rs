//! Records: looked for, and followed.

use serde_json::{Value, json};
use tests::{Host, must};

fn of(records: &Value) -> &Vec<Value> {
    records["records"].as_array().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_found_by_module_outcome_time_and_id() {
    let host = Host::builder().guest("panic").example("hello").start().await;
    let api = host.admin();
    let failed = host.get("/run").await;
    host.get("/ok").await;
    for _ in 0..3 {
        host.get("/hello/ann").await;
    }
    let ask = async |query: &str| api.done("GET", &format!("records?{query}"), "").await;
    let all = ask("").await;
    assert_eq!(of(&all).len(), 5);
    assert_eq!(of(&all)[0]["module"], "hello", "newest first");
    let faults = ask("module=panic&outcome=trap").await;
    let fault = &of(&faults)[0];
    assert_eq!(of(&faults).len(), 1);
    assert!(fault["detail"].as_str().unwrap().ends_with(": the tide is out"), "{fault}");
    let log = fault["log"].as_array().unwrap();
    assert!(log.iter().any(|line| line["text"].as_str().unwrap().contains("the tide is out")));
    let id = fault["correlation_id"].as_str().unwrap();
    assert!(failed.text().contains(id));
    assert_eq!(ask(&format!("correlation_id={id}")).await, faults);
    let began = fault["started_at"].as_str().unwrap();
    assert_eq!(of(&ask(&format!("until={began}")).await).len(), 1);
    assert_eq!(of(&ask(&format!("since={began}&module=hello")).await).len(), 3);
    assert_eq!(of(&ask("limit=2").await).len(), 2);
    assert_eq!(of(&ask("module=panic&outcome=gone").await).len(), 0);
    let (status, code, _) = api.refused("GET", "records?module=pancake", "").await;
    assert_eq!((status, &*code), (404, "no-such-module"));
    let (status, code, detail) = api.refused("GET", "records?outcome=trapp", "").await;
    assert_eq!((status, &*code), (422, "outcome"));
    assert!(detail.contains("ok, gone, fuel"), "{detail}");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_followed_as_they_come() {
    let host = Host::builder().example("hello").guest("panic").start().await;
    let api = host.admin();
    let headers = [("authorization", &*api.authorization())];
    let path = "/api/v1/records/stream?module=hello";
    let mut stream = api.client().start("GET", path, &headers, "").await;
    assert_eq!(stream.response.headers()["content-type"], "text/event-stream");
    stream.part().await.unwrap().unwrap();
    host.get("/run").await;
    host.get("/hello/ann").await;
    let event = stream.part().await.unwrap().unwrap();
    let event = std::str::from_utf8(&event).unwrap();
    let mut lines = event.lines();
    assert_eq!(lines.next(), Some("event: record"));
    let id = lines.next().unwrap().strip_prefix("id: ").unwrap();
    let data: Value =
        serde_json::from_str(lines.next().unwrap().strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!((&data["module"], &data["id"]), (&json!("hello"), &json!(id)));
    drop(stream);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_records_are_bounded_in_number() {
    let host = Host::builder().start().await;
    let api = host.admin();
    let headers = [("authorization", &*api.authorization())];
    let mut open = Vec::new();
    for _ in 0..32 {
        let mut stream = api.client().start("GET", "/api/v1/records/stream", &headers, "").await;
        stream.part().await.unwrap().unwrap();
        open.push(stream);
    }
    let (status, code, _) = api.refused("GET", "records/stream", "").await;
    assert_eq!((status, &*code), (503, "too-many-streams"));
    drop(open);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn layer_and_nodes_say_how_the_process_does() {
    let host = Host::builder().set("worker = false").guest("counter").start().await;
    let api = host.admin();
    let client = host.client();
    let waiting = tests::background(async move { client.get("/version").await });
    let waits = async {
        let layer = host.app().layer();
        while layer.statistics().await.unwrap().channels.len() != 1 {
            tokio::task::yield_now().await;
        }
    };
    must("a message waits", waits).await;
    let layer = api.done("GET", "layer", "").await;
    let channel = &layer["channels"][0];
    assert_eq!(
        (&channel["channel"], &channel["depth"]),
        (&json!("http.request.counter"), &json!(1))
    );
    let nodes = api.done("GET", "nodes", "").await;
    let node = &nodes["nodes"][0];
    assert_eq!(node["modules"][0]["name"], "counter");
    assert_eq!(node["connections"], 1);
    waiting.abort();
    host.stop().await;
}
