//! `connections`, `close`, `dead-letters`, `delayed` and an idempotency key against a host that serves.

use serde_json::Value;
use tests::{Client, Socket, example, guest, must};

use super::live::{Asked, path};

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_shown_run_again_and_dropped() {
    let asked = Asked::serve().await;
    let letters = guest("letters");
    assert_eq!(asked.tidegate(&["deploy", "letters", path(&letters)]).await.0, 0);
    let client = Client::new(asked.address());
    client.request("POST", "/broken/true", &[], "").await;
    for name in ["ann", "bob"] {
        client.request("POST", &format!("/letters/{name}"), &[], "").await;
    }
    let list = ["dead-letters", "list", "letters.post", "--json"];
    let told = must("both are dead", async {
        loop {
            let (status, told) = asked.tidegate(&list).await;
            if status == 0 && told.lines().count() == 2 {
                return told;
            }
        }
    })
    .await;
    let id = |name: &str| {
        let lines = told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let found = lines.into_iter().find(|it| it["message"]["name"] == name).unwrap();
        found["id"].as_str().unwrap().to_owned()
    };
    let (_, said) = asked.tidegate(&["dead-letters", "list"]).await;
    let words: Vec<_> = said.lines().nth(1).unwrap().split_whitespace().collect();
    assert!(words.starts_with(&["letters.post", "2"]) && words.ends_with(&["letters"]), "{said}");
    let (_, said) = asked.tidegate(&["dead-letters", "list", "letters.post", "--limit", "1"]).await;
    assert!(said.ends_with("1 more; give --limit\n"), "{said}");
    let (_, said) = asked.tidegate(&["dead-letters", "show", "letters.post", &id("ann")]).await;
    assert!(said.contains(r#""message":{"name":"ann"}"#), "{said}");
    let said = asked.tidegate(&["dead-letters", "drop", "letters.post", &id("ann")]).await;
    assert_eq!(said, (0, format!("{} of letters.post is dropped\n", id("ann"))));
    let (status, said) = asked.tidegate(&["dead-letters", "run", "letters.post", &id("ann")]).await;
    assert!(status == 8 && said.contains("does not have this dead letter"), "{said}");
    client.request("POST", "/broken/false", &[], "").await;
    let said = asked.tidegate(&["dead-letters", "run", "letters.post", "--all"]).await;
    assert_eq!(said, (0, "1 of letters.post are run again, 0 are left\n".to_owned()));
    let (status, said) = asked.tidegate(&["dead-letters", "run", "letters.post"]).await;
    assert!(status == 2 && said.contains("<ID>"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_listed_shown_and_closed() {
    let asked = Asked::serve().await;
    assert_eq!(asked.tidegate(&["deploy", "jobs", path(&example("jobs"))]).await.0, 0);
    let mut watcher = Socket::open(asked.address(), "/jobs/watch").await;
    let (_, told) = asked.tidegate(&["connections", "--group", "jobs.watchers", "--json"]).await;
    let found: Value = serde_json::from_str(told.trim()).unwrap();
    let name = found["connection"].as_str().unwrap();
    let (_, said) = asked.tidegate(&["connections", name]).await;
    assert!(said.contains("jobs.watchers") && said.contains("/jobs/watch"), "{said}");
    let (_, said) = asked.tidegate(&["connections", "--user", "nobody"]).await;
    assert_eq!(said.lines().count(), 1, "{said}");
    let (status, said) = asked.tidegate(&["close", "--module", "jobs", "--code", "1001"]).await;
    assert!(status == 3 && said.contains("1000, or 3000 to 4999"), "{said}");
    let (status, said) = asked.tidegate(&["close", "--code", "4000"]).await;
    assert!(status == 2 && said.contains("--module"), "{said}");
    let close = ["close", "--module", "jobs", "--code", "4001", "--reason", "bye"];
    let said = asked.tidegate(&close).await;
    assert_eq!(said, (0, "1 connections are being closed\n".to_owned()));
    assert_eq!(watcher.closed().await, (4001, "bye".to_owned()));
    // Its consumer is told of the end before the connection is gone.
    let said = must("it is gone", async {
        loop {
            let (status, said) = asked.tidegate(&["close", name]).await;
            if status == 8 {
                return said;
            }
        }
    })
    .await;
    assert!(said.contains("is gone"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_later_is_listed_and_cancelled_and_a_repeated_key_sends_nothing() {
    let asked = Asked::serve().await;
    assert_eq!(asked.tidegate(&["deploy", "timers", path(&guest("timers"))]).await.0, 0);
    let client = Client::new(asked.address());
    assert_eq!(client.request("POST", "/timers/t1/90000000/x", &[], "").await.status, 200);
    let (_, said) = asked.tidegate(&["delayed", "list", "timers"]).await;
    assert!(said.lines().nth(1).unwrap().ends_with("timers.due  t1"), "{said}");
    let said = asked.tidegate(&["delayed", "cancel", "timers", "t1"]).await;
    assert_eq!(said, (0, "timers: nothing is sent later by the key t1\n".to_owned()));
    let (_, said) = asked.tidegate(&["delayed", "list", "timers"]).await;
    assert_eq!(said.lines().count(), 1, "{said}");
    let send = ["send", "timers.due", r#"{"text":"once"}"#, "--idempotency-key", "k1"];
    for _ in 0..2 {
        assert_eq!(asked.tidegate(&send).await, (0, "sent to timers.due\n".to_owned()));
    }
    must("it has come", async { while client.get("/came/once").await.text() == "0" {} }).await;
    assert_eq!(client.get("/came/once").await.text(), "1");
    let another = ["send", "timers.due", r#"{"text":"other"}"#, "--idempotency-key", "k1"];
    let (status, said) = asked.tidegate(&another).await;
    assert!(status == 3 && said.contains("another request had this"), "{said}");
}
