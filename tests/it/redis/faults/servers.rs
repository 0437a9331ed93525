//! Redis itself fails, is changed, or holds what it should not.

use tests::{Client, Process, RedisServer, Socket, example, guest, must};

use super::{
    Site, assert_ends_clean,
    clients::{Load, Member, assert_all_hear, assert_all_hear_in_the_end},
    is_red_within_two_probes, metric, readiness, until_ready, until_red,
};
use crate::TIDEGATE;

fn site() -> Site {
    let modules =
        [("chat", example("chat")), ("counter", guest("counter")), ("hello", example("hello"))];
    Site::new(&modules).quick()
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_killed_under_load_and_comes_back_empty() {
    let mut site = site();
    let (interface, worker) = (site.interface().await, site.worker(&[]).await);
    let mut members = [
        Member::join(interface.address, "ann").await,
        Member::join(interface.address, "bob").await,
    ];
    let load = Load::start(interface.address, 8).await;
    site.redis.restart();
    until_ready(&[&interface, &worker]).await;
    for member in &mut members {
        member.is_closed_and_comes_back(interface.address).await;
    }
    assert_all_hear(&mut members, "back").await;
    assert_eq!(Client::new(interface.address).get("/hello/x").await.status, 200);
    let codes = load.stop().await;
    assert!(codes.iter().all(|code| [1011, 1012, 1013].contains(code)), "{codes:?}");
    let lost = codes.iter().filter(|code| **code == 1011).count();
    assert_eq!(metric(&interface, "tidegate_events_lost_total").await, lost as u64);
    drop(members);
    assert_ends_clean(&[&site.redis], vec![interface, worker]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_answers_nothing_for_three_leases() {
    let site = site();
    let (interface, worker) = (site.interface().await, site.worker(&[]).await);
    let mut members = [
        Member::join(interface.address, "ann").await,
        Member::join(interface.address, "bob").await,
    ];
    let meanwhile = async {
        let why = until_red(&interface).await;
        assert!(why.contains("not available"), "{why}");
        assert_eq!(Client::new(interface.address).get("/hello/x").await.status, 503);
    };
    tokio::join!(site.redis.stall("3.2"), meanwhile);
    until_ready(&[&interface, &worker]).await;
    for member in &mut members {
        member.is_closed_and_comes_back(interface.address).await;
    }
    assert_all_hear(&mut members, "back").await;
    assert_eq!(Client::new(interface.address).get("/hello/x").await.status, 200);
    assert_eq!(metric(&interface, "tidegate_events_lost_total").await, 0);
    drop(members);
    assert_ends_clean(&[&site.redis], vec![interface, worker]).await;
}

/// When the lease of the only node ends.
fn lease(redis: &RedisServer) -> f64 {
    let node = redis.run(&["--raw", "ZRANGE", "tidegate:{0}:nodes", "0", "0"]);
    redis.run(&["--raw", "ZSCORE", "tidegate:{0}:nodes", &node]).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_has_no_memory_left() {
    let site = site();
    let (interface, worker) = (site.interface().await, site.worker(&[]).await);
    let mut members = [
        Member::join(interface.address, "ann").await,
        Member::join(interface.address, "bob").await,
    ];
    let mut socket = Socket::open(interface.address, "/count").await;
    site.redis.run(&["CONFIG", "SET", "maxmemory", "1"]);
    assert!(is_red_within_two_probes(&interface).await);
    let why = until_red(&interface).await;
    assert!(why.contains("OOM"), "{why}");
    assert_eq!(Client::new(interface.address).get("/hello/x").await.status, 503);
    socket.send("x").await;
    assert_eq!(socket.closed().await.0, 1013);
    let file = std::fs::read(example("hello")).unwrap();
    let refused = worker.api().refused("PUT", "modules/second", file).await;
    assert_eq!((refused.0, &*refused.1), (507, "memory"), "{}", refused.2);
    // Leases go on for as long as it takes: what is there is not lost.
    let (before, three_leases) = (lease(&site.redis), 3_000_000.0);
    must("leases are renewed", async { while lease(&site.redis) < before + three_leases {} }).await;
    site.redis.run(&["CONFIG", "SET", "maxmemory", "0"]);
    until_ready(&[&interface, &worker]).await;
    assert_all_hear(&mut members, "back").await;
    assert_eq!(Client::new(interface.address).get("/hello/x").await.status, 200);
    assert_eq!(metric(&interface, "tidegate_events_lost_total").await, 0);
    drop((members, socket));
    assert_ends_clean(&[&site.redis], vec![interface, worker]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_refuses_writes_and_the_log_is_not_flooded() {
    let redis = RedisServer::start();
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let module = format!("hello={}", example("hello").display());
    let arguments = ["--layer", &redis.url(), "--module", &module];
    let node = Process::serve_logged(&log, TIDEGATE, &arguments).await;
    redis.run(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    let why = until_red(&node).await;
    assert!(why.contains("NOREPLICAS") && why.contains(&redis.port().to_string()), "{why}");
    assert_eq!(Client::new(node.address).get("/hello/x").await.status, 503);
    let refused = || {
        let statistics = redis.run(&["INFO", "commandstats"]);
        let pops = statistics.lines().find(|line| line.starts_with("cmdstat_blmpop"));
        let refused = pops.and_then(|pops| pops.split("rejected_calls=").nth(1)?.split(',').next());
        refused.map_or(0, |calls| calls.parse::<u32>().unwrap())
    };
    let many = async {
        while refused() < 30 {
            tokio::task::yield_now().await;
        }
    };
    must("the inbox is tried again and again", many).await;
    redis.run(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    until_ready(&[&node]).await;
    // The answer comes by the inbox.
    assert_eq!(Client::new(node.address).get("/hello/x").await.status, 200);
    let said = || std::fs::read_to_string(&log).unwrap();
    let again = async {
        while !said().contains("the inbox is read again") {
            tokio::task::yield_now().await;
        }
    };
    must("the end of it is said", again).await;
    let said = said();
    let lines = said.lines().filter(|line| line.contains("the inbox is not read")).count();
    assert!((1..=2).contains(&lines), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_the_wrong_type_is_seen_by_readiness_and_forgotten_when_it_is_gone() {
    let site = site();
    let (interface, worker) = (site.interface().await, site.worker(&[]).await);
    let mut members = [Member::join(interface.address, "ann").await];
    let node = site.redis.run(&["--raw", "ZRANGE", "tidegate:{0}:nodes", "0", "0"]);
    let keys = site.redis.keys();
    let reader = keys.iter().find_map(|key| key.strip_prefix("tidegate:{0}:reader:")).unwrap();
    for key in [
        "ready".to_owned(),
        "nodes".to_owned(),
        "readers".to_owned(),
        format!("inbox:{node}"),
        format!("bytes:{node}"),
        format!("reader:{reader}"),
    ] {
        let key = format!("tidegate:{{0}}:{key}");
        site.redis.run(&["SET", &key, "garbage"]);
        let red =
            is_red_within_two_probes(&interface).await || is_red_within_two_probes(&worker).await;
        assert!(red, "{key}");
        site.redis.run(&["DEL", &key]);
        until_ready(&[&interface, &worker]).await;
        assert_eq!(Client::new(interface.address).get("/hello/x").await.status, 200, "{key}");
        if key.ends_with(":nodes") {
            // Nobody could send to it meanwhile.
            members[0].is_closed_and_comes_back(interface.address).await;
        }
        assert_all_hear(&mut members, "still there").await;
    }
    drop(members);
    assert_ends_clean(&[&site.redis], vec![interface, worker]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_of_the_wrong_type_disturbs_no_other() {
    let site = site();
    let (interface, worker) = (site.interface().await, site.worker(&[]).await);
    let mut socket = Socket::open(interface.address, "/count").await;
    let key = "tidegate:{0}:channel:http.request.hello";
    site.redis.run(&["SET", key, "garbage"]);
    // As if it had been ready when the key was replaced.
    site.redis.run(&["ZADD", "tidegate:{0}:ready", "0", "http.request.hello"]);
    assert_eq!(Client::new(interface.address).get("/hello/x").await.status, 503);
    for number in 1..=10 {
        socket.send("x").await;
        assert_eq!(socket.text().await, format!("1:x:{number}"));
    }
    for process in [&interface, &worker] {
        assert_eq!(readiness(process).await.0, 200);
    }
    site.redis.run(&["DEL", key]);
    assert_eq!(Client::new(interface.address).get("/hello/x").await.status, 200);
    drop(socket);
    assert_ends_clean(&[&site.redis], vec![interface, worker]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_wants_a_password_after_a_restart() {
    let mut site = site();
    let (interface, worker) = (site.interface().await, site.worker(&[]).await);
    let mut members = [Member::join(interface.address, "ann").await];
    site.redis.restart_with(&["--requirepass", "secret"]);
    must("the reason is told", async { while !until_red(&interface).await.contains("NOAUTH") {} })
        .await;
    assert_eq!(Client::new(interface.address).get("/hello/x").await.status, 503);
    site.redis.restart_with(&[]);
    until_ready(&[&interface, &worker]).await;
    assert_eq!(Client::new(interface.address).get("/hello/x").await.status, 200);
    members[0].is_closed_and_comes_back(interface.address).await;
    assert_all_hear(&mut members, "back").await;
    drop(members);
    assert_ends_clean(&[&site.redis], vec![interface, worker]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_becomes_a_replica_and_a_master_again() {
    let (site, other) = (site(), RedisServer::start());
    let (interface, worker) = (site.interface().await, site.worker(&[]).await);
    let mut members = [Member::join(interface.address, "ann").await];
    site.redis.run(&["REPLICAOF", "127.0.0.1", &other.port().to_string()]);
    assert!(is_red_within_two_probes(&interface).await);
    must("the reason is told", async {
        while !until_red(&interface).await.contains("is a replica") {}
    })
    .await;
    assert_eq!(Client::new(interface.address).get("/hello/x").await.status, 503);
    site.redis.run(&["REPLICAOF", "NO", "ONE"]);
    until_ready(&[&interface, &worker]).await;
    assert_eq!(Client::new(interface.address).get("/hello/x").await.status, 200);
    assert_all_hear_in_the_end(&mut members, interface.address, "back").await;
    drop(members);
    assert_ends_clean(&[&site.redis], vec![interface, worker]).await;
}
