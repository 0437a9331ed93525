//! Deploying, activating, rolling back, deleting, settings: what is answered, and what is active.

use serde_json::json;
use tests::{Host, example, guest};

use super::versioned;

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_live_when_its_deployment_is_answered() {
    let host = Host::builder().start().await;
    let api = host.admin();
    assert_eq!(api.done("GET", "modules", "").await, json!({"modules": []}));
    let reply = api.ask("PUT", "modules/hello", std::fs::read(example("hello")).unwrap()).await;
    assert_eq!(reply.status, 201);
    assert_eq!(host.get("/hello/ann").await.text(), "Hello, ann!\n");
    let deployed: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((&deployed["version"], &deployed["changed"]), (&json!(1), &json!(true)));
    assert_eq!(deployed["previous"], json!(null));
    assert_eq!(deployed["nodes"][0]["digest"], deployed["digest"]);
    let route = &deployed["routes"][0];
    assert_eq!((&route["trigger"], &route["method"]), (&json!("http"), &json!("GET")));
    let again = api.ask("PUT", "modules/hello", std::fs::read(example("hello")).unwrap()).await;
    assert_eq!(again.status, 200);
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&again.body).unwrap()["changed"], false);
    let list = api.done("GET", "modules", "").await;
    let module = &list["modules"][0];
    assert_eq!(module["deployed_by"], "tester");
    assert_eq!((&module["state"], &module["source"]), (&json!("active"), &json!("registry")));
    assert_eq!(module["versions"], 1);
    let routes = api.done("GET", "routes", "").await;
    assert_eq!(routes["routes"], deployed["routes"]);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_numbered_activated_rolled_back_and_deleted() {
    let host = Host::builder().start().await;
    let api = host.admin();
    let version = async || host.get("/version").await.text().to_owned();
    for number in 1..=3 {
        let path = "modules/v";
        let deployed = api.done("PUT", path, versioned("versioned", number)).await;
        assert_eq!(deployed["version"], number);
        assert_eq!(version().await, number.to_string());
    }
    let back = api.done("POST", "modules/v/rollback", "{}").await;
    assert_eq!((&back["version"], &back["previous"]), (&json!(2), &json!(3)));
    assert_eq!(version().await, "2");
    api.done("POST", "modules/v/rollback", "{}").await;
    assert_eq!(version().await, "3", "the one that was active before");
    let module = api.module("v").await;
    // Times of one form are in the order of their texts.
    let deployed = |number: usize| module["history"][number - 1]["deployed_at"].as_str().unwrap();
    let since = module["active_since"].as_str().unwrap().to_owned();
    assert!(deployed(3) < &*since, "it was active, and others were meanwhile: {module}");
    api.done("PUT", "modules/v/settings", r#"{"reuse": 3}"#).await;
    assert_eq!(api.module("v").await["active_since"], since, "other settings are no other version");
    api.done("POST", "modules/v/rollback", r#"{"version": 1}"#).await;
    assert_eq!(version().await, "1");
    api.done("POST", "modules/v/activate", r#"{"version": 2}"#).await;
    assert_eq!(version().await, "2");
    let (status, code, _) = api.refused("DELETE", "modules/v/versions/2", "").await;
    assert_eq!((status, &*code), (409, "active"));
    assert_eq!(api.ask("DELETE", "modules/v/versions/1", "").await.status, 204);
    let (status, code, text) = api.refused("POST", "modules/v/rollback", r#"{"version": 1}"#).await;
    assert_eq!((status, &*code), (410, "version-deleted"));
    assert!(text.contains("deploy its file again"), "{text}");
    let history = api.module("v").await["history"].clone();
    let numbers: Vec<_> = history.as_array().unwrap().iter().map(|it| &it["version"]).collect();
    assert_eq!(numbers, [2, 3]);
    assert_eq!(api.ask("DELETE", "modules/v", "").await.status, 204);
    assert_eq!(host.get("/version").await.status, 404);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_20_versions_are_kept_and_the_files_of_others_go() {
    let directory = tempfile::tempdir().unwrap();
    let host = Host::builder().data_dir(directory.path()).start().await;
    let api = host.admin();
    for number in 1..=23 {
        api.done("PUT", "modules/v", versioned("versioned", number)).await;
    }
    let module = api.module("v").await;
    assert_eq!((&module["versions"], &module["history"][0]["version"]), (&json!(20), &json!(4)));
    let (status, code, _) = api.refused("POST", "modules/v/rollback", r#"{"version":3}"#).await;
    assert_eq!((status, &*code), (410, "version-deleted"));
    let files = std::fs::read_dir(directory.path().join("modules/v")).unwrap();
    let wasm = files.filter(|file| {
        let path = file.as_ref().unwrap().path();
        path.extension().is_some_and(|extension| extension == "wasm")
    });
    // One more for the description before the last change.
    assert_eq!(wasm.count(), 21);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_in_force_at_once_and_stand_as_they_were_written() {
    let host = Host::builder().start().await;
    let api = host.admin();
    api.deploy("spin", &guest("spin")).await;
    let written = json!({"limits": {"fuel": 1_000_000, "memory": 33_554_432}, "reuse": 2});
    let path = "modules/spin/settings";
    assert_eq!(api.done("PUT", path, written.to_string()).await, written);
    assert_eq!(api.done("GET", path, "").await, written);
    let reply = host.get("/run").await;
    let record = host.record_of(reply.text());
    let fault = record.fault().unwrap().to_string();
    assert!(fault.contains("of 1000000 fuel"), "{fault}");
    assert_eq!(record.version, 1, "other settings are no other version");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_with_a_version_is_warned_of() {
    let host = Host::builder().guest("counter").start().await;
    let deployed = host.admin().deploy("counter", &guest("counter-3")).await;
    let warnings = deployed["warnings"].as_array().unwrap();
    assert!(warnings[0].as_str().unwrap().contains("consumer version is gone"), "{warnings:?}");
    host.stop().await;
}
