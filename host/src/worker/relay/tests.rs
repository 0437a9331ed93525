//! The relay over a store and a layer in memory.

use bytes::Bytes;

use super::*;
use crate::{
    capability::store::{Commit, DueTime, EmbeddedStore, Quota, RunId, TimerWrite},
    layer::{Capacities, Dispatch, LayerConfig, MemoryLayer, Owners},
    message::{Content, CorrelationId, Lasting, Payload, Receipt, Settled, seal_relayed},
};

const LASTING: Lasting = Lasting { retries: 3, lease: Duration::from_secs(60) };

struct Stage {
    store: Arc<dyn Store>,
    layer: Arc<dyn ChannelLayer>,
    relay: Relay,
    module: ModuleName,
    dispatch: Arc<Dispatch>,
}

impl Stage {
    /// Channels of two messages each, read by a worker with some slots.
    fn new(slots: usize) -> Self {
        let metrics = Arc::new(Metrics::new());
        let capacities = Capacities::new(2, []).unwrap();
        let config = LayerConfig { capacities, ..LayerConfig::default() };
        let layer: Arc<dyn ChannelLayer> = Arc::new(MemoryLayer::new(config, Arc::clone(&metrics)));
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory().unwrap());
        let relay = Relay::new(
            Arc::clone(&store),
            Arc::clone(&layer),
            metrics,
            Box::new(|channel| channel.as_str() != "news"),
        );
        let module = ModuleName::parse("shop").unwrap();
        let dispatch = Dispatch::new(slots, slots.max(1));
        let channels = ["mail", "stock"].map(|name| ChannelName::parse(name).unwrap());
        let owners = channels.clone().map(|channel| (channel, module.clone()));
        let lasting = channels.map(|channel| (channel, LASTING));
        dispatch.read(Arc::new(Owners::from(owners)), Arc::new(lasting.into()));
        layer.attach(&dispatch);
        Self { store, layer, relay, module, dispatch }
    }

    async fn commit(&self, process: ProcessTag, sent: &[(&str, u8)]) {
        let mut commit = Commit::new(RunId::random(), Quota::NONE);
        for (target, number) in sent {
            let content = Content::parse(Bytes::from(vec![0x81, 0xa1, b'n', *number])).unwrap();
            let payload = seal_relayed(Some(process), CorrelationId::random(), &content);
            commit.relayed.push(Parcel { target: (*target).to_owned(), payload });
        }
        self.store.commit(&self.module, commit).await.unwrap();
    }

    /// The messages that are handed to slots now: channel, number, receipt, id.
    fn taken(&self) -> Vec<(String, u8, Receipt, MessageId)> {
        let next = || self.dispatch.take(&*self.layer);
        let of = |received: crate::layer::Received| {
            let Payload::Custom(content) = received.message.payload else { panic!("custom") };
            let number = *content.as_bytes().last().unwrap();
            let id = received.message.id.unwrap();
            (received.channel.to_string(), number, received.receipt.unwrap(), id)
        };
        std::iter::from_fn(next).map(of).collect()
    }

    /// The numbers of some messages of one channel, which another worker takes.
    fn taken_of(&self, name: &str, count: usize) -> Vec<u8> {
        let dispatch = Dispatch::new(count, count);
        let channel = ChannelName::parse(name).unwrap();
        let owners = Owners::from([(channel.clone(), self.module.clone())]);
        dispatch.read(Arc::new(owners), Arc::new([(channel, LASTING)].into()));
        self.layer.attach(&dispatch);
        let taken = std::iter::from_fn(|| dispatch.take(&*self.layer));
        let numbers = taken.map(|received| match received.message.payload {
            Payload::Custom(content) => *content.as_bytes().last().unwrap(),
            Payload::Event(_) => panic!("custom"),
        });
        let numbers = numbers.collect();
        dispatch.close();
        numbers
    }

    async fn waiting(&self) -> usize {
        self.store.waiting(&self.module, None, 1_000).await.unwrap().len()
    }
}

