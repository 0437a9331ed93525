//! What is active after a restart, whatever the process before died of.

use std::{fs, path::Path};

use serde_json::json;
use tests::{Client, Host, Process, background, must};

use super::{versioned, written};
use crate::TIDEGATE;

async fn serve(data: &Path, more: &[&str]) -> Process {
    let data = data.to_str().unwrap();
    Process::serve(TIDEGATE, &[&["--data-dir", data][..], more].concat()).await
}

async fn version(host: &Process) -> String {
    Client::new(host.address).get("/version").await.text().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_versions_settings_and_who_deployed_them() {
    let directory = tempfile::tempdir().unwrap();
    let host = Host::builder().data_dir(directory.path()).start().await;
    let api = host.admin();
    for number in 1..=2 {
        api.done("PUT", "modules/v", versioned("versioned", number)).await;
    }
    api.done("POST", "modules/v/rollback", "{}").await;
    api.done("PUT", "modules/v/settings", r#"{"reuse": 7}"#).await;
    let before = api.module("v").await;
    host.stop().await;
    let host = Host::builder().data_dir(directory.path()).start().await;
    assert_eq!(host.admin().module("v").await, before);
    assert_eq!(host.get("/version").await.text(), "1");
    assert_eq!(host.version("v").settings.reuse, 7);
    let next = host.admin().done("PUT", "modules/v", versioned("versioned", 3)).await;
    assert_eq!(next["version"], 3);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_of_a_flag_is_a_version_like_any_other() {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) =
        (written(directory.path(), "versioned", 1), written(directory.path(), "versioned", 2));
    let data = directory.path().join("data");
    let start = async |file: &Path| Host::builder().data_dir(&data).module("v", file).start().await;
    let host = start(&one).await;
    assert_eq!(host.admin().module("v").await["source"], "flag");
    host.stop().await;
    let host = start(&one).await;
    assert_eq!(host.admin().module("v").await["versions"], 1, "the same file changes nothing");
    host.stop().await;
    let host = start(&two).await;
    let module = host.admin().module("v").await;
    assert_eq!((&module["active_version"], &module["versions"]), (&json!(2), &json!(2)));
    assert_eq!(host.get("/version").await.text(), "2");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_module_serves_its_last_good_version_and_leaves_the_others_alone() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let host = Host::builder().data_dir(data).start().await;
    let api = host.admin();
    api.deploy("hello", &tests::example("hello")).await;
    for number in 1..=2 {
        api.done("PUT", "modules/v", versioned("versioned", number)).await;
    }
    let digest = api.module("v").await["digest"].as_str().unwrap().to_owned();
    host.stop().await;
    fs::write(data.join(format!("modules/v/{digest}.wasm")), "other code").unwrap();
    fs::write(data.join("modules/hello/module.json"), "{").unwrap();
    let host = Host::builder().data_dir(data).start().await;
    let module = host.admin().module("v").await;
    assert_eq!((&module["state"], &module["active_version"]), (&json!("failed"), &json!(1)));
    let fault = module["fault"].as_str().unwrap();
    assert!(fault.contains("version 2 cannot be served") && fault.contains("damaged"), "{fault}");
    assert_eq!(host.get("/version").await.text(), "1");
    let hello = host.admin().module("hello").await;
    assert_eq!((&hello["state"], &hello["active_version"]), (&json!("failed"), &json!(null)));
    assert_eq!(host.get("/hello/ann").await.status, 404);
    let healed = host.admin().done("PUT", "modules/v", versioned("versioned", 2)).await;
    assert_eq!(healed["version"], 3);
    host.prove("v", "/version").await;
    assert_eq!(host.admin().module("v").await["state"], "active");
    host.admin().deploy("hello", &tests::example("hello")).await;
    assert_eq!(host.get("/hello/ann").await.status, 200);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_while_it_deploys_comes_back_with_a_whole_version() {
    let directory = tempfile::tempdir().unwrap();
    let mut host = serve(directory.path(), &[]).await;
    let mut last = 1;
    host.api().done("PUT", "modules/v", versioned("versioned", last)).await;
    for round in 0..6 {
        let api = host.api();
        let next = last + 1;
        let wasm = versioned("versioned", next);
        let deploy = background(async move {
            let authorization = api.authorization();
            let headers = [("authorization", &*authorization)];
            api.client().request("PUT", "/api/v1/modules/v", &headers, wasm).await
        });
        // A while that differs from round to round: as long as so many requests take.
        for _ in 0..round * 4 {
            version(&host).await;
        }
        host.signal("KILL").await;
        drop(deploy.await);
        must("the end", host.wait()).await;
        host = serve(directory.path(), &[]).await;
        let module = host.api().module("v").await;
        assert_eq!(module["fault"], json!(null), "{module}");
        let now: u32 = version(&host).await.parse().unwrap();
        assert!(now == last || now == next, "round {round}: {now}");
        last = now;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_cache_of_compiled_code_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let compiled = data.join("compiled");
    let start = async || {
        let setting = format!("compiled_dir = {:?}", compiled.display().to_string());
        Host::builder().set(&setting).compiler(TIDEGATE).data_dir(data).start().await
    };
    let files = || fs::read_dir(&compiled).unwrap().map(|it| it.unwrap().path());
    let host = start().await;
    host.admin().done("PUT", "modules/v", versioned("versioned", 1)).await;
    host.stop().await;
    let path = files().next().unwrap();
    let whole = fs::read(&path).unwrap();
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(&path, damaged).unwrap();
    let host = start().await;
    assert_eq!(host.get("/version").await.text(), "1");
    assert_eq!(fs::read(&path).unwrap(), whole);
    host.stop().await;
}
