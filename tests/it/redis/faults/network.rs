//! The network between an interface server and Redis fails; the worker has one of its own.

use std::time::Duration;

use tests::{Client, FaultProxy, Network, Process, Socket, example, guest, must};

use super::{
    Site, assert_ends_clean,
    clients::{Load, Member, assert_all_hear, assert_all_hear_in_the_end},
    metric, until_ready, until_red, within,
};

struct Parts {
    proxy: FaultProxy,
    site: Site,
    interface: Process,
    worker: Process,
    members: [Member; 2],
}

async fn parts() -> Parts {
    parts_with_lease("1s").await
}

async fn parts_with_lease(lease: &str) -> Parts {
    let modules =
        [("chat", example("chat")), ("counter", guest("counter")), ("hello", example("hello"))];
    let mut site = Site::new(&modules).quick_with_lease(lease);
    let worker = site.worker(&[]).await;
    let proxy = FaultProxy::before(site.redis.port()).await;
    site.layer = proxy.url();
    let interface = site.interface().await;
    let members = [
        Member::join(interface.address, "ann").await,
        Member::join(interface.address, "bob").await,
    ];
    Parts { proxy, site, interface, worker, members }
}

impl Parts {
    /// It is red and refuses while the network is like this, and all is well after.
    async fn assert_survives(self, network: Network) {
        let mut busy = Socket::open(self.interface.address, "/count").await;
        self.proxy.set(network);
        let why = until_red(&self.interface).await;
        assert!(why.contains("not available"), "{why}");
        let client = Client::new(self.interface.address);
        let refused = within(2, "a request is refused", client.get("/hello/x")).await;
        assert_eq!(refused.status, 503);
        busy.send("x").await;
        let closed = within(4, "the socket is closed", busy.closed()).await;
        assert_eq!(closed.0, 1013);
        self.proxy.set(Network::Works);
        self.assert_is_well().await;
    }

    async fn assert_is_well(mut self) {
        until_ready(&[&self.interface, &self.worker]).await;
        // It may have been away for longer than its lease.
        let address = self.interface.address;
        assert_all_hear_in_the_end(&mut self.members, address, "back").await;
        assert_eq!(Client::new(self.interface.address).get("/hello/x").await.status, 200);
        assert_eq!(metric(&self.interface, "tidegate_events_lost_total").await, 0);
        drop(self.members);
        assert_ends_clean(&[&self.site.redis], vec![self.interface, self.worker]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_network_changes_nothing_but_the_time() {
    let mut parts = parts().await;
    parts.proxy.set(Network::Slow(Duration::from_millis(40)));
    assert_all_hear(&mut parts.members, "slowly").await;
    let load = Load::start(parts.interface.address, 2).await;
    assert!(load.stop().await.is_empty());
    parts.proxy.set(Network::Works);
    parts.assert_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_cut() {
    parts().await.assert_survives(Network::Cut).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_half_open() {
    parts().await.assert_survives(Network::HalfOpen).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_close_slowly() {
    parts().await.assert_survives(Network::ClosesSlowly).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_cut_once_under_load() {
    let parts = parts().await;
    let load = Load::start(parts.interface.address, 8).await;
    parts.proxy.set(Network::Cut);
    until_red(&parts.interface).await;
    parts.proxy.set(Network::Works);
    until_ready(&[&parts.interface]).await;
    let codes = load.stop().await;
    assert!(codes.iter().all(|code| [1011, 1012, 1013].contains(code)), "{codes:?}");
    let lost = codes.iter().filter(|code| **code == 1011).count();
    assert_eq!(metric(&parts.interface, "tidegate_events_lost_total").await, lost as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_cut_for_less_than_a_lease() {
    let mut parts = parts_with_lease("30s").await;
    parts.proxy.set(Network::Cut);
    until_red(&parts.interface).await;
    parts.proxy.set(Network::Works);
    until_ready(&[&parts.interface, &parts.worker]).await;
    // Sockets that were idle have noticed nothing, and are in their groups.
    assert_all_hear(&mut parts.members, "back").await;
    assert_eq!(metric(&parts.interface, r#"tidegate_closes_total{code="1012"}"#).await, 0);
    parts.assert_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interface_server_is_cut_off_for_longer_than_its_lease() {
    let mut parts = parts().await;
    let (interface, redis) = (&parts.interface, &parts.site.redis);
    // A member of no group can have missed nothing.
    let mut alone = Socket::open(interface.address, "/count").await;
    alone.send("x").await;
    assert_eq!(alone.text().await, "1:x:1");
    let told = || redis.run(&["--raw", "HVALS", "tidegate:{0}:sockets"]);
    must("others know of its sockets", async { while told() != "3" {} }).await;
    parts.proxy.set(Network::Cut);
    within(5, "its lease is over", async {
        while redis.run(&["ZCARD", "tidegate:{0}:nodes"]) != "0" {}
    })
    .await;
    parts.proxy.set(Network::Works);
    until_ready(&[interface, &parts.worker]).await;
    for member in &mut parts.members {
        member.is_closed_and_comes_back(interface.address).await;
    }
    let gaps = r#"tidegate_gap_closes_total{reason="lease_ended"}"#;
    assert_eq!(metric(interface, gaps).await, 2);
    assert_eq!(metric(interface, r#"tidegate_closes_total{code="1012"}"#).await, 2);
    assert_eq!(metric(&parts.worker, "tidegate_nodes_lost_total").await, 1);
    assert_eq!(metric(&parts.worker, "tidegate_sockets_lost_total").await, 3);
    assert_all_hear(&mut parts.members, "back").await;
    alone.send("x").await;
    assert_eq!(alone.text().await, "1:x:2");
    drop(alone);
    parts.assert_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_a_process_asks_for_it_now_and_then() {
    let parts = parts().await;
    parts.proxy.set(Network::Cut);
    until_red(&parts.interface).await;
    let before = parts.proxy.accepted();
    // Each request waits half a second for a connection that does not come.
    for _ in 0..4 {
        assert_eq!(Client::new(parts.interface.address).get("/hello/x").await.status, 503);
    }
    let asked = parts.proxy.accepted() - before;
    assert!(asked < 20, "{asked} connections in two seconds");
    parts.proxy.set(Network::Works);
    parts.assert_is_well().await;
}
