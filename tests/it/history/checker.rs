//! The checker finds each defect, and none where there is none.

use std::sync::Arc;

use tests::{
    RedisServer,
    history::{History, Promise, Stamp, Step, Violation},
    must,
};
use tidegate::{
    layer::{ChannelLayer, MemoryLayer},
    message::{ChannelName, LocalName, NodeName},
    telemetry::Metrics,
};

use super::{
    broken::{Broken, Defect},
    config, redis,
    witness::{Producer, node, owners, reader},
};

/// Messages of each producer to each of its channels.
const ROUNDS: usize = 20;
const KEPT: Promise = Promise::AtMostOnce { dropped: Some(0) };

/// Two producers, a reader of two channels, and connections that come and go.
async fn exercise(layer: Arc<dyn ChannelLayer>) -> Arc<History> {
    let history = Arc::new(History::default());
    let home = NodeName::random();
    let connections = [(); 3].map(|()| ChannelName::of_connection(&home, &LocalName::random()));
    let readers =
        [reader(&layer, &history, 0, &owners(&["a", "b"])), node(&layer, &history, &home).await];
    let produce = async |producer: u32| {
        let group = format!("g{producer}");
        let mut producer = Producer::new(&layer, &history, producer);
        for member in connections.iter().cycle().take(ROUNDS) {
            producer.send("a").await;
            producer.send("b").await;
            producer.send(connections[0].as_str()).await;
            producer.join(&group, member).await;
            producer.publish(&group).await;
            producer.leave(&group, member).await;
            producer.publish(&group).await;
        }
    };
    tokio::join!(produce(0), produce(1));
    let mut last = Producer::new(&layer, &history, 2);
    // Comes after everything else, on each way.
    last.send("a").await;
    last.send("b").await;
    last.send(connections[0].as_str()).await;
    must("all have read everything", async {
        while history.arrived_from(2) < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    readers.iter().for_each(tokio::task::JoinHandle::abort);
    layer.close_inbox(&home).await;
    history
}

fn of_memory(defect: Option<Defect>) -> Arc<dyn ChannelLayer> {
    let memory = MemoryLayer::new(config(), Arc::new(Metrics::new()));
    Arc::new(Broken::new(memory, defect))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_defect_is_found() {
    for defect in [
        Defect::Drops,
        Defect::Doubles,
        Defect::Swaps,
        Defect::DeliversAfterLeave,
        Defect::MissesMembers,
    ] {
        let found = exercise(of_memory(Some(defect))).await.check(KEPT, true);
        let is_found = found.iter().any(|violation| match defect {
            Defect::Drops => matches!(violation, Violation::Lost { missing: 1.., counted: 0 }),
            Defect::Doubles => matches!(violation, Violation::Twice(_)),
            Defect::Swaps => matches!(violation, Violation::Overtaken(_)),
            Defect::DeliversAfterLeave => matches!(violation, Violation::NoMember(..)),
            Defect::MissesMembers => matches!(violation, Violation::Missed(..)),
        });
        assert!(is_found, "{defect:?}: {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_layer_keeps_what_it_promises() {
    assert_eq!(exercise(of_memory(None)).await.check(KEPT, true), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_redis_layer_keeps_what_it_promises() {
    let server = RedisServer::start();
    let layer = redis(&server.url(), "history", &Arc::new(Metrics::new())).await;
    assert_eq!(exercise(Arc::new(layer)).await.check(KEPT, true), []);
}

#[test]
fn what_comes_twice_is_right_where_everything_has_to_come() {
    let (history, one) = (History::default(), Stamp { producer: 0, sequence: 1 });
    let two = Stamp { sequence: 2, ..one };
    let received = |stamp| Step::Received { reader: 0, channel: "a".to_owned(), stamp };
    for stamp in [one, two] {
        history.note(Step::Sending("a".to_owned(), stamp));
        history.note(Step::Sent("a".to_owned(), stamp));
    }
    for stamp in [two, two] {
        history.note(received(stamp));
    }
    let lost = Violation::Lost { missing: 1, counted: 0 };
    assert_eq!(history.check(Promise::AtLeastOnce, true), [lost]);
    history.note(received(one));
    assert_eq!(history.check(Promise::AtLeastOnce, true), []);
    assert_eq!(history.check(KEPT, true), [Violation::Twice(two), Violation::Overtaken(one)]);
    history.note(received(Stamp { sequence: 3, ..one }));
    let invented = Violation::Invented(Stamp { sequence: 3, ..one });
    assert_eq!(history.check(Promise::AtLeastOnce, true), [invented]);
}
