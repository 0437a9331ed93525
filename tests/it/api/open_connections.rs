//! Open connections over the admin API: listed, looked at, and closed; over Redis in `redis::connections`.

use serde_json::{Value, json};
use tests::{Admin, Host, auth_section, must, token};

use super::tokens::made;

/// The settings of a host whose users come with a token in the query.
pub(crate) fn auth() -> String {
    auth_section("query = \"token\"\n")
}

/// The path of a room for a user.
pub(crate) fn room(user: &str) -> String {
    format!("/room?token={}", token(user, &json!({ "role": "reader" })))
}

/// Waits until so many connections are selected. Returns the page.
pub(crate) async fn until(api: &Admin, query: &str, total: u64) -> Value {
    must("the connections are listed", async {
        loop {
            let page = api.done("GET", &format!("connections?{query}"), "").await;
            if page.get("total") == Some(&total.into()) {
                return page;
            }
        }
    })
    .await
}

async fn host() -> Host {
    Host::builder().guest("users").example("jobs").section(&auth()).start().await
}

fn names(page: &Value) -> Vec<String> {
    let connections = page["connections"].as_array().unwrap().iter();
    connections.map(|it| it["connection"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_listed_by_module_group_and_user_in_pages() {
    let host = host().await;
    let api = host.admin();
    let mut sockets = Vec::new();
    for path in [&room("ada"), &room("ada"), &room("bob"), "/jobs/watch", "/jobs/watch"] {
        sockets.push(host.websocket(path).await);
    }
    let all = until(&api, "", 5).await;
    for (query, total) in [
        ("module=users", 3),
        ("user=ada", 2),
        ("user=ada&module=jobs", 0),
        ("group=jobs.watchers", 2),
        ("group=jobs.watchers&module=users", 0),
        ("group=nobody", 0),
        ("protocol=websocket", 5),
        ("protocol=http", 0),
        ("user=eve", 0),
    ] {
        let page = until(&api, query, total).await;
        assert_eq!(names(&page).len() as u64, total, "{query}");
    }
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api.done("GET", &format!("connections?limit=2{cursor}"), "").await;
        assert_eq!((&page["total"], &page["unanswered"]), (&json!(5), &json!([])));
        paged.extend(names(&page));
        let Some(next) = page["cursor"].as_str() else { break };
        cursor = format!("&cursor={}", next.replace('!', "%21"));
    }
    assert_eq!(paged, names(&all), "each once, in order");
    let watcher = until(&api, "group=jobs.watchers", 2).await["connections"][0].clone();
    let path = format!("connections/{}", watcher["connection"].as_str().unwrap());
    let shown = api.done("GET", &path, "").await;
    assert_eq!(shown["groups"], json!(["jobs.watchers"]));
    for (field, value) in [("module", "jobs"), ("protocol", "websocket"), ("path", "/jobs/watch")] {
        assert_eq!(shown[field], value);
    }
    let ada = until(&api, "user=ada", 2).await["connections"][0].clone();
    assert_eq!((&ada["user"], &ada["path"]), (&json!("ada"), &json!("/room")), "without the token");
    // A token for one module sees no others.
    let jobs = made(&api, "jobs-only", "send", Some(&["jobs"])).await;
    assert_eq!(until(&jobs, "", 2).await["connections"][0]["module"], "jobs");
    let (status, code, _) = jobs.refused("GET", "connections?module=users", "").await;
    assert_eq!((status, &*code), (403, "module"));
    let path = format!("connections/{}", ada["connection"].as_str().unwrap());
    for method in ["GET", "DELETE"] {
        let (status, code, _) = jobs.refused(method, &path, "").await;
        assert_eq!((status, &*code), (404, "no-such-connection"), "{method}");
    }
    let closing = jobs.done("POST", "connections/close", r#"{"user":"ada"}"#).await;
    assert_eq!(closing["closing"], 0, "what the token does not cover stays");
    drop(sockets);
    until(&api, "", 0).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_closed_by_user_group_module_and_one_by_one() {
    let host = host().await;
    let api = host.admin();
    let close = async |body: Value| {
        api.done("POST", "connections/close", body.to_string()).await["closing"].clone()
    };
    let (mut one, mut two) =
        (host.websocket(&room("ada")).await, host.websocket(&room("ada")).await);
    let mut bob = host.websocket(&room("bob")).await;
    let mut watcher = host.websocket("/jobs/watch").await;
    until(&api, "", 4).await;
    assert_eq!(close(json!({"user": "ada", "code": 4001, "reason": "bye"})).await, 2);
    for socket in [&mut one, &mut two] {
        assert_eq!(socket.closed().await, (4001, "bye".to_owned()));
    }
    bob.send("still there").await;
    assert!(bob.text().await.starts_with("bob reader"), "others stay");
    assert_eq!(close(json!({"group": "jobs.watchers", "module": "users"})).await, 0);
    assert_eq!(close(json!({"group": "jobs.watchers", "module": "jobs"})).await, 1);
    assert_eq!(watcher.closed().await, (1000, String::new()));
    let name = until(&api, "user=bob", 1).await["connections"][0]["connection"].clone();
    let path = format!("connections/{}", name.as_str().unwrap());
    let closing = api.done("DELETE", &format!("{path}?code=3001&reason=out"), "").await;
    assert_eq!(closing["closing"], 1);
    assert_eq!(bob.closed().await, (3001, "out".to_owned()));
    until(&api, "", 0).await;
    for (method, path, body, status, code) in [
        ("DELETE", &*path, "", 404, "no-such-connection"),
        ("GET", &*path, "", 404, "no-such-connection"),
        ("GET", "connections/nobody", "", 400, "name"),
        ("GET", "connections/node-gone!0123", "", 404, "no-such-connection"),
        ("DELETE", "connections/a%20b", "", 400, "name"),
        ("DELETE", "connections/node-gone!0123?code=999", "", 422, "close"),
        ("GET", "connections?limit=0", "", 400, "limit"),
        ("GET", "connections?cursor=x", "", 400, "cursor"),
        ("GET", "connections?module=A", "", 400, "name"),
        ("GET", "connections?group=a%20b", "", 400, "name"),
        ("GET", "connections?user=", "", 400, "user"),
        ("GET", "connections?protocol=smtp", "", 400, "query"),
        ("POST", "connections/close", "{}", 422, "close"),
        ("POST", "connections/close", r#"{"user":""}"#, 400, "user"),
        ("POST", "connections/close", r#"{"user":"a","code":1001}"#, 422, "close"),
        ("POST", "connections/close", r#"{"user":"a","reson":"x"}"#, 422, "close"),
        ("POST", "connections/close", "{", 400, "close"),
    ] {
        let refused = api.refused(method, path, body).await;
        assert_eq!((refused.0, &*refused.1), (status, code), "{method} {path}: {}", refused.2);
    }
    let long = json!({"user": "a", "reason": "x".repeat(124)}).to_string();
    let (status, _, text) = api.refused("POST", "connections/close", long).await;
    assert!(status == 422 && text.contains("room for 123"), "{text}");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waits_and_a_stream_are_ended_where_they_are_meant() {
    let host = Host::builder().guest("hold").start().await;
    let (api, client) = (host.admin(), host.client());
    let held = tests::background(async move { client.get("/hold").await });
    until(&api, "protocol=http&module=hold", 1).await;
    let close = async |body: Value| api.done("POST", "connections/close", body.to_string()).await;
    assert_eq!(close(json!({"module": "hold"})).await["closing"], 0, "WebSockets are meant");
    assert_eq!(close(json!({"module": "hold", "protocol": "http"})).await["closing"], 1);
    let reply = must("an answer", held).await.unwrap();
    assert_eq!(reply.status, 503);
    assert!(reply.text().contains("an operator ended the request"), "{}", reply.text());
    let mut stream = client.start("GET", "/open", &[], "").await;
    assert_eq!(&stream.part().await.unwrap().unwrap()[..], b"one ");
    // The consumer joins after the first part has left.
    until(&api, "protocol=http&group=hold.open", 1).await;
    assert_eq!(close(json!({"group": "hold.nobody", "protocol": "http"})).await["closing"], 0);
    assert_eq!(close(json!({"group": "hold.open", "protocol": "http"})).await["closing"], 1);
    assert!(stream.part().await.is_none(), "it ends as a whole");
    until(&api, "", 0).await;
    host.stop().await;
}
