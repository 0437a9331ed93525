//! A master goes, and another server takes its place.

use tests::{Client, RedisCluster, RedisSentinel, RedisServer, example, guest, must};

use super::{
    Site,
    clients::{Load, Member, assert_all_hear_in_the_end},
    metric, readiness,
};

/// All is well before and after `fail`, but for what was in flight.
async fn assert_survives<R>(mut site: Site<R>, fail: impl FnOnce(&mut R)) {
    let (interface, worker) = (site.interface().await, site.worker(&[]).await);
    let members = [
        Member::join(interface.address, "ann").await,
        Member::join(interface.address, "bob").await,
    ];
    let load = Load::start(interface.address, 4).await;
    fail(&mut site.redis);
    // Accepted when some of it is away still, perhaps.
    let late = Member::join_in_the_end(interface.address, "late").await;
    let codes = load.stop().await;
    assert!(codes.iter().all(|code| [1011, 1012, 1013].contains(code)), "{codes:?}");
    // Redis itself takes its time to choose.
    for process in [&interface, &worker] {
        must("another server has taken over", async { while readiness(process).await.0 != 200 {} })
            .await;
    }
    // Nobody is deaf: who may have missed something was closed.
    let [ann, bob] = members;
    assert_all_hear_in_the_end(&mut [ann, bob, late], interface.address, "back").await;
    assert_eq!(Client::new(interface.address).get("/hello/x").await.status, 200);
    // Each loss that a client saw is counted. Others may be: of handshakes that are tried again, and of the ends of
    // connections.
    let seen = codes.iter().filter(|code| **code == 1011).count() as u64;
    let counted = metric(&interface, "tidegate_events_lost_total").await;
    assert!(counted >= seen, "{counted} of {seen} losses are counted");
}

fn modules() -> [(&'static str, std::path::PathBuf); 3] {
    [("chat", example("chat")), ("counter", guest("counter")), ("hello", example("hello"))]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_behind_sentinel_is_killed() {
    let redis = RedisSentinel::start();
    let url = redis.url();
    let site = Site::over(redis, url, &modules()).quick();
    assert_survives(site, |redis| redis.master.kill()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_of_a_cluster_is_killed() {
    let redis = RedisCluster::with_replicas(1);
    let url = redis.url();
    let site = Site::over(redis, url, &modules()).quick();
    assert_survives(site, |redis| redis.masters[0].kill()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_shards_is_killed_and_comes_back_empty() {
    let shards = [RedisServer::start(), RedisServer::start()];
    let url = format!("{},{}", shards[0].url(), shards[1].url());
    let site = Site::over(shards, url, &modules()).quick();
    assert_survives(site, |[_, second]| second.restart()).await;
}
