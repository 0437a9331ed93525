//! Requests to servers outside, made by processes that are killed.

use serde_json::json;
use tests::{Client, Outside, Process, guest, must};

use super::{Site, metric};

/// Requests of each kind.
const REQUESTS: usize = 60;

fn site(outside: &Outside) -> Site {
    let site = Site::new(&[("fetches", guest("fetches"))]);
    // Long enough for a slow machine. A lease is five seconds longer.
    site.set(&format!(
        "[layer]\nretry_pause = '10ms'\n[modules.fetches]\ngrants.http = ['{}']\nfetch.timeout = '5s'\n",
        outside.address
    ));
    site
}

async fn ask(client: &Client, url: &str, value: &str, retries: u32) {
    let fields = [("content-type", "application/json")];
    let asked = json!({"url": url, "value": value, "retries": retries});
    let reply = client.request("POST", "/fetch", &fields, asked.to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// How often a result has come, and the last one.
async fn result(client: &Client, value: &str) -> (usize, String) {
    let reply = client.get(&format!("/results/{value}")).await;
    let (count, last) = reply.text().split_once(' ').unwrap();
    (count.parse().unwrap(), last.to_owned())
}

async fn until_result(client: &Client, value: &str) -> String {
    must("the result", async {
        loop {
            let (count, last) = result(client, value).await;
            if count > 0 {
                return last;
            }
        }
    })
    .await
}

async fn kill(process: Process) {
    process.signal("KILL").await;
    assert_eq!(process.wait().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_wait_for_a_process_that_makes_them() {
    let outside = Outside::start().await;
    let site = site(&outside);
    let interface = site.interface().await;
    let client = Client::new(interface.address);
    let worker = site.worker(&[]).await;
    ask(&client, &outside.url("/ok"), "early", 0).await;
    // Whoever runs consumers alone makes none: it waits in its channel.
    must("it waits", async {
        while metric(&interface, "tidegate_channel_messages{channel=\"http.fetch.fetches\"}").await
            != 1
        {}
    })
    .await;
    assert_eq!((result(&client, "early").await.0, outside.count("/ok")), (0, 0));
    kill(worker).await;
    let _other = site.worker(&["--fetch"]).await;
    assert!(until_result(&client, "early").await.contains("GET /ok"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_a_process_that_is_killed_is_unknown_or_made_again() {
    let outside = Outside::start().await;
    let site = site(&outside);
    let interface = site.interface().await;
    let client = Client::new(interface.address);
    let _worker = site.worker(&[]).await;
    let doomed = site.worker(&["--fetch"]).await;
    ask(&client, &outside.url("/hold?once"), "once", 0).await;
    ask(&client, &outside.url("/hold?again"), "again", 10).await;
    outside.until("/hold?once", 1).await;
    outside.until("/hold?again", 1).await;
    kill(doomed).await;
    let _other = site.worker(&["--fetch"]).await;
    assert!(until_result(&client, "once").await.contains("unknown"));
    must("the other one is answered", async {
        while result(&client, "again").await.0 == 0 {
            outside.release();
        }
    })
    .await;
    assert!(outside.count("/hold?again") >= 2);
    assert!(until_result(&client, "again").await.contains("released"));
    assert_eq!(outside.count("/hold?once"), 1);
    for value in ["once", "again"] {
        assert_eq!(result(&client, value).await.0, 1, "{value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_has_one_result_though_those_who_make_them_are_killed() {
    let outside = Outside::start().await;
    let site = site(&outside);
    let interface = site.interface().await;
    let client = Client::new(interface.address);
    let _worker = site.worker(&[]).await;
    let mut fetchers = [site.worker(&["--fetch"]).await, site.worker(&["--fetch"]).await];
    for number in 0..REQUESTS {
        for (kind, retries) in [("once", 0), ("again", 10)] {
            let path = format!("/ok/{kind}/{number}");
            ask(&client, &outside.url(&path), &format!("{kind}-{number}"), retries).await;
        }
        if number % 15 == 14 {
            let next = site.worker(&["--fetch"]).await;
            kill(std::mem::replace(&mut fetchers[number / 15 % 2], next)).await;
        }
    }
    for number in 0..REQUESTS {
        let last = until_result(&client, &format!("once-{number}")).await;
        let made = outside.count(&format!("/ok/once/{number}"));
        assert!(made <= 1, "once-{number} was made {made} times");
        let is_answered = last.contains("GET /ok/once");
        let is_late = last.contains("timeout");
        assert!(
            is_answered && made == 1 || is_late || last.contains("unknown"),
            "once-{number}: {last}"
        );
        let last = until_result(&client, &format!("again-{number}")).await;
        assert!(last.contains("GET /ok/again"), "again-{number}: {last}");
        for kind in ["once", "again"] {
            assert_eq!(result(&client, &format!("{kind}-{number}")).await.0, 1, "{kind}-{number}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_waits_for_requests_beside_its_work_and_its_inbox() {
    let outside = Outside::start().await;
    let site = site(&outside);
    let _node = site.node().await;
    // A wait for another wait's connection would hold messages up.
    must("three waits at the same time", async {
        loop {
            let clients = site.redis.run(&["CLIENT", "LIST"]);
            let waits = |line: &&str| line.contains(" cmd=blmpop ") && line.contains(" flags=b ");
            if clients.lines().filter(waits).count() == 3 {
                return;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
}
