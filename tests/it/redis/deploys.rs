//! Modules that processes share over Redis: a change through one of them is active in all.

use std::path::Path;

use serde_json::Value;
use tests::{Admin, Client, Process, Socket, background, example, must, run};

use super::{Site, faults::until_ready, metric};
use crate::{
    TIDEGATE,
    api::{versioned, written},
    deploys::{Crowd, DEPLOYMENT_LOSSES},
};

const SOCKETS: usize = 1_000;

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
async fn twenty_deployments_in_a_row_are_noticed_on_no_socket_of_three_nodes() {
    tests::raise_descriptor_limit();
    let site = Site::new(&[]);
    let processes = [site.interface().await, site.node().await, site.node().await];
    let api = processes[0].api();
    api.done("PUT", "modules/v", versioned("versioned", 1)).await;
    let mut sockets = Vec::new();
    for process in processes.iter().cycle().take(SOCKETS) {
        sockets.push(Socket::open(process.address, "/count").await);
    }
    let crowd = Crowd::of(sockets);
    for number in 2..=21_u32 {
        let path = "modules/v";
        match number {
            7 => {
                let (status, code, _) = api.refused("PUT", path, "no component").await;
                assert_eq!((status, &*code), (422, "not-wasm"));
            }
            12 => {
                let serving = versions(&processes[0]).await;
                api.done("PUT", path, versioned("versioned-traps", number)).await;
                until_all_have(&processes[0], &serving).await;
                assert_eq!(api.module("v").await["state"], "rolled-back");
            }
            _ => {
                let name = if number < 15 { "versioned" } else { "versioned-2" };
                let deployed = api.done("PUT", path, versioned(name, number)).await;
                let nodes = deployed["nodes"].as_array().unwrap();
                assert_eq!(nodes.len(), 3, "{deployed}");
                for node in nodes {
                    assert_eq!(node["digest"], deployed["digest"], "{deployed}");
                }
            }
        }
        crowd.hears(SOCKETS / 2).await;
    }
    api.done("POST", "modules/v/rollback", r#"{"version": 2}"#).await;
    assert_eq!(crowd.end(2).await, SOCKETS);
    let mut rollbacks = 0;
    for process in &processes {
        until_all_have(process, &[Some(2); 3]).await;
        assert_eq!(metric(process, "tidegate_events_lost_total").await, 0);
        for reason in DEPLOYMENT_LOSSES {
            let line = format!("tidegate_messages_dropped_total{{reason=\"{}\"}}", reason.label());
            assert_eq!(metric(process, &line).await, 0, "{reason:?}");
        }
        rollbacks += metric(process, r#"tidegate_rollbacks_total{module="v"}"#).await;
    }
    // Each of the two that run it may have had its five faults before it heard of the other's.
    assert!((1..=2).contains(&rollbacks), "{rollbacks}");
}

/// Deploys a version through a process, and again where it was only asked whether it does so.
async fn deploy(api: Admin, number: u32) -> (u16, Value) {
    loop {
        let reply = api.ask("PUT", "modules/v", versioned("versioned", number)).await;
        let said: Value = serde_json::from_slice(&reply.body).unwrap();
        if said.get("code").is_none_or(|code| code != "busy") {
            return (reply.status, said);
        }
    }
}

/// A process that takes two seconds to compile what it has never seen: long enough to look at it.
async fn compiling_slowly(site: &Site, compiled: &Path) -> Process {
    let compiled = compiled.to_str().unwrap();
    let variables = [("TIDEGATE_COMPILED_DIR", compiled), ("UNDER_TEST_COMPILE_DELAY_MS", "2000")];
    site.process(&[], &variables).await
}

/// Waits until a process is in the middle of a deployment.
async fn until_deploying(process: &Process) {
    must("it is being deployed", async {
        while process.api().refused("POST", "modules/v/rollback", "{}").await.1 != "busy" {}
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_deployments_through_two_nodes_at_once_one_wins_and_the_other_is_told() {
    let site = Site::new(&[]);
    let compiled = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let one = compiling_slowly(&site, compiled[0].path()).await;
    let two = compiling_slowly(&site, compiled[1].path()).await;
    one.api().done("PUT", "modules/v", versioned("versioned", 1)).await;
    until_all_have(&one, &[Some(1); 2]).await;
    // Neither is stored before both are under way.
    let deploying = [background(deploy(one.api(), 2)), background(deploy(two.api(), 3))];
    until_deploying(&one).await;
    until_deploying(&two).await;
    let mut ends = Vec::new();
    for deployment in deploying {
        ends.push(must("a deployment ends", deployment).await.unwrap());
    }
    ends.sort_by_key(|(status, _)| *status);
    let [(201, won), (409, lost)] = &ends[..] else { panic!("{ends:?}") };
    assert_eq!((&won["version"], &lost["code"]), (&2.into(), &"changed".into()), "{ends:?}");
    for process in [&one, &two] {
        until_all_have(process, &[Some(2); 2]).await;
        assert_eq!(process.api().module("v").await["versions"], 2);
        let module = nodes(process).await;
        assert!(module.iter().all(|it| it["modules"][0]["digest"] == won["digest"]), "{module:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deployed_while_redis_is_away_is_refused_with_a_status_and_nothing_is_half_made() {
    let mut site = Site::new(&[]).quick();
    site.redis.restart_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let (one, two) = (site.node().await, site.node().await);
    one.api().done("PUT", "modules/v", versioned("versioned", 1)).await;
    until_all_have(&one, &[Some(1); 2]).await;
    site.redis.kill();
    let (status, code, detail) =
        one.api().refused("PUT", "modules/v", versioned("versioned", 2)).await;
    assert_eq!((status, &*code), (503, "store-away"), "{detail}");
    assert_eq!(one.api().module("v").await["active_version"], 1);
    site.redis.restart();
    until_ready(&[&one, &two]).await;
    for process in [&one, &two] {
        let reply = Client::new(process.address).get("/version").await;
        assert_eq!((reply.status, reply.text()), (200, "1"));
        until_all_have(process, &[Some(1); 2]).await;
        assert_eq!(process.api().module("v").await["versions"], 1);
    }
    let deployed = two.api().done("PUT", "modules/v", versioned("versioned", 2)).await;
    assert_eq!(deployed["version"], 2);
    until_all_have(&one, &[Some(2); 2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_that_deploys_prints_each_node_and_its_digest() {
    let site = Site::new(&[]);
    let (one, two) = (site.node().await, site.node().await);
    let directory = tempfile::tempdir().unwrap();
    let tidegate = async |number, flags: &[&str]| {
        let file = written(directory.path(), "versioned", number);
        let (admin, token) = (one.admin.to_string(), one.api().authorization());
        let token = token.strip_prefix("Bearer ").unwrap();
        let asked = ["deploy", "v", file.to_str().unwrap(), "--admin", &admin, "--token", token];
        let output = run(TIDEGATE, directory.path(), &[&asked, flags].concat()).await;
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let said = tidegate(1, &[]).await;
    let there = nodes(&two).await;
    assert_eq!(there.len(), 2);
    for node in &there {
        let (name, digest) = (&node["node"], &node["modules"][0]["digest"]);
        let line =
            format!("  node {}: 1 ({})", name.as_str().unwrap(), &digest.as_str().unwrap()[..12]);
        assert!(said.lines().any(|it| it == line), "{said}");
    }
    let said: Value = serde_json::from_str(&tidegate(2, &["--json"]).await).unwrap();
    let told = said["nodes"].as_array().unwrap();
    assert_eq!(told.len(), 2);
    for (told, node) in told.iter().zip(&there) {
        assert_eq!((&told["node"], &told["digest"]), (&node["node"], &said["digest"]), "{said}");
        assert_eq!((&told["version"], &told["fault"]), (&2.into(), &Value::Null), "{said}");
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
    site.set("[layer]\nlease = '1s'\ntimeout = '20s'\n");
    let survivor = site.node().await;
    survivor.api().done("PUT", "modules/v", versioned("versioned", 1)).await;
    let compiled = tempfile::tempdir().unwrap();
    let doomed = compiling_slowly(&site, compiled.path()).await;
    let files = || std::fs::read_dir(compiled.path()).unwrap().count();
    let before = files();
    let deploying = background(deploy(doomed.api(), 2));
    // It has read from Redis what it needs.
    must("it compiles", async {
        while !doomed.has_children() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // It cannot store anything: when the code is there, the deployment is in the middle.
    site.redis.freeze();
    must("it is compiled", async {
        while files() == before {
            tokio::task::yield_now().await;
        }
    })
    .await;
    doomed.signal("KILL").await;
    assert_eq!(doomed.wait().await, None);
    deploying.abort();
    site.redis.thaw();
    // What it had written to its socket by then is done all the same: the state is that before or after.
    let version: u64 = site.redis.run(&["GET", "tidegate:{0}:changes"]).parse().unwrap();
    assert!((1..=2).contains(&version), "{version}");
    until_all_have(&survivor, &[Some(version)]).await;
    survivor.api().done("PUT", "modules/v", versioned("versioned", 3)).await;
    until_all_have(&survivor, &[Some(version + 1)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_redis_is_emptied_what_is_in_force_serves_on_and_says_so_until_it_is_deployed() {
    let site = Site::new(&[]).quick();
    let one = site.node().await;
    one.api().done("PUT", "modules/v", versioned("versioned", 1)).await;
    one.api().done("PUT", "modules/hello", std::fs::read(example("hello")).unwrap()).await;
    let two = site.node().await;
    until_all_have(&one, &[Some(1); 2]).await;
    site.redis.run(&["FLUSHALL"]);
    for process in [&one, &two] {
        must("it says so", async { while process.api().module("v").await["state"] != "failed" {} })
            .await;
        // Its nodes have to register again, too.
        until_ready(&[process]).await;
        assert_eq!(Client::new(process.address).get("/version").await.status, 200);
    }
    one.api().done("PUT", "modules/v", versioned("versioned", 2)).await;
    until_all_have(&two, &[Some(2); 2]).await;
    for process in [&one, &two] {
        assert_ne!(process.api().module("v").await["state"], "failed");
        // That one module was deployed again does not make others deleted ones.
        assert_eq!(process.api().module("hello").await["state"], "failed");
        assert_eq!(Client::new(process.address).get("/hello/x").await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_description_that_was_damaged_in_redis_is_healed_by_a_deployment() {
    let site = Site::new(&[]);
    let (one, two) = (site.node().await, site.node().await);
    one.api().done("PUT", "modules/v", versioned("versioned", 1)).await;
    for (damaged, version) in [("rubbish", 2), ("[]", 3), ("7", 4)] {
        site.redis.run(&["HSET", "tidegate:{0}:modules", "v", damaged]);
        site.redis.run(&["INCR", "tidegate:{0}:changes"]);
        must("it says so", async { while two.api().module("v").await["state"] != "failed" {} })
            .await;
        assert_eq!(Client::new(two.address).get("/version").await.status, 200);
        let number = u32::try_from(version).unwrap();
        one.api().done("PUT", "modules/v", versioned("versioned", number)).await;
        until_all_have(&two, &[Some(version); 2]).await;
        assert_ne!(two.api().module("v").await["state"], "failed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_through_a_process_that_has_not_heard_of_the_last_one_is_no_conflict() {
    let site = Site::new(&[]);
    let one = site.node().await;
    let api = one.api();
    api.done("PUT", "modules/v", versioned("versioned", 1)).await;
    api.done("PUT", "modules/v", versioned("versioned", 2)).await;
    // As another process does that activates version 1 again, but nobody is told.
    let key = "tidegate:{0}:modules";
    let mut manifest: Value = serde_json::from_str(&site.redis.run(&["HGET", key, "v"])).unwrap();
    for (field, value) in [("revision", 3), ("activation", 3), ("active", 1), ("previous", 2)] {
        manifest[field] = value.into();
    }
    site.redis.run(&["HSET", key, "v", &manifest.to_string()]);
    let deployed = api.done("PUT", "modules/v", versioned("versioned", 3)).await;
    assert_eq!((&deployed["version"], &deployed["previous"]), (&3.into(), &1.into()), "{deployed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_module_that_was_deleted_is_left_or_comes_back() {
    let site = Site::new(&[]);
    let (one, two) = (site.node().await, site.node().await);
    for (process, round) in [(&one, 1), (&two, 2), (&one, 3)] {
        process.api().done("PUT", "modules/v", versioned("versioned", round)).await;
        until_all_have(&one, &[Some(1); 2]).await;
        process.api().done("DELETE", "modules/v", "").await;
        until_all_have(&one, &[None; 2]).await;
        let left = site.redis.keys();
        let has = |part: &str| left.iter().any(|key| key.ends_with(part));
        assert!(!has(":modules") && !has(":files:v"), "{left:?}");
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
