//! Each topology does what any layer must do. The cases run side by side, each with keys of its own.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use tokio::task::JoinSet;

use super::{
    server::{RedisCluster, RedisSentinel, RedisServer},
    subject,
};
use crate::layer::conformance::{conformance_cases, fairness_cases, presence_cases};

/// Adds each case to a set of tasks that return the names of the cases.
macro_rules! spawn_each {
    ([$set:ident, $url:expr] $($case:ident)*) => {
        $(
            let url = $url.to_owned();
            $set.spawn(async move {
                let name = stringify!($case);
                let case = async move {
                    crate::layer::conformance::$case(subject(&url, name).await).await;
                };
                (name, AssertUnwindSafe(case).catch_unwind().await.is_ok())
            });
        )*
    };
}

/// The name of a case, and whether it passed.
type Ended = (&'static str, bool);

async fn assert_all_passed(mut set: JoinSet<Ended>) {
    let mut failed = Vec::new();
    while let Some(ended) = set.join_next().await {
        let (name, passed) = ended.unwrap();
        if !passed {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_server_does_what_a_layer_must() {
    let server = RedisServer::start();
    let mut set = JoinSet::new();
    conformance_cases!(spawn_each![set, server.url()]);
    fairness_cases!(spawn_each![set, server.url()]);
    assert_all_passed(set).await;
    let mut set = JoinSet::new();
    presence_cases!(spawn_each![set, server.url()]);
    assert_all_passed(set).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn valkey_does_what_a_layer_must() {
    let Some(server) = RedisServer::valkey() else { return };
    assert!(server.run(&["INFO", "server"]).contains("valkey_version:8."));
    let mut set = JoinSet::new();
    conformance_cases!(spawn_each![set, server.url()]);
    fairness_cases!(spawn_each![set, server.url()]);
    assert_all_passed(set).await;
    let mut set = JoinSet::new();
    presence_cases!(spawn_each![set, server.url()]);
    assert_all_passed(set).await;
}

/// Fairness among modules is kept within a partition.
#[tokio::test(flavor = "multi_thread")]
async fn independent_shards_do_what_a_layer_must() {
    let servers = [RedisServer::start(), RedisServer::start()];
    let url = format!("{},{}", servers[0].url(), servers[1].url());
    let mut set = JoinSet::new();
    conformance_cases!(spawn_each![set, url]);
    assert_all_passed(set).await;
    let mut set = JoinSet::new();
    presence_cases!(spawn_each![set, url]);
    assert_all_passed(set).await;
    assert!(servers.iter().all(|server| !server.keys().is_empty()), "each holds something");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_behind_sentinel_does_what_a_layer_must() {
    let servers = RedisSentinel::start();
    let mut set = JoinSet::new();
    conformance_cases!(spawn_each![set, servers.url()]);
    fairness_cases!(spawn_each![set, servers.url()]);
    assert_all_passed(set).await;
    let mut set = JoinSet::new();
    presence_cases!(spawn_each![set, servers.url()]);
    assert_all_passed(set).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_does_what_a_layer_must_and_each_master_holds_keys() {
    let servers = RedisCluster::start();
    let mut set = JoinSet::new();
    conformance_cases!(spawn_each![set, servers.url()]);
    assert_all_passed(set).await;
    let mut set = JoinSet::new();
    presence_cases!(spawn_each![set, servers.url()]);
    assert_all_passed(set).await;
    for master in &servers.masters {
        assert!(!master.keys().is_empty(), "each master holds something");
    }
}
