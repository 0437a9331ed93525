//! Data of modules, from the outside.

use futures_util::future::join_all;
use tests::{Client, Host, Process, guest};

use crate::TIDEGATE;

async fn text(client: Client, method: &str, path: &str) -> (u16, String) {
    let reply = client.request(method, path, &[], "").await;
    (reply.status, reply.text().to_owned())
}

/// The outcome of the latest record, and how often its consumer was run.
async fn last_record(host: &Host) -> (String, u64) {
    let records = host.admin().done("GET", "records?limit=1", "").await;
    let record = |at| records.pointer(at).unwrap();
    let outcome = record("/records/0/outcome").as_str().unwrap().to_owned();
    (outcome, record("/records/0/attempts").as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_outlives_the_process() {
    let data = tempfile::tempdir().unwrap();
    let module = format!("store={}", guest("store").display());
    let arguments = ["--data-dir", data.path().to_str().unwrap(), "--module", &module];
    for round in 0..3 {
        let process = Process::serve(TIDEGATE, &arguments).await;
        let client = Client::new(process.address);
        let before = if round == 0 { 404 } else { 200 };
        assert_eq!(client.get("/get/bid").await.status, before);
        let set = client.request("PUT", "/set/bid", &[], "seven").await;
        assert_eq!(set.status, 200);
        assert_eq!(client.get("/get/bid").await.text(), "seven");
        // What was answered is synced.
        process.signal(if round == 1 { "TERM" } else { "KILL" }).await;
        process.wait().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_sees_its_own_writes_and_a_fault_takes_them_back() {
    let host = Host::builder().guest("store").start().await;
    let client = Client::new(host.address());
    let own = text(client, "POST", "/own").await;
    assert_eq!(own, (200, r#"None Some("two") 5 ["own", "own:b"]"#.to_owned()));
    for (how, kind) in [("error", "failed"), ("panic", "trap")] {
        assert_eq!(text(client, "POST", &format!("/fail/{how}")).await.0, 500);
        assert_eq!(last_record(&host).await, (kind.to_owned(), 1));
        assert_eq!(client.get("/get/failed").await.status, 404, "{how}");
    }
    // An answer is no fault, whatever its status.
    assert_eq!(text(client, "POST", "/fail/answer").await.0, 409);
    assert_eq!(client.get("/get/failed").await.text(), "answer");
    // What was flushed stays.
    assert_eq!(text(client, "POST", "/fail/error?flush=1").await.0, 500);
    assert_eq!(client.get("/get/failed").await.text(), "error");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_change_one_key_at_once_lose_no_change() {
    let host = Host::builder().guest("store").start().await;
    let client = Client::new(host.address());
    let increment = async |_| {
        for _ in 0..20 {
            assert_eq!(text(client, "POST", "/increment/number").await.0, 200);
        }
    };
    join_all((0..8).map(increment)).await;
    let add = async |_| {
        for _ in 0..20 {
            assert_eq!(text(client, "POST", "/add/sum").await.0, 200);
        }
    };
    join_all((0..8).map(add)).await;
    assert_eq!(text(client, "GET", "/counter/sum").await.1, "160");
    assert_eq!(text(client, "POST", "/increment/number").await.1, "161");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_data_changes_meanwhile_is_done_again_and_has_one_record() {
    let patient =
        "store = { reads = 1000000000 }\nlimits = { host_calls = 1000000000, fuel = 100000000000 }";
    let host = Host::builder().guest("store").with(patient).start().await;
    let client = Client::new(host.address());
    let slow = tests::background(text(client, "POST", "/slow/key"));
    // It reads until somebody writes.
    host.until("the slow run is busy", |host| host.app().metrics().slots_busy.get() > 0).await;
    assert_eq!(text(client, "POST", "/add/key").await.0, 200);
    assert_eq!(slow.await.unwrap(), (200, "1".to_owned()));
    let records = host.admin().done("GET", "records?limit=10", "").await;
    let slow: Vec<_> = records["records"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|record| record["consumer"] == "slow")
        .collect();
    let [record] = slow[..] else { panic!("{slow:?}") };
    assert_eq!((&record["outcome"], &record["attempts"]), (&"ok".into(), &2.into()));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_listed_page_by_page_in_order() {
    let host = Host::builder().guest("store").start().await;
    let client = Client::new(host.address());
    assert_eq!(text(client, "POST", "/fill/a:/250").await.0, 200);
    assert_eq!(text(client, "POST", "/fill/b:/3").await.0, 200);
    assert_eq!(text(client, "GET", "/count/a:").await.1, "250");
    let listed = text(client, "GET", "/list?prefix=b:").await.1;
    assert_eq!(listed, "b:00000=x b:00001=x b:00002=x");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_another_module_are_read_where_they_are_granted() {
    for (grant, status, said) in [
        ("", 500, "modules.store.grants.data = [\"once\"]"),
        ("[modules.store.grants]\ndata = ['once']", 200, "nothing"),
    ] {
        let host = Host::builder().guest("store").with(grant).start().await;
        let (got, text) = text(Client::new(host.address()), "GET", "/of/once/key").await;
        assert_eq!(got, status, "{text}");
        let record = host.admin().done("GET", "records?limit=1", "").await;
        let detail = record["records"][0]["detail"].as_str().unwrap_or_default().to_owned();
        assert!(text.contains(said) || detail.contains(said), "{text} {detail}");
        host.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_keeps_no_more_than_its_quota_and_may_make_room() {
    let host = Host::builder().guest("store").with("store = { keys = 2 }").start().await;
    let client = Client::new(host.address());
    for key in ["a", "b"] {
        assert_eq!(client.request("PUT", &format!("/set/{key}"), &[], "x").await.status, 200);
    }
    assert_eq!(client.request("PUT", "/set/c", &[], "x").await.status, 500);
    assert_eq!(last_record(&host).await, ("quota".to_owned(), 1));
    assert_eq!(text(client, "DELETE", "/set/a").await.0, 200);
    assert_eq!(client.request("PUT", "/set/c", &[], "x").await.status, 200);
    // What `add` meets is told when the run commits.
    assert_eq!(text(client, "POST", "/add/b").await.0, 500);
    assert_eq!(last_record(&host).await, ("type".to_owned(), 1));
    host.stop().await;
}
