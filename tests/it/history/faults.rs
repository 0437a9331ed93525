//! What is promised holds while Redis fails: nothing comes twice, nothing out of order, nothing to
//! who has left.

use std::{sync::Arc, time::Duration};

use tests::{
    FaultProxy, Network, RedisServer,
    history::{History, Promise, Violation},
    must,
};
use tidegate::{
    layer::ChannelLayer,
    message::{ChannelName, LocalName, NodeName},
    telemetry::Metrics,
};
use tokio::task::JoinHandle;

use super::{
    redis,
    witness::{Producer, dying_reader, node, owners, reader},
};

async fn until(it_is: impl Fn() -> bool) {
    while !it_is() {
        tokio::task::yield_now().await;
    }
}

/// A process that sends, one that receives, and what they did.
struct Pair {
    sending: Arc<dyn ChannelLayer>,
    receiving: Arc<dyn ChannelLayer>,
    history: Arc<History>,
    connection: ChannelName,
    tasks: Vec<JoinHandle<()>>,
}

impl Pair {
    async fn new(sender: &str, receiver: &str) -> Self {
        let metrics = Arc::new(Metrics::new());
        let sending: Arc<dyn ChannelLayer> = Arc::new(redis(sender, "pair", &metrics).await);
        let receiving: Arc<dyn ChannelLayer> = Arc::new(redis(receiver, "pair", &metrics).await);
        let history = Arc::new(History::default());
        let home = NodeName::random();
        let connection = ChannelName::of_connection(&home, &LocalName::random());
        let tasks = vec![
            reader(&receiving, &history, 0, &owners(&["a"])),
            node(&receiving, &history, &home).await,
        ];
        Self { sending, receiving, history, connection, tasks }
    }

    async fn round(&self, producer: &mut Producer) {
        producer.send("a").await;
        producer.send(self.connection.as_str()).await;
        producer.join("g", &self.connection).await;
        producer.publish("g").await;
        producer.leave("g", &self.connection).await;
        producer.publish("g").await;
    }

    /// Sends until what is sent arrives again; from then on nothing may be lost.
    async fn until_it_works(&self, number: u32) {
        must("both are ready", async {
            while self.sending.probe().await.is_err() || self.receiving.probe().await.is_err() {}
        })
        .await;
        let mut producer = Producer::new(&self.sending, &self.history, number);
        for _ in 0..10 {
            self.round(&mut producer).await;
        }
        // To the channel, to the connection, to the group while it was a member.
        must("all of it arrives", until(|| self.history.arrived_from(number) >= 30)).await;
    }

    fn check(self) -> Vec<Violation> {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.history.check(Promise::AtMostOnce { dropped: None }, false)
    }
}

/// Rounds of a producer until something has been done.
async fn load(pair: &Pair, number: u32, during: impl Future<Output = ()>) {
    let mut producer = Producer::new(&pair.sending, &pair.history, number);
    let rounds = async {
        loop {
            pair.round(&mut producer).await;
        }
    };
    tokio::select! {
        () = rounds => {}
        () = during => {}
    }
}

/// Until the load is under way.
async fn until_arrived(pair: &Pair, number: u32) {
    must("messages arrive", until(|| pair.history.arrived_from(number) >= 100)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_killed_and_comes_back_empty() {
    let mut server = RedisServer::start();
    let pair = Pair::new(&server.url(), &server.url()).await;
    for turn in [0, 2, 4] {
        let during = async {
            until_arrived(&pair, turn).await;
            server.restart();
        };
        load(&pair, turn, during).await;
        pair.until_it_works(turn + 1).await;
    }
    assert_eq!(pair.check(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_side_is_cut_off() {
    let server = RedisServer::start();
    let (sender, receiver) =
        (FaultProxy::before(server.port()).await, FaultProxy::before(server.port()).await);
    let pair = Pair::new(&sender.url(), &receiver.url()).await;
    for (turn, proxy, network) in [
        (0, &sender, Network::Cut),
        (2, &receiver, Network::Cut),
        (4, &sender, Network::ClosesSlowly),
        (6, &receiver, Network::HalfOpen),
    ] {
        let during = async {
            until_arrived(&pair, turn).await;
            proxy.set(network);
            must("it is noticed", async {
                while pair.sending.probe().await.is_ok() && pair.receiving.probe().await.is_ok() {}
            })
            .await;
            proxy.set(Network::Works);
        };
        load(&pair, turn, during).await;
        pair.until_it_works(turn + 1).await;
    }
    assert_eq!(pair.check(), []);
}

/// The lease of what a reader has taken.
const LEASE: Duration = Duration::from_secs(1);
const MESSAGES: usize = 80;

#[tokio::test(flavor = "multi_thread")]
async fn what_dying_readers_took_comes_again_through_cuts() {
    let server = RedisServer::start();
    let proxy = FaultProxy::before(server.port()).await;
    let metrics = Arc::new(Metrics::new());
    let sending: Arc<dyn ChannelLayer> = Arc::new(redis(&server.url(), "pair", &metrics).await);
    let history = Arc::new(History::default());
    let receiving: [Arc<dyn ChannelLayer>; 2] = [
        Arc::new(redis(&proxy.url(), "pair", &metrics).await),
        Arc::new(redis(&proxy.url(), "pair", &metrics).await),
    ];
    let readers = [
        dying_reader(&receiving[0], &history, 0, "a", LEASE),
        dying_reader(&receiving[1], &history, 1, "a", LEASE),
    ];
    let produce = async {
        let mut producer = Producer::new(&sending, &history, 0);
        for _ in 0..MESSAGES {
            producer.send("a").await;
        }
    };
    let fail = async {
        for so_far in [10, 30, 50] {
            must("messages arrive", until(|| history.distinct_from(0) >= so_far)).await;
            proxy.set(Network::Cut);
            must("it is noticed", async { while receiving[0].probe().await.is_ok() {} }).await;
            proxy.set(Network::Works);
        }
    };
    tokio::join!(produce, fail);
    must("all of it arrives", until(|| history.distinct_from(0) == MESSAGES)).await;
    readers.iter().for_each(JoinHandle::abort);
    assert_eq!(history.check(Promise::AtLeastOnce, false), []);
    assert!(metrics.messages_redelivered.get() > 0, "some came again");
}
