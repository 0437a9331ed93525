//! Messages that are sent later: replaced, cancelled, kept through kills.

use std::path::Path;

use tests::{Client, Host, Process, Socket, guest, must};

use crate::TIDEGATE;

async fn post(client: &Client, path: &str) -> (u16, String) {
    let reply = client.request("POST", path, &[], "").await;
    (reply.status, reply.text().to_owned())
}

async fn set(client: &Client, path: &str) {
    let (status, text) = post(client, path).await;
    assert_eq!(status, 200, "{path}: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_is_replaced_and_cancelled_by_its_key_until_it_is_due() {
    let host = Host::builder().guest("timers").start().await;
    let (client, mut watch) = (host.client(), host.websocket("/watch").await);
    set(&client, "/timers/a/3600000/old").await;
    set(&client, "/timers/a/0/new").await;
    assert_eq!(watch.text().await, "new");
    // One that was sent leaves no trace: its key is free, and nothing is there to be cancelled.
    for path in ["/timers/a/100/cancelled", "/timers/b/150/other", "/timers/c/3600000/late"] {
        set(&client, path).await;
    }
    assert_eq!(client.request("DELETE", "/timers/a", &[], "").await.status, 200);
    assert_eq!(client.request("DELETE", "/timers/none", &[], "").await.status, 200);
    set(&client, "/timers/c/200/earlier").await;
    assert_eq!(watch.text().await, "other");
    assert_eq!(watch.text().await, "earlier");
    assert_eq!(host.get("/came/cancelled").await.text(), "0");
    drop(watch);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_that_has_passed_is_now() {
    let host = Host::builder().guest("timers").start().await;
    let (client, mut watch) = (host.client(), host.websocket("/watch").await);
    for (seconds, text) in [("0", "epoch"), ("-86400", "before"), ("1700000000", "lately")] {
        set(&client, &format!("/moments/a/{seconds}/{text}")).await;
        assert_eq!(watch.text().await, text);
    }
    drop(watch);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_fails_sets_no_timer_and_replaces_none() {
    let host = Host::builder().guest("timers").start().await;
    let (client, mut watch) = (host.client(), host.websocket("/watch").await);
    set(&client, "/timers/a/200/stays").await;
    assert_eq!(post(&client, "/timers/a/0/never?then=fail").await.0, 500);
    assert_eq!(post(&client, "/timers/b/0/never?then=fail").await.0, 500);
    assert_eq!(watch.text().await, "stays");
    assert_eq!(host.get("/came/never").await.text(), "0");
    drop(watch);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_a_rule_is_refused_with_the_rule() {
    let host = Host::builder().guest("timers").start().await;
    let client = host.client();
    let long = "k".repeat(513);
    let cases = [
        (format!("/timers/{long}/0/x"), "a key has at most 512 bytes; this one has 513"),
        ("/timers/a/31536000001/x".to_owned(), "a timer is due in 31536000000 ms at most"),
        ("/moments/a/99999999999/x".to_owned(), "this one is at 99999999999000 ms since 1970"),
        ("/timers/a/0/x?channel=other.work".to_owned(), "declare a consumer of it"),
        ("/timers/a/0/x?channel=node!1".to_owned(), "is a reply channel"),
        ("/timers/a/0/x?channel=no%20name".to_owned(), "channel \"no name\""),
    ];
    for (path, expected) in cases {
        let (status, text) = post(&client, &path).await;
        assert!(status == 400 && text.contains(expected), "{path}: {status} {text}");
    }
    host.stop().await;
}

async fn serve(data: &Path) -> (Process, Client, Socket) {
    let (data, module) = (data.to_str().unwrap(), guest("timers"));
    let module = format!("timers={}", module.display());
    let process = Process::serve(TIDEGATE, &["--data-dir", data, "--module", &module]).await;
    let (client, watch) =
        (Client::new(process.address), Socket::open(process.address, "/watch").await);
    (process, client, watch)
}

#[tokio::test(flavor = "multi_thread")]
async fn timers_and_delayed_messages_come_once_though_the_host_is_killed() {
    let data = tempfile::tempdir().unwrap();
    let (process, client, _) = serve(data.path()).await;
    set(&client, "/timers/a/1/first").await;
    set(&client, "/timers/b/1000/second").await;
    set(&client, "/later/1200/third").await;
    process.signal("KILL").await;
    assert_eq!(process.wait().await, None);
    let (_process, client, _) = serve(data.path()).await;
    must("all have come", async {
        for text in ["first", "second", "third"] {
            while client.get(&format!("/came/{text}")).await.text() == "0" {}
        }
    })
    .await;
    for text in ["first", "second", "third"] {
        assert_eq!(client.get(&format!("/came/{text}")).await.text(), "1", "{text}");
    }
}