#[tokio::test]
async fn messages_leave_in_the_order_of_their_commits_and_are_forgotten_when_they_are_done() {
    let stage = Stage::new(10);
    let own = stage.relay.process();
    stage.commit(own, &[("mail", 1), ("stock", 2)]).await;
    stage.commit(own, &[("mail", 3)]).await;
    assert_eq!(stage.relay.look(&stage.module).await, Ok(None));
    let taken = stage.taken();
    let numbers: Vec<_> = taken.iter().map(|(name, number, ..)| (&**name, *number)).collect();
    assert!(numbers.contains(&("stock", 2)), "{numbers:?}");
    let mail: Vec<_> = numbers.iter().filter(|(name, _)| *name == "mail").collect();
    assert_eq!(mail, [&("mail", 1), &("mail", 3)]);
    // Another look sends nothing twice, and what is not done stays for the next process.
    stage.relay.look(&stage.module).await.unwrap();
    assert!(stage.taken().is_empty());
    assert_eq!(stage.waiting().await, 3);
    for (name, _, receipt, id) in taken {
        let channel = ChannelName::parse(&name).unwrap();
        stage.layer.settle(&channel, &receipt, Settled::Done).await.unwrap();
        stage.relay.settled(id);
    }
    stage.relay.forget_settled().await;
    assert_eq!(stage.waiting().await, 0);
}

#[tokio::test]
async fn a_full_channel_keeps_its_own_messages_waiting_and_no_others() {
    let stage = Stage::new(0);
    let own = stage.relay.process();
    stage.commit(own, &[("mail", 1), ("mail", 2), ("mail", 3), ("mail", 4)]).await;
    stage.commit(own, &[("stock", 5)]).await;
    let full = stage.relay.look(&stage.module).await.unwrap();
    assert_eq!(full.unwrap().as_str(), "mail");
    let statistics = stage.layer.statistics().await.unwrap();
    let held = |name: &str| statistics.channels[&ChannelName::parse(name).unwrap()].0;
    assert_eq!((held("mail"), held("stock")), (2, 1));
    assert_eq!(stage.relay.state().unsettled.len(), 3);
    assert_eq!(stage.waiting().await, 5);
}

#[tokio::test]
async fn a_look_begins_behind_what_was_sent_and_before_what_was_not() {
    let stage = Stage::new(10);
    let own = stage.relay.process();
    stage.commit(own, &[("mail", 1)]).await;
    stage.relay.look(&stage.module).await.unwrap();
    assert_eq!(stage.taken().len(), 1);
    // Only the place keeps it from being sent again now.
    stage.relay.state().unsettled.clear();
    stage.commit(own, &[("mail", 2), ("mail", 3), ("mail", 4), ("stock", 5)]).await;
    stage.dispatch.close();
    assert!(stage.relay.look(&stage.module).await.unwrap().is_some(), "mail has room for two");
    let passed = stage.relay.state().passed[&stage.module];
    let waiting = stage.store.waiting(&stage.module, Some(passed), 10).await.unwrap();
    assert_eq!(waiting.len(), 2, "the third one for mail, and what is behind it");
}

#[tokio::test]
async fn a_message_to_a_channel_that_delivers_at_most_once_is_forgotten_when_it_is_sent() {
    let stage = Stage::new(0);
    stage.commit(stage.relay.process(), &[("news", 1)]).await;
    stage.relay.look(&stage.module).await.unwrap();
    assert_eq!(stage.waiting().await, 0);
    let statistics = stage.layer.statistics().await.unwrap();
    assert_eq!(statistics.channels[&ChannelName::parse("news").unwrap()].0, 1);
}

#[tokio::test]
async fn the_next_look_is_when_the_next_timer_is_due() {
    let stage = Stage::new(10);
    let span = Duration::from_millis(30);
    let mut commit = Commit::new(RunId::random(), Quota::NONE);
    let content = Content::parse(Bytes::from_static(b"\x81\xa1n\x01")).unwrap();
    let payload = seal_relayed(None, CorrelationId::random(), &content);
    let parcel = Parcel { target: "mail".to_owned(), payload };
    commit.timers.push(TimerWrite::Set { key: None, due: DueTime::after(span), parcel });
    stage.store.commit(&stage.module, commit).await.unwrap();
    stage.relay.move_due().await;
    let next = stage.relay.state().due_at.unwrap();
    assert!(next <= Instant::now() + span, "it is not put off");
}

#[tokio::test]
async fn a_message_that_cannot_be_read_stops_no_other() {
    let stage = Stage::new(10);
    let mut commit = Commit::new(RunId::random(), Quota::NONE);
    for target in ["mail", "no channel"] {
        let payload = Bytes::from_static(b"\x09");
        commit.relayed.push(Parcel { target: target.to_owned(), payload });
    }
    stage.store.commit(&stage.module, commit).await.unwrap();
    stage.commit(stage.relay.process(), &[("stock", 1)]).await;
    stage.relay.look(&stage.module).await.unwrap();
    assert_eq!(stage.taken().len(), 1);
    assert_eq!(stage.waiting().await, 1);
}

