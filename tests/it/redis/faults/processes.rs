//! A process ends, a client is slow, a clock is wrong.

use std::path::PathBuf;

use tests::{Client, Socket, background, example, guest, must};

use super::{
    Site, assert_ends_clean,
    clients::{Load, Member, assert_all_hear},
    metric, within,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_killed_while_it_is_busy() {
    let site = Site::new(&[("chat", example("chat")), ("sleep", guest("sleep"))]).quick();
    let (interface, worker) = (site.interface().await, site.worker(&[]).await);
    let mut members = [Member::join(interface.address, "ann").await];
    let mut watcher = Socket::open(interface.address, "/watch").await;
    let client = Client::new(interface.address);
    let asking = background(async move { client.get("/run").await });
    assert_eq!(watcher.text().await, "running");
    worker.signal("KILL").await;
    assert_eq!(worker.wait().await, None);
    let other = site.worker(&[]).await;
    // Who was idle notices nothing.
    assert_all_hear(&mut members, "still there").await;
    let reply = within(8, "the end of the event is missed", asking).await.unwrap();
    assert_eq!(reply.status, 503);
    assert_eq!(metric(&interface, "tidegate_events_lost_total").await, 1);
    drop((members, watcher));
    assert_ends_clean(&[&site.redis], vec![interface, other]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stops_in_order_loses_nothing() {
    let site = Site::new(&[("counter", guest("counter"))]).quick();
    let (interface, mut worker) = (site.interface().await, site.worker(&[]).await);
    let load = Load::start(interface.address, 8).await;
    for _ in 0..5 {
        let next = site.worker(&[]).await;
        worker.signal("TERM").await;
        assert_eq!(worker.wait().await, Some(0));
        worker = next;
    }
    let codes = load.stop().await;
    assert!(codes.is_empty(), "{codes:?}");
    assert_eq!(metric(&interface, "tidegate_events_lost_total").await, 0);
    assert_ends_clean(&[&site.redis], vec![interface, worker]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interface_server_is_killed_while_its_sockets_are_in_groups() {
    let site = Site::new(&[("chat", example("chat"))]).quick();
    let (one, two) = (site.interface().await, site.interface().await);
    let worker = site.worker(&[]).await;
    let _gone = Member::join(one.address, "gone").await;
    let mut members = [Member::join(two.address, "ann").await];
    let nodes = || site.redis.run(&["ZCARD", "tidegate:{0}:nodes"]);
    assert_eq!(nodes(), "2");
    let told = || site.redis.run(&["--raw", "HVALS", "tidegate:{0}:sockets"]);
    must("others know of its socket", async { while told() != "1\n1" {} }).await;
    one.signal("KILL").await;
    assert_eq!(one.wait().await, None);
    assert_all_hear(&mut members, "at once").await;
    within(3, "its lease is over", async { while nodes() != "1" {} }).await;
    let node = site.redis.run(&["--raw", "ZRANGE", "tidegate:{0}:nodes", "0", "0"]);
    for key in site.redis.keys() {
        let kinds = ["inbox:", "bytes:", "registrations:"];
        let is_of_node =
            kinds.iter().any(|kind| key.starts_with(&format!("tidegate:{{0}}:{kind}")));
        assert!(!is_of_node || key.ends_with(&node), "{key} is left");
        if key.contains(":group:") {
            assert_eq!(site.redis.run(&["HLEN", &key]), "1", "only the other is a member");
        }
    }
    assert_all_hear(&mut members, "after").await;
    // Nobody tells the consumer of its sockets; one of the others has counted them.
    let mut lost = [0, 0];
    for process in [&two, &worker] {
        lost[0] += metric(process, "tidegate_nodes_lost_total").await;
        lost[1] += metric(process, "tidegate_sockets_lost_total").await;
    }
    assert_eq!(lost, [1, 1]);
    drop(members);
    assert_ends_clean(&[&site.redis], vec![two, worker]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_closed_and_the_others_get_everything() {
    const FLOODS: usize = 40;
    let site = Site::new(&[("slow", guest("slow"))]);
    let (interface, worker) = (site.interface().await, site.worker(&[]).await);
    let mut fast = [
        Socket::open(interface.address, "/flooded").await,
        Socket::open(interface.address, "/flooded").await,
    ];
    let slow = Socket::open(interface.address, "/flooded").await;
    let mut flood = Socket::open(interface.address, "/flood").await;
    for _ in 0..FLOODS {
        flood.send("go").await;
        assert_eq!(flood.text().await, "sent");
        for socket in &mut fast {
            assert_eq!(socket.bytes().await.len(), 256 * 1024);
        }
    }
    must("the slow one is closed", async {
        while metric(&interface, r#"tidegate_closes_total{code="1013"}"#).await == 0 {}
    })
    .await;
    drop((slow, fast, flood));
    assert_ends_clean(&[&site.redis], vec![interface, worker]).await;
}

/// The library that gives a process another clock.
fn faketime() -> PathBuf {
    let places = std::fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let mut libraries = places.map(|place| place.join("faketime/libfaketimeMT.so.1"));
    libraries.find(|file| file.exists()).expect("libfaketime is installed (scripts/setup tests)")
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_are_an_hour_wrong_do_no_harm() {
    let modules = [("chat", example("chat")), ("pipeline", guest("pipeline"))];
    let site = Site::new(&modules).quick();
    let library = faketime().display().to_string();
    let clock = |offset: &'static str| {
        let preload = ("LD_PRELOAD", library.as_str());
        [preload, ("FAKETIME", offset), ("DONT_FAKE_MONOTONIC", "1")]
    };
    let ahead = site.process(&["--no-worker"], &clock("+1h")).await;
    let behind = site.process(&["worker"], &clock("-1h")).await;
    let right = site.interface().await;
    let mut members =
        [Member::join(ahead.address, "ann").await, Member::join(right.address, "bob").await];
    assert_all_hear(&mut members, "hello").await;
    let mut watcher = Socket::open(right.address, "/watch").await;
    let later = Client::new(ahead.address).request("POST", "/later", &[], "").await;
    assert_eq!(later.status, 200);
    assert_eq!([watcher.text().await, watcher.text().await], ["item 1", "item 2"]);
    // Longer than a lease: nobody is taken for dead.
    let start: u64 = server_time(&site);
    must("two leases go by", async { while server_time(&site) < start + 2 {} }).await;
    assert_all_hear(&mut members, "still there").await;
    for process in [&ahead, &behind, &right] {
        assert_eq!(metric(process, "tidegate_messages_dropped_total").await, 0);
    }
    drop((members, watcher));
    assert_ends_clean(&[&site.redis], vec![ahead, right, behind]).await;
}

fn server_time(site: &Site) -> u64 {
    site.redis.run(&["--raw", "TIME"]).lines().next().unwrap().parse().unwrap()
}
