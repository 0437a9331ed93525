//! A thousand long polls at once, each held without a slot.

use std::{collections::HashSet, sync::Arc};

use tests::{Host, must};

const POLLS: usize = 1_000;

/// Every request of a burst finds room: what a full channel does is tested elsewhere.
const ROOM: &str =
    "[layer.capacities]\n'http.*' = 1000\n[interface]\nconnections_per_address = 'off'";

type Polls = tokio::task::JoinSet<(u16, String)>;

/// Starts all polls at once and serves others until all are held.
async fn hold(host: &Host) -> Polls {
    let mut polls = Polls::new();
    let client = host.client();
    for _ in 0..POLLS {
        polls.spawn(async move {
            let reply = client.get("/poll/tide").await;
            (reply.status, reply.text().to_owned())
        });
    }
    until_held(host, POLLS).await;
    polls
}

/// Asks for something else again and again until so many polls are held.
async fn until_held(host: &Host, polls: usize) {
    let polls = i64::try_from(polls).unwrap();
    must("the polls are held", async {
        while host.app().metrics().holds.get() != polls {
            assert_eq!(host.get("/hello/neighbour").await.status, 200);
        }
    })
    .await;
}

async fn start() -> Host {
    tests::raise_descriptor_limit();
    Host::builder()
        .set("slots = 2")
        .example("hello")
        .example("longpoll")
        .section(ROOM)
        .start()
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_slots_hold_1000_polls_and_one_publish_answers_them_all() {
    let host = start().await;
    let polls = hold(&host).await;
    assert_eq!(host.get("/hello/neighbour").await.text(), "Hello, neighbour!\n");
    let client = host.client();
    let published = client.request("POST", "/publish/tide", &[], "high water").await;
    assert_eq!(published.status, 202);
    let replies = must("all answers", polls.join_all()).await;
    let kinds: HashSet<_> = replies.into_iter().collect();
    assert_eq!(kinds, HashSet::from([(200, "high water".to_owned())]));
    assert_eq!(host.app().metrics().holds.get(), 0);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_1000_polls_that_are_left_none_is_held_or_in_a_group() {
    let host = start().await;
    let mut polls = hold(&host).await;
    polls.abort_all();
    while polls.join_next().await.is_some() {}
    until_held(&host, 0).await;
    let layer = Arc::clone(host.app().layer());
    let records = Arc::clone(host.app().records());
    host.stop().await;
    assert_eq!(layer.statistics().await.unwrap().groups, 0, "a group still has members");
    let left = "longpoll: a client left tide";
    assert!(records.latest().iter().any(|record| record.log.text.contains(left)));
    assert!(records.latest().iter().all(|record| record.fault().is_none()));
}
