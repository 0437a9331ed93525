//! Modules that processes share over Redis: a change through one of them is in force in all.

use std::sync::{Arc, atomic::Ordering};

use serde_json::Value;
use tests::{Client, Process, Socket, background, must};

use super::{Site, metric};
use crate::{
    api::{versioned, written},
    deploys::{Load, speak},
};

const SOCKETS: usize = 300;
/// Sockets that one task speaks for, in turn.
const SHARE: usize = 30;

async fn nodes(process: &Process) -> Vec<Value> {
    let list = process.api().done("GET", "nodes", "").await;
    list.get("nodes").unwrap().as_array().unwrap().clone()
}

/// The version of `v` on each node.
async fn versions(process: &Process) -> Vec<Option<u64>> {
    let version = |node: &Value| {
        let modules = node["modules"].as_array().unwrap();
        modules.iter().find(|it| it["name"] == "v").and_then(|it| it["version"].as_u64())
    };
    nodes(process).await.iter().map(version).collect()
}

async fn until_all_have(process: &Process, expected: &[Option<u64>]) {
    must("all nodes have the version", async { while versions(process).await != expected {} })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_deployments_in_a_row_are_noticed_on_no_socket_of_three_nodes() {
    tests::raise_descriptor_limit();
    let site = Site::new(&[]);
    let (interface, one, two) =
        (site.interface().await, site.worker(&[]).await, site.worker(&[]).await);
    let api = interface.api();
    api.done("PUT", "modules/v", versioned("versioned", 1)).await;
    let load = Arc::new(Load::default());
    let mut speakers = Vec::new();
    for _ in 0..SOCKETS / SHARE {
        let mut sockets = Vec::new();
        for _ in 0..SHARE {
            sockets.push(Socket::open(interface.address, "/count").await);
        }
        speakers.push(background(speak(sockets, Arc::clone(&load))));
    }
    for number in 2..=11_u32 {
        let before = load.answered.load(Ordering::Relaxed);
        let path = "modules/v";
        match number {
            5 => {
                let (status, code, _) = api.refused("PUT", path, "no component").await;
                assert_eq!((status, &*code), (422, "not-wasm"));
            }
            8 => {
                let deployed = api.done("PUT", path, versioned("versioned-2", number)).await;
                assert_eq!(deployed["nodes"].as_array().unwrap().len(), 3, "{deployed}");
            }
            _ => {
                let deployed = api.done("PUT", path, versioned("versioned", number)).await;
                for node in deployed["nodes"].as_array().unwrap() {
                    assert_eq!(node["digest"], deployed["digest"], "{deployed}");
                }
            }
        }
        must("load on each version", async {
            while load.answered.load(Ordering::Relaxed) < before + SOCKETS / 2 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    api.done("POST", "modules/v/rollback", r#"{"version": 2}"#).await;
    load.stop.store(true, Ordering::Relaxed);
    let mut open = 0;
    for speaker in speakers {
        for mut socket in must("the last answers", speaker).await.unwrap() {
            socket.send("9").await;
            let answer = socket.text().await;
            assert!(answer.starts_with("2:9:"), "{answer}");
            open += 1;
        }
    }
    assert_eq!(open, SOCKETS);
    for process in [&interface, &one, &two] {
        assert_eq!(versions(process).await, [Some(2); 3]);
        assert_eq!(metric(process, "tidegate_events_lost_total").await, 0);
        for reason in ["expired", "full", "stale", "connection_gone", "unread"] {
            let line = format!("tidegate_messages_dropped_total{{reason=\"{reason}\"}}");
            assert_eq!(metric(process, &line).await, 0, "{reason}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_starts_later_has_the_modules_and_one_that_ended_is_not_listed() {
    let site = Site::new(&[]);
    let first = site.node().await;
    first.api().done("PUT", "modules/v", versioned("versioned", 1)).await;
    let second = site.node().await;
    assert_eq!(Client::new(second.address).get("/version").await.status, 200);
    until_all_have(&first, &[Some(1); 2]).await;
    second.signal("TERM").await;
    assert_eq!(second.wait().await, Some(0));
    until_all_have(&first, &[Some(1)]).await;
    let third = site.node().await;
    third.api().done("DELETE", "modules/v", "").await;
    until_all_have(&first, &[None; 2]).await;
    assert_eq!(Client::new(first.address).get("/version").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_start_together_with_one_file_make_one_version_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let site = Site::new(&[("v", written(directory.path(), "versioned", 1))]);
    let start = || async { site.node().await };
    let (one, two, three) = tokio::join!(start(), start(), start());
    until_all_have(&one, &[Some(1); 3]).await;
    for process in [&one, &two, &three] {
        assert_eq!(process.api().module("v").await["versions"], 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_fails_on_one_node_is_rolled_back_on_all() {
    let site = Site::new(&[]);
    let (interface, worker) = (site.interface().await, site.worker(&[]).await);
    let api = interface.api();
    api.done("PUT", "modules/v", versioned("versioned", 1)).await;
    let mut socket = Socket::open(interface.address, "/count").await;
    api.done("PUT", "modules/v", versioned("versioned-traps", 2)).await;
    for number in 1..=10 {
        socket.send(number.to_string()).await;
        assert_eq!(socket.text().await, format!("1:{number}:{number}"));
    }
    until_all_have(&worker, &[Some(1); 2]).await;
    assert_eq!(api.module("v").await["state"], "rolled-back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_whose_process_is_killed_leaves_the_last_good_state() {
    let site = Site::new(&[]);
    let survivor = site.node().await;
    survivor.api().done("PUT", "modules/v", versioned("versioned", 1)).await;
    let doomed = site.node().await;
    // It cannot store anything: the deployment is in the middle.
    site.redis.freeze();
    let api = doomed.api();
    let deploying =
        background(async move { api.ask("PUT", "modules/v", versioned("versioned", 2)).await });
    must("it is being deployed", async {
        while doomed.api().refused("POST", "modules/v/rollback", "{}").await.1 != "busy" {}
    })
    .await;
    doomed.signal("KILL").await;
    assert_eq!(doomed.wait().await, None);
    deploying.abort();
    site.redis.thaw();
    until_all_have(&survivor, &[Some(1)]).await;
    survivor.api().done("PUT", "modules/v", versioned("versioned", 3)).await;
    until_all_have(&survivor, &[Some(2)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_redis_is_emptied_what_is_in_force_serves_on_and_says_so_until_it_is_deployed() {
    let site = Site::new(&[]);
    let one = site.node().await;
    one.api().done("PUT", "modules/v", versioned("versioned", 1)).await;
    let two = site.node().await;
    until_all_have(&one, &[Some(1); 2]).await;
    site.redis.run(&["FLUSHALL"]);
    for process in [&one, &two] {
        must("it says so", async { while process.api().module("v").await["state"] != "failed" {} })
            .await;
        assert_eq!(Client::new(process.address).get("/version").await.status, 200);
    }
    one.api().done("PUT", "modules/v", versioned("versioned", 2)).await;
    until_all_have(&two, &[Some(2); 2]).await;
    for process in [&one, &two] {
        assert_ne!(process.api().module("v").await["state"], "failed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_damaged_in_redis_is_refused_and_the_last_good_version_serves() {
    let site = Site::new(&[]);
    let one = site.node().await;
    let first = one.api().done("PUT", "modules/v", versioned("versioned", 1)).await;
    let digest = first["digest"].as_str().unwrap();
    one.api().done("PUT", "modules/v", versioned("versioned", 2)).await;
    site.redis.run(&["HSET", "tidegate:{0}:files:v", digest, "rubbish"]);
    let refused = one.api().refused("POST", "modules/v/rollback", "{}").await;
    assert!(refused.2.contains("damaged"), "{refused:?}");
    assert_eq!(versions(&one).await, [Some(2)]);
}
