//! Messages to groups that may be missing are told of, and joins hold or fail.

use std::{sync::Arc, time::Duration};

use tests::{FaultProxy, Network, RedisServer, background, history::Stamp, must};
use tidegate::{
    layer::{ChannelLayer, GroupSent, RedisLayer},
    message::{ChannelName, CorrelationId, Gap, InboxEntry, LocalName, NodeName},
    telemetry::{DropReason, Metrics},
};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use super::{
    redis, redis_with_lease,
    witness::{content, group},
};

/// A lease that no test outlives.
const LONG: Duration = Duration::from_secs(300);
const STAMP: Stamp = Stamp { producer: 0, sequence: 1 };

/// The members of the next gap that a node is told of, and what happened. Other entries are passed over.
async fn gap(layer: &RedisLayer, node: &NodeName) -> (Vec<LocalName>, Gap) {
    must("a gap is told of", async {
        loop {
            let Ok(entries) = layer.read_inbox(node).await else { continue };
            for entry in entries {
                if let InboxEntry::Missed { members, gap } = entry {
                    return (members, gap);
                }
            }
        }
    })
    .await
}

/// A node with a member of the group `g`.
async fn member(layer: &RedisLayer) -> (NodeName, LocalName, ChannelName) {
    let (node, local) = (NodeName::random(), LocalName::random());
    let connection = ChannelName::of_connection(&node, &local);
    layer.open_inbox(&node).await.unwrap();
    layer.group_add(&group("g"), &connection).await.unwrap();
    let joined = layer.read_inbox(&node).await.unwrap();
    assert_eq!(joined, [InboxEntry::Joined(local.clone())]);
    (node, local, connection)
}

async fn publish(layer: &RedisLayer) -> GroupSent {
    layer.group_send(&group("g"), content(STAMP), CorrelationId::random()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_were_taken_and_did_not_arrive_are_counted_and_told_of() {
    let server = RedisServer::start();
    let proxy = FaultProxy::before(server.port()).await;
    let metrics = Arc::new(Metrics::new());
    let sending = redis(&server.url(), "gap", &metrics).await;
    let receiving = Arc::new(redis_with_lease(&proxy.url(), "gap", &metrics, LONG).await);
    let (node, local, connection) = member(&receiving).await;
    let inbox = format!("gap:{{0}}:inbox:{node}");
    let (reader, home) = (Arc::clone(&receiving), node.clone());
    let told: JoinHandle<_> = background(async move { gap(&reader, &home).await });
    // Until a pop of the connection that nobody hears of any more takes one.
    must("an entry is lost", async {
        loop {
            proxy.set(Network::HalfOpen);
            sending.group_discard(&group("g"), &connection).await.unwrap();
            let is_taken = server.run(&["LLEN", &inbox]) == "0";
            proxy.set(Network::Works);
            if is_taken {
                return;
            }
            // The reader is back, and waits again.
            while receiving.probe().await.is_err() {}
            sending.group_add(&group("g"), &connection).await.unwrap();
            receiving.probe().await.unwrap();
        }
    })
    .await;
    assert_eq!(must("the reader", told).await.unwrap(), (vec![local], Gap::EntriesLost));
    assert_eq!(metrics.dropped_count(DropReason::InboxLost), 1);
    // That it left was lost. It is no member all the same.
    must("the registration goes", async { while publish(&sending).await.reached != 0 {} }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_older_than_it_was_is_noticed_by_all() {
    let server = RedisServer::start();
    let (seen, others) = (Arc::new(Metrics::new()), Arc::new(Metrics::new()));
    let [one, two] =
        [redis(&server.url(), "gap", &seen).await, redis(&server.url(), "gap", &others).await];
    let (node, local, _) = member(&one).await;
    let (other, other_local, _) = member(&two).await;
    let turn = || server.run(&["GET", "gap:{0}:turn"]).parse::<u64>().unwrap();
    must("turns are taken", async { while turn() < 20 {} }).await;
    server.run(&["SET", "gap:{0}:turn", "2"]);
    let (first, second) = tokio::join!(gap(&one, &node), gap(&two, &other));
    assert_eq!(first, (vec![local], Gap::StoreChanged));
    assert_eq!(second, (vec![other_local], Gap::StoreChanged));
    assert_eq!(seen.store_went_back.get() + others.store_went_back.get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_registration_is_made_again_and_told_of() {
    let server = RedisServer::start();
    let proxy = FaultProxy::before(server.port()).await;
    let layer = redis_with_lease(&proxy.url(), "gap", &Arc::new(Metrics::new()), LONG).await;
    let (node, local, connection) = member(&layer).await;
    server.run(&["DEL", "gap:{0}:group:g"]);
    assert_eq!(publish(&layer).await.reached, 0);
    // After a reconnect all registrations are looked at.
    proxy.set(Network::Cut);
    must("it is noticed", async { while layer.probe().await.is_ok() {} }).await;
    proxy.set(Network::Works);
    assert_eq!(gap(&layer, &node).await, (vec![local], Gap::RegistrationLost));
    layer.group_add(&group("g"), &connection).await.unwrap();
    assert_eq!(publish(&layer).await.reached, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_fails_until_it_holds() {
    let mut shards = [RedisServer::start(), RedisServer::start()];
    let url = format!("{},{}", shards[0].url(), shards[1].url());
    let metrics = Arc::new(Metrics::new());
    let layer = Arc::new(redis(&url, "gap", &metrics).await);
    // A node on the first shard; the group is on the second.
    let node = loop {
        let (node, _, _) = member(&layer).await;
        if shards[0].run(&["EXISTS", &format!("gap:{{0}}:put:{node}")]) == "1" {
            break node;
        }
        layer.close_inbox(&node).await;
    };
    let to = group("h");
    let local = LocalName::random();
    let connection = ChannelName::of_connection(&node, &local);
    let (reader, home) = (Arc::clone(&layer), node.clone());
    let heard = background(async move {
        loop {
            let Ok(entries) = reader.read_inbox(&home).await else { continue };
            for entry in entries {
                if let InboxEntry::Message { to, from_group: true, .. } = entry {
                    return to;
                }
            }
        }
    });
    shards[1].kill();
    assert!(layer.group_add(&to, &connection).await.is_err(), "the group is on the second shard");
    shards[1].restart();
    must("the join holds", async {
        while layer.group_add(&to, &connection).await.is_err() {
            sleep_until(Instant::now() + Duration::from_millis(1)).await;
        }
    })
    .await;
    let sent = layer.group_send(&to, content(STAMP), CorrelationId::random()).await.unwrap();
    assert_eq!(sent.reached, 1);
    assert_eq!(must("the member hears", heard).await.unwrap(), [local]);
    assert_eq!(metrics.dropped_count(DropReason::ConnectionGone), 0);
    // To one that is gone there is nothing to join.
    let gone = ChannelName::of_connection(&NodeName::random(), &LocalName::random());
    layer.group_add(&to, &gone).await.unwrap();
    assert_eq!(metrics.dropped_count(DropReason::ConnectionGone), 1);
}
