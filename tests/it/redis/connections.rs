//! Open connections of processes that share Redis.

use serde_json::json;
use tests::{Socket, example, guest};

use super::Site;
use crate::api::open_connections::{auth, room, until};

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_all_processes_are_listed_and_closed_through_any() {
    let site = Site::new(&[("users", guest("users")), ("jobs", example("jobs"))]);
    site.set(&auth());
    let (one, other) = (site.node().await, site.node().await);
    let worker = site.worker(&[]).await;
    let mut sockets = Vec::new();
    for process in [&one, &other, &one, &other] {
        sockets.push(Socket::open(process.address, &room("ada")).await);
    }
    let watcher = Socket::open(other.address, "/jobs/watch").await;
    let api = worker.api();
    let page = until(&api, "", 5).await;
    assert_eq!(page["unanswered"], json!([]), "a worker without connections is not missed");
    let mut paged = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = api.done("GET", &format!("connections?limit=2{cursor}"), "").await;
        paged.extend(page["connections"].as_array().unwrap().clone());
        let Some(next) = page["cursor"].as_str() else { break };
        cursor = format!("&cursor={}", next.replace('!', "%21"));
    }
    assert_eq!(json!(paged), page["connections"], "each once, in order");
    let found = until(&api, "group=jobs.watchers", 1).await;
    let path = format!("connections/{}", found["connections"][0]["connection"].as_str().unwrap());
    assert_eq!(one.api().done("GET", &path, "").await["groups"], json!(["jobs.watchers"]));
    let closing =
        one.api().done("POST", "connections/close", r#"{"user":"ada","code":4001}"#).await;
    assert_eq!(closing, json!({"closing": 4, "unanswered": []}));
    for socket in &mut sockets {
        assert_eq!(socket.closed().await.0, 4001);
    }
    // A process that hangs is named, and the others are listed.
    until(&one.api(), "", 1).await;
    let here = Socket::open(one.address, "/jobs/watch").await;
    other.signal("STOP").await;
    let page = one.api().done("GET", "connections", "").await;
    assert_eq!(page["connections"].as_array().unwrap().len(), 1, "{page}");
    assert_eq!(page["unanswered"].as_array().unwrap().len(), 1, "{page}");
    let (status, code, _) = one.api().refused("DELETE", &path, "").await;
    assert_eq!((status, &*code), (503, "unanswered"));
    other.signal("CONT").await;
    drop((watcher, here));
    until(&one.api(), "", 0).await;
}
