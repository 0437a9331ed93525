//! Each topology does what any store must do. The cases run side by side, each with keys of its own.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use tokio::task::JoinSet;

use super::{
    server::{RedisCluster, RedisSentinel, RedisServer},
    subject,
};
use crate::capability::store::conformance::conformance_cases;

/// Adds each case to a set of tasks that return the names of the cases.
macro_rules! spawn_each {
    ([$set:ident, $url:expr] $($case:ident)*) => {
        $(
            let url = $url.to_owned();
            $set.spawn(async move {
                let name = stringify!($case);
                let case = async move {
                    crate::capability::store::conformance::$case(subject(&url, name).await).await;
                };
                (name, AssertUnwindSafe(case).catch_unwind().await.is_ok())
            });
        )*
    };
}

async fn assert_all_pass(url: String) {
    let (mut set, mut failed) = (JoinSet::new(), Vec::new());
    conformance_cases!(spawn_each![set, url]);
    while let Some(ended) = set.join_next().await {
        let (name, passed) = ended.unwrap();
        if !passed {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_server_does_what_a_store_must() {
    let server = RedisServer::start();
    assert_all_pass(server.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn valkey_does_what_a_store_must() {
    let Some(server) = RedisServer::valkey() else { return };
    assert_all_pass(server.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn independent_shards_do_what_a_store_must() {
    let servers = [RedisServer::start(), RedisServer::start()];
    assert_all_pass(format!("{},{}", servers[0].url(), servers[1].url())).await;
    assert!(servers.iter().all(|server| !server.keys().is_empty()), "each holds something");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_behind_sentinel_does_what_a_store_must() {
    let servers = RedisSentinel::start();
    assert_all_pass(servers.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_does_what_a_store_must() {
    let servers = RedisCluster::start();
    assert_all_pass(servers.url()).await;
}
