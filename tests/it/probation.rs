//! A new version that fails: what it fails at is done by the version before, which comes back.

use tests::{Host, Socket, guest, must};

use crate::api::versioned;

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_traps_is_rolled_back_and_no_client_notices() {
    let host = Host::builder().start().await;
    let api = host.admin();
    api.done("PUT", "modules/v", versioned("versioned", 1)).await;
    let mut socket = host.websocket("/count").await;
    api.done("PUT", "modules/v", versioned("versioned-traps", 2)).await;
    assert_eq!(api.module("v").await["state"], "probation");
    let failing = host.version("v");
    for count in 1..=8 {
        socket.send("a").await;
        assert_eq!(socket.text().await, format!("1:a:{count}"));
    }
    assert_eq!(host.invocations("v", "trap"), 5);
    let records = api.done("GET", "records?limit=1000", "").await;
    let records = records["records"].as_array().unwrap();
    let instead = |it: &&serde_json::Value| it["in_place_of"] == 2;
    let instead: Vec<_> = records.iter().filter(instead).collect();
    assert_eq!(instead.len(), 5, "the answers in the place of a version that failed");
    assert!(instead.iter().all(|it| (&it["version"], &it["outcome"]) == (&1.into(), &"ok".into())));
    assert_eq!(host.version("v").number, 1);
    // What began on it before that and fails after it has somebody, too.
    assert_eq!(failing.probation.fallback().unwrap().number, 1);
    drop(failing);
    host.until("the store knows", |host| {
        let module = &host.app().deployments().list()[0];
        module.standing == tidegate::registry::Standing::RolledBack
    })
    .await;
    let module = api.module("v").await;
    assert_eq!(module["state"], "rolled-back");
    let fault = module["fault"].as_str().unwrap();
    assert!(fault.contains("version 2") && fault.contains("panicked at "), "{fault}");
    let metrics = api.client().get("/metrics").await;
    assert!(metrics.text().contains("tidegate_rollbacks_total{module=\"v\"} 1"));
    let (status, code, _) = api.refused("POST", "modules/v/rollback", "{}").await;
    assert_eq!((status, &*code), (409, "nothing-before"), "the one before is the one that failed");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_not_sent_again_by_the_version_before() {
    // It announces that it runs before it panics.
    let host = Host::builder().guest("panic").start().await;
    host.admin().done("PUT", "modules/panic", other("panic")).await;
    let mut watch = host.websocket("/watch").await;
    assert_eq!(host.get("/run").await.status, 500);
    assert_eq!(watch.text().await, "running");
    drop(watch);
    assert_eq!(host.invocations("panic", "trap"), 1);
    host.stop().await;
}

/// A file that differs from the guest in a section that says nothing.
fn other(name: &str) -> Vec<u8> {
    let mut file = std::fs::read(guest(name)).unwrap();
    file.extend([0, 2, 1, b'x']);
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_is_not_written_again_by_the_version_before() {
    let directory = tempfile::tempdir().unwrap();
    // It writes a file, sends twice, and fails at the second message.
    let limits = "[modules.granted.limits]\noutbox_messages = 1\n[modules.granted.grants]\n\
                  channels = ['others.work']\ngroups = ['others.*']";
    for (grant, runs) in [("read", 2), ("write", 1)] {
        let path = directory.path();
        let granted = format!("{limits}\n{grant} = {{ '/out' = {path:?} }}");
        let host = Host::builder().guest("granted").with(&granted).start().await;
        host.admin().done("PUT", "modules/granted", other("granted")).await;
        assert_eq!(host.get("/use").await.status, 500);
        assert_eq!(host.invocations("granted", "outbox_messages"), runs, "{grant}");
        assert_eq!(path.join("note").exists(), grant == "write");
        host.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_before_comes_back_unless_it_has_failed_itself() {
    for (second, back) in [("versioned", 2), ("versioned-traps", 1)] {
        let host = Host::builder().start().await;
        let api = host.admin();
        for (name, number) in [("versioned", 1), (second, 2), ("versioned-traps", 3)] {
            api.done("PUT", "modules/v", versioned(name, number)).await;
            // Each has had an event, and none has proved itself.
            assert_eq!(host.get("/version").await.status, 200);
        }
        for _ in 0..5 {
            assert_eq!(host.get("/version").await.text(), back.to_string());
        }
        host.until("it is rolled back", |host| host.version("v").number == back).await;
        let state = async || api.module("v").await["state"].as_str().unwrap().to_owned();
        must("the store knows", async { while state().await != "rolled-back" {} }).await;
        // What comes back has yet to prove itself, if it had not.
        assert_eq!(host.version("v").probation.is_on(), back == 2);
        host.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_settings_begin_no_probation_anew() {
    let host = Host::builder().start().await;
    let api = host.admin();
    api.done("PUT", "modules/v", versioned("versioned", 1)).await;
    api.done("PUT", "modules/v", versioned("versioned-traps", 2)).await;
    for reuse in 1..=4 {
        assert_eq!(host.get("/version").await.text(), "1");
        let settings = format!(r#"{{"reuse": {reuse}}}"#);
        api.done("PUT", "modules/v/settings", settings).await;
    }
    assert_eq!(host.get("/version").await.text(), "1");
    host.until("it is rolled back", |host| host.version("v").number == 1).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_100_events_a_version_has_proved_itself_also_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let host = Host::builder().data_dir(directory.path()).start().await;
    for number in 1..=2 {
        host.admin().done("PUT", "modules/v", versioned("versioned", number)).await;
    }
    host.stop().await;
    let host = Host::builder().data_dir(directory.path()).start().await;
    assert!(host.version("v").probation.is_on(), "a restart proves nothing");
    for _ in 0..100 {
        assert_eq!(host.get("/version").await.text(), "2");
    }
    assert!(!host.version("v").probation.is_on());
    host.stop().await;
    let host = Host::builder().data_dir(directory.path()).start().await;
    assert!(!host.version("v").probation.is_on());
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_deployed_without_probation_fails_by_itself() {
    let host = Host::builder().start().await;
    let api = host.admin();
    api.done("PUT", "modules/v?probation=off", versioned("versioned", 1)).await;
    api.done("PUT", "modules/v", versioned("versioned-traps", 2)).await;
    // The same file without probation is another version: this one would stay on it.
    let deployed =
        api.done("PUT", "modules/v?probation=off", versioned("versioned-traps", 2)).await;
    assert_eq!((&deployed["version"], &deployed["changed"]), (&3.into(), &true.into()));
    assert_eq!(api.module("v").await["state"], "active");
    for _ in 0..6 {
        let denied = Socket::try_open(host.address(), "/count", &[]).await.unwrap_err();
        assert_eq!(denied.status().as_u16(), 500);
    }
    assert_eq!(host.version("v").number, 3);
    let (status, code, _) =
        api.refused("PUT", "modules/v?probation=maybe", versioned("versioned", 4)).await;
    assert_eq!((status, &*code), (400, "query"));
    host.stop().await;
}
