//! Dead letters and messages to be sent later, in a single process; over Redis in `redis::dead_letters`.

use serde_json::{Value, json};
use tests::{Admin, Client, Host, Process, guest, must};

use crate::TIDEGATE;

/// Sends letters that fail, one after the other, and waits until they are dead letters. Returns them.
pub(crate) async fn dead(client: &Client, api: &Admin, names: &[&str]) -> Vec<Value> {
    assert_eq!(client.request("POST", "/broken/true", &[], "").await.status, 200);
    let mut letters = Vec::new();
    for name in names {
        let sent = client.request("POST", &format!("/letters/{name}"), &[], "").await;
        assert_eq!(sent.status, 200, "{}", sent.text());
        let before = letters.len();
        must("it is a dead letter", async {
            while letters.len() == before {
                let page = api.done("GET", "dead-letters/letters.post", "").await;
                letters = page.get("messages").and_then(Value::as_array).unwrap().clone();
            }
        })
        .await;
    }
    letters
}

/// Waits until a letter was posted so often.
pub(crate) async fn until_posted(client: &Client, name: &str, times: &str) {
    must("it is posted", async {
        while client.get(&format!("/posted/{name}")).await.text() != times {}
    })
    .await;
}

async fn host() -> Host {
    Host::builder().section("[layer]\nretry_pause = '20ms'\n").guest("letters").start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_looked_at_run_again_and_dropped() {
    let host = host().await;
    let (api, client) = (host.admin(), host.client());
    let letters = dead(&client, &api, &["ann", "bob", "cid", "dee"]).await;
    let channels = api.done("GET", "dead-letters", "").await;
    assert_eq!(channels["channels"][0]["channel"], "letters.post");
    assert_eq!(channels["channels"][0]["module"], "letters");
    assert_eq!(channels["channels"][0]["messages"], 4);
    let id = |number: usize| letters[number]["id"].as_str().unwrap().to_owned();
    let path = |number: usize| format!("dead-letters/letters.post/{}", id(number));
    let shown = api.done("GET", &path(0), "").await;
    assert_eq!(shown["message"], json!({"name": "ann"}));
    let correlation = shown["correlation_id"].as_str().unwrap();
    let records = api.done("GET", &format!("records?correlation_id={correlation}"), "").await;
    let failed = records["records"].as_array().unwrap().iter();
    let failed = failed.filter(|it| it["outcome"] != "ok").count();
    assert_eq!(failed, 2, "the id leads to the runs that failed: {records}");
    // One of two pages.
    let page = api.done("GET", "dead-letters/letters.post?limit=3", "").await;
    let cursor = page["cursor"].as_str().unwrap();
    let next = api.done("GET", &format!("dead-letters/letters.post?cursor={cursor}"), "").await;
    assert_eq!(next["messages"][0]["id"], letters[3]["id"]);
    assert_eq!(next["cursor"], Value::Null);
    // While the module fails on, it dies again.
    assert_eq!(api.ask("POST", &format!("{}/run", path(0)), "").await.status, 204);
    must("it is dead again", async {
        while api.done("GET", "dead-letters/letters.post", "").await["total"] != 4 {}
    })
    .await;
    let (status, code, _) = api.refused("POST", &format!("{}/run", path(0)), "").await;
    assert_eq!((status, &*code), (404, "no-such-dead-letter"), "it has another id");
    assert_eq!(api.ask("DELETE", &path(1), "").await.status, 204);
    client.request("POST", "/broken/false", &[], "").await;
    assert_eq!(api.ask("POST", &format!("{}/run", path(2)), "").await.status, 204);
    until_posted(&client, "cid", "1").await;
    let all = api.done("POST", "dead-letters/letters.post/run", "").await;
    assert_eq!(all, json!({"moved": 2, "left": 0, "full": false}));
    until_posted(&client, "ann", "1").await;
    until_posted(&client, "dee", "1").await;
    assert_eq!(client.get("/posted/bob").await.text(), "0");
    assert_eq!(api.done("GET", "dead-letters", "").await["channels"], json!([]));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_whose_module_is_gone_can_be_dropped_and_not_run() {
    let host = host().await;
    let (api, client) = (host.admin(), host.client());
    let letters = dead(&client, &api, &["ann", "bob"]).await;
    let path = format!("dead-letters/letters.post/{}", letters[0]["id"].as_str().unwrap());
    for (method, path, status, code) in [
        ("GET", "dead-letters/a%20b", 400, "name"),
        ("GET", "dead-letters/nobody", 404, "no-such-channel"),
        ("DELETE", "dead-letters/nobody", 404, "no-such-channel"),
        ("POST", "dead-letters/nobody/run", 409, "no-consumer"),
        ("GET", "dead-letters/letters.post?limit=0", 400, "limit"),
        ("GET", "dead-letters/letters.post?cursor=x", 400, "cursor"),
        ("GET", "dead-letters/letters.post?cursor=a%20b", 400, "cursor"),
        ("GET", "dead-letters/letters.post/a%20b", 400, "id"),
        ("GET", "dead-letters/letters.post/77", 404, "no-such-dead-letter"),
        ("POST", "dead-letters/letters.post/77/run", 404, "no-such-dead-letter"),
        ("DELETE", "dead-letters/letters.post/77", 404, "no-such-dead-letter"),
    ] {
        let refused = api.refused(method, path, "").await;
        assert_eq!((refused.0, &*refused.1), (status, code), "{method} {path}: {}", refused.2);
    }
    api.done("DELETE", "modules/letters", "").await;
    let (status, code, text) = api.refused("POST", &format!("{path}/run"), "").await;
    assert_eq!((status, &*code), (409, "no-consumer"), "{text}");
    assert_eq!(api.done("GET", "dead-letters/letters.post", "").await["total"], 2);
    assert_eq!(api.ask("DELETE", &path, "").await.status, 204);
    let all = api.done("DELETE", "dead-letters/letters.post", "").await;
    assert_eq!(all, json!({"moved": 1, "left": 0, "full": false}));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_of_a_single_process_outlive_it() {
    let data = tempfile::tempdir().unwrap();
    let config = data.path().join("tidegate.toml");
    std::fs::write(&config, "[layer]\nretry_pause = '20ms'\n").unwrap();
    let module = format!("letters={}", guest("letters").display());
    let directory = data.path().join("data").display().to_string();
    let config = config.display().to_string();
    let serve = async || {
        let flags = ["--config", &*config, "--data-dir", &*directory, "--module", &*module];
        Process::serve(TIDEGATE, &flags).await
    };
    let process = serve().await;
    let before = dead(&Client::new(process.address), &process.api(), &["ann", "bob"]).await;
    process.signal("KILL").await;
    assert_eq!(process.wait().await, None);
    let process = serve().await;
    let (client, api) = (Client::new(process.address), process.api());
    let after = must("they are there again", async {
        loop {
            let page = api.done("GET", "dead-letters/letters.post", "").await;
            if page["total"] == 2 {
                return page["messages"].as_array().unwrap().clone();
            }
        }
    })
    .await;
    for (before, after) in before.iter().zip(&after) {
        for field in ["message", "message_id", "correlation_id"] {
            assert_eq!(before[field], after[field]);
        }
    }
    client.request("POST", "/broken/false", &[], "").await;
    let path = format!("dead-letters/letters.post/{}/run", after[0]["id"].as_str().unwrap());
    assert_eq!(api.ask("POST", &path, "").await.status, 204);
    until_posted(&client, "ann", "1").await;
    let path = format!("dead-letters/letters.post/{}", after[1]["id"].as_str().unwrap());
    assert_eq!(api.ask("DELETE", &path, "").await.status, 204);
    must("the store forgets both", async {
        while api.done("GET", "modules/letters/data/usage", "").await["relayed"] != 0 {}
    })
    .await;
    process.signal("KILL").await;
    assert_eq!(process.wait().await, None);
    let process = serve().await;
    assert_eq!(process.api().done("GET", "dead-letters", "").await["channels"], json!([]));
    assert_eq!(Client::new(process.address).get("/posted/ann").await.text(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_to_be_sent_later_are_listed_in_pages_and_cancelled() {
    let host = Host::builder().guest("timers").start().await;
    let (api, client) = (host.admin(), host.client());
    for number in 1..=3 {
        let path = format!("/timers/t{number}/{number}00000000/x");
        assert_eq!(client.request("POST", &path, &[], "").await.status, 200);
    }
    let page = api.done("GET", "modules/timers/delayed?limit=2", "").await;
    assert_eq!(page["total"], 3);
    let keys = |page: &Value| {
        let messages = page["messages"].as_array().unwrap().iter();
        messages.map(|it| it["key"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(keys(&page), ["t1", "t2"]);
    assert_eq!(page["messages"][0]["channel"], "timers.due");
    let cursor = page["cursor"].as_str().unwrap();
    let rest = api.done("GET", &format!("modules/timers/delayed?cursor={cursor}"), "").await;
    assert_eq!((keys(&rest), &rest["cursor"]), (vec!["t3".to_owned()], &Value::Null));
    assert_eq!(api.ask("DELETE", "modules/timers/delayed?key=t2", "").await.status, 204);
    let left = api.done("GET", "modules/timers/delayed", "").await;
    assert_eq!(keys(&left), ["t1", "t3"]);
    for (method, path, status, code) in [
        ("GET", "modules/timers/delayed?cursor=x", 400, "cursor"),
        ("GET", "modules/timers/delayed?limit=1001", 400, "limit"),
        ("DELETE", "modules/timers/delayed", 400, "query"),
        ("DELETE", "modules/timers/delayed?key=", 400, "key"),
        ("GET", "modules/nobody/delayed", 404, "no-such-module"),
    ] {
        let refused = api.refused(method, path, "").await;
        assert_eq!((refused.0, &*refused.1), (status, code), "{method} {path}: {}", refused.2);
    }
    host.stop().await;
}
