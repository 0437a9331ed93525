//! Data of modules, from the outside.

use futures_util::future::join_all;
use tests::{Client, Host, Process, background, example, guest, must};

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
        for _ in 0..5 {
            assert_eq!(text(client, "POST", "/increment/number").await.0, 200);
        }
    };
    join_all((0..32).map(increment)).await;
    let add = async |_| {
        for _ in 0..5 {
            assert_eq!(text(client, "POST", "/add/sum").await.0, 200);
        }
    };
    join_all((0..32).map(add)).await;
    assert_eq!(text(client, "GET", "/counter/sum").await.1, "160");
    assert_eq!(text(client, "POST", "/increment/number").await.1, "161");
    host.stop().await;
}

/// Leaves a guest that reads in a loop all the time of its deadline.
const PATIENT: &str =
    "store = { reads = 1000000000 }\nlimits = { host_calls = 1000000000, fuel = 100000000000 }";

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_data_changes_meanwhile_is_done_again_and_has_one_record() {
    let host = Host::builder().guest("store").with(PATIENT).start().await;
    let client = Client::new(host.address());
    let slow = background(text(client, "POST", "/slow/key"));
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
async fn a_fault_on_data_that_has_changed_is_none_and_a_change_after_a_flush_is_a_conflict() {
    for (query, status, outcome, attempts) in
        [("fail=1", 200, "ok", 2), ("flush=1", 500, "conflict", 1)]
    {
        let host = Host::builder().guest("store").with(PATIENT).start().await;
        let client = Client::new(host.address());
        let mut watcher = host.websocket("/watch").await;
        let path = format!("/slow/key?{query}");
        let slow = background(async move { text(client, "POST", &path).await });
        if query == "flush=1" {
            // It has flushed what it announces.
            assert_eq!(watcher.text().await, "running");
        } else {
            host.until("the slow run is busy", |host| host.app().metrics().slots_busy.get() > 0)
                .await;
        }
        assert_eq!(text(client, "POST", "/add/key").await.0, 200);
        drop(watcher);
        assert_eq!(slow.await.unwrap().0, status, "{query}");
        let records = host.admin().done("GET", "records?limit=10", "").await;
        let records = records["records"].as_array().unwrap();
        let record = records.iter().find(|record| record["consumer"] == "slow").unwrap();
        let expected = (&outcome.into(), &attempts.into());
        assert_eq!((&record["outcome"], &record["attempts"]), expected, "{query}");
        host.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_with_a_time_to_live_is_there_and_then_gone() {
    let host = Host::builder().guest("store").start().await;
    let client = Client::new(host.address());
    assert_eq!(client.request("PUT", "/set/brief?seconds=1", &[], "x").await.status, 200);
    assert_eq!(client.request("PUT", "/set/long?seconds=60", &[], "x").await.status, 200);
    must("the value is gone", async { while client.get("/get/brief").await.status != 404 {} })
        .await;
    assert_eq!(text(client, "GET", "/list?prefix=").await.1, "long=x");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_breaks_a_rule_is_an_error_that_says_which() {
    let host = Host::builder().guest("store").start().await;
    let (status, told) = text(host.client(), "GET", "/refused").await;
    assert_eq!(status, 200);
    let expected = [
        "a key has at least 1 byte",
        "a key has at most 512 bytes; this one has 513",
        "a value has at most 262144 bytes; this one has 262145",
        "a call reads 1 to 1000 keys; this one asks for 0",
        "a call reads 1 to 1000 keys; this one asks for 1001",
        "a time to live is 1 to 315360000000 ms; this one is 0 ms",
        "a time to live is 1 to 315360000000 ms; this one is 346896000000 ms",
        "\"bytes\" is not an integer, and `add` changes integers only",
        "module \"Other\": ",
        "a run writes at most 4096 keys",
        "a run writes at most 4096 keys",
    ];
    assert_eq!(told.lines().count(), expected.len(), "{told}");
    for (told, expected) in told.lines().zip(expected) {
        assert!(told.starts_with(expected), "{told}");
    }
    host.stop().await;
}

#[test]
fn a_module_that_keeps_no_data_does_not_import_the_store() {
    let imports = |name: &str| {
        let interface = b"tidegate:channels/store";
        let file = std::fs::read(example(name)).unwrap();
        file.windows(interface.len()).any(|part| part == interface)
    };
    for name in ["chat", "hello", "jobs"] {
        assert!(!imports(name), "{name}");
    }
    assert!(imports("auction"));
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