#[tokio::test]
async fn a_message_behind_more_than_are_looked_at_is_sent_in_its_order() {
    let stage = Stage::new(0);
    let own = stage.relay.process();
    let many: Vec<_> = (0..LOOK_AHEAD_MAX + 3 * PAGE).map(|_| ("mail", 0)).collect();
    stage.commit(own, &many).await;
    assert!(stage.relay.look(&stage.module).await.unwrap().is_some());
    let held = async |name: &str| {
        let channel = ChannelName::parse(name).unwrap();
        stage.layer.statistics().await.unwrap().channels.get(&channel).map_or(0, |it| it.0)
    };
    assert_eq!((held("mail").await, held("stock").await), (2, 0));
    // The channel takes two.
    for (sent, expected) in [(&[("stock", 1)][..], 1), (&[("stock", 2), ("stock", 3)], 2)] {
        stage.commit(own, sent).await;
        stage.relay.look(&stage.module).await.unwrap();
        assert_eq!(held("stock").await, expected);
    }
    // Room for one more is for the third, and not for what comes after it.
    assert_eq!(stage.taken_of("stock", 1), [1]);
    stage.commit(own, &[("stock", 4)]).await;
    stage.relay.look(&stage.module).await.unwrap();
    assert_eq!(held("stock").await, 1, "the third one waits for the sweep");
    stage.relay.state().ahead.clear();
    stage.relay.look(&stage.module).await.unwrap();
    assert_eq!(stage.taken_of("stock", 2), [2, 3]);
}

#[tokio::test]
async fn a_look_reads_a_bounded_part_and_the_next_one_goes_on_there() {
    let stage = Stage::new(0);
    let own = stage.relay.process();
    let many: Vec<_> = (0..3 * LOOK_AHEAD_MAX).map(|_| ("mail", 0)).collect();
    stage.commit(own, &many).await;
    stage.commit(own, &[("stock", 1)]).await;
    let held = async || {
        let channel = ChannelName::parse("stock").unwrap();
        stage.layer.statistics().await.unwrap().channels.get(&channel).map_or(0, |it| it.0)
    };
    for _ in 0..2 {
        stage.relay.look(&stage.module).await.unwrap();
        assert_eq!(held().await, 0, "it stands too far behind");
    }
    stage.relay.look(&stage.module).await.unwrap();
    assert_eq!(held().await, 1);
}

#[tokio::test]
async fn a_dead_letter_stands_in_the_store_until_the_layer_has_it_no_more() {
    let stage = Stage::new(1);
    stage.commit(stage.relay.process(), &[("mail", 1)]).await;
    stage.relay.look(&stage.module).await.unwrap();
    let (name, number, receipt, id) = stage.taken().remove(0);
    let channel = ChannelName::parse(&name).unwrap();
    let content = Content::parse(Bytes::from(vec![0x81, 0xa1, b'n', number])).unwrap();
    stage.relay.buried(id, &channel, CorrelationId::random(), &content).await;
    // A worker has it still.
    stage.relay.forget_gone();
    stage.layer.settle(&channel, &receipt, Settled::Dead).await.unwrap();
    stage.relay.forget_gone();
    stage.relay.forget_settled().await;
    let kept = stage.store.waiting(&stage.module, None, 10).await.unwrap();
    assert_eq!(kept.len(), 1, "in the place of the message");
    assert_eq!(kept[0].1.target, "mail.dead");
    assert_eq!(Relayed::open(&kept[0].1.payload).unwrap().message.id, Some(id));
    stage.relay.look(&stage.module).await.unwrap();
    let dead = channel.dead().unwrap();
    let page = stage.layer.waiting(&dead, None, 10).await.unwrap();
    assert_eq!(page.total, 1, "it is sent to nobody twice");
    let dropped = stage.layer.move_waiting(&dead, &page.messages[0].id, None).await.unwrap();
    assert_eq!(dropped, crate::layer::Moved::Yes);
    stage.relay.forget_gone();
    stage.relay.forget_settled().await;
    assert_eq!(stage.waiting().await, 0);
}
