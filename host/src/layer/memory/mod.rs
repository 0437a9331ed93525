//! The layer of one process: bounded queues in memory, nothing is serialized.

mod groups;
mod inboxes;
mod queues;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

use self::{
    groups::{Groups, TooMany},
    inboxes::Inboxes,
    queues::{Popped, Queues, Returned},
};
use super::{
    ChannelLayer, Dispatch, GroupSent, LayerConfig, LayerError, LostAtStop, Owners, Recipient,
    SendError, Statistics,
};
use crate::{
    message::{
        Answer, ChannelName, Content, CorrelationId, GroupName, InboxEntry, Message, ModuleName,
        NodeName, Payload, Receipt, Settled,
    },
    telemetry::{DropReason, Metrics},
};

/// The channel layer of a single process.
#[derive(Debug)]
pub struct MemoryLayer {
    config: LayerConfig,
    metrics: Arc<Metrics>,
    // Each lock is held for a few operations on maps, never across an await. Only that of a dispatch is
    // taken under one of these.
    queues: Mutex<Queues>,
    /// The workers.
    dispatches: ArcSwap<Vec<Weak<Dispatch>>>,
    groups: Mutex<Groups>,
    inboxes: Mutex<Inboxes>,
    /// Told when something is due earlier than was known.
    earlier: Notify,
    /// Told when a queue that was full has room.
    room: Notify,
}

/// How long a probe may take.
const PROBE: Duration = Duration::from_secs(2);
/// How soon room is looked for where nothing tells of it.
const ROOM_HINT: Duration = Duration::from_millis(10);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves the maps whole: every change is a single operation.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryLayer {
    /// An empty layer.
    pub fn new(config: LayerConfig, metrics: Arc<Metrics>) -> Self {
        Self {
            queues: Mutex::new(Queues::new(&config)),
            groups: Mutex::new(Groups::new(&config)),
            inboxes: Mutex::new(Inboxes::new(config.inbox_bytes)),
            config,
            metrics,
            dispatches: ArcSwap::default(),
            earlier: Notify::new(),
            room: Notify::new(),
        }
    }

    fn check_size(&self, bytes: usize) -> Result<(), SendError> {
        let limit = self.config.message_bytes;
        if bytes > limit { Err(SendError::TooLarge { bytes, limit }) } else { Ok(()) }
    }

    fn put(&self, channel: &ChannelName, message: Message) -> Result<(), SendError> {
        if let Some((node, local)) = channel.connection() {
            let Payload::Custom(content) = message.payload else {
                return Err(LayerError::EventToConnection(channel.clone()).into());
            };
            let entry = InboxEntry::Message {
                to: vec![local],
                content,
                from_group: false,
                correlation: message.correlation,
            };
            lock(&self.inboxes).put(&node, entry, &self.metrics);
            self.metrics.messages_sent.inc();
            return Ok(());
        }
        let now = Instant::now();
        let pushed = lock(&self.queues).push(channel, message, now);
        self.count_drops(pushed.expired, DropReason::Expired);
        if pushed.full {
            return Err(SendError::ChannelFull(channel.clone()));
        }
        self.metrics.messages_sent.inc();
        self.offer_all(now);
        Ok(())
    }

    fn offer_all(&self, now: Instant) {
        for dispatch in self.dispatches.load().iter().filter_map(Weak::upgrade) {
            self.fill(&dispatch, now);
        }
    }

    fn fill(&self, dispatch: &Dispatch, now: Instant) {
        let mut popped = Popped::default();
        let mut queues = lock(&self.queues);
        let before = queues.earliest();
        dispatch.fill(|demand| queues.pop(demand, now, &mut popped));
        self.tell_if_earlier(before, queues);
        self.count_drops(popped.expired, DropReason::Expired);
        self.metrics.messages_received.inc_by(popped.received);
        if popped.made_room {
            self.room.notify_waiters();
        }
    }

    fn count(&self, returned: &Returned) {
        self.metrics.messages_redelivered.inc_by(returned.again as u64);
        self.metrics.messages_dead_lettered.inc_by(returned.dead as u64);
        self.count_drops(returned.lost, DropReason::DeadLetterFull);
    }

    fn count_drops(&self, count: usize, reason: DropReason) {
        self.metrics.dropped_many(reason, count as u64);
    }

    /// Tells the clock if something is due earlier than `before`.
    fn tell_if_earlier(&self, before: Option<Instant>, queues: MutexGuard<'_, Queues>) {
        let earliest = queues.earliest();
        drop(queues);
        if earliest.is_some_and(|earliest| before.is_none_or(|before| earliest < before)) {
            self.earlier.notify_waiters();
        }
    }

    /// Sends the delayed messages that are due, and those whose lease has run out.
    fn promote(&self, now: Instant) {
        let mut queues = lock(&self.queues);
        if !queues.is_due(now) {
            return;
        }
        let returned = queues.reclaim(now);
        let due = queues.due(now);
        queues.look_ahead();
        drop(queues);
        self.count(&returned);
        for (channel, delayed) in due {
            // Tried again until the message would have expired in the channel.
            if self.put(&channel, delayed.message.clone()).is_err()
                && !lock(&self.queues).postpone(channel, delayed, now)
            {
                self.metrics.dropped(DropReason::ChannelFull);
            }
        }
        self.offer_all(now);
    }
}

/// Waits for a notice, or until a moment if there is one.
async fn wait(notice: impl Future<Output = ()>, until: Option<Instant>) {
    match until {
        None => notice.await,
        Some(moment) => drop(tokio::time::timeout_at(moment, notice).await),
    }
}

#[async_trait]
impl ChannelLayer for MemoryLayer {
    async fn send(&self, channel: &ChannelName, message: Message) -> Result<(), SendError> {
        self.check_size(message.len())?;
        self.put(channel, message)
    }

    async fn send_later(
        &self,
        channel: &ChannelName,
        message: Message,
        delay: Duration,
    ) -> Result<(), SendError> {
        self.check_size(message.len())?;
        let mut queues = lock(&self.queues);
        let before = queues.earliest();
        if !queues.delay(channel, message, Instant::now() + delay) {
            return Err(SendError::TooManyDelayed { limit: self.config.delayed_messages });
        }
        self.tell_if_earlier(before, queues);
        Ok(())
    }

    async fn room(&self, channel: &ChannelName) {
        let notice = self.room.notified();
        tokio::pin!(notice);
        notice.as_mut().enable();
        // A channel that is not full may have been refused since the layer is; then this is a hint.
        let soon = Instant::now() + ROOM_HINT;
        let until = lock(&self.queues).room_at(channel).unwrap_or(soon);
        wait(notice, Some(until)).await;
    }

    fn attach(&self, dispatch: &Arc<Dispatch>) {
        self.dispatches.rcu(|attached| {
            let open = |it: &&Weak<Dispatch>| it.upgrade().is_some_and(|it| !it.is_closed());
            let mut attached: Vec<_> = attached.iter().filter(open).cloned().collect();
            attached.push(Arc::downgrade(dispatch));
            attached
        });
        self.offer(dispatch);
    }

    fn offer(&self, dispatch: &Dispatch) {
        let now = Instant::now();
        self.promote(now);
        self.fill(dispatch, now);
    }

    async fn keep_time(&self) {
        loop {
            let earlier = self.earlier.notified();
            tokio::pin!(earlier);
            earlier.as_mut().enable();
            self.promote(Instant::now());
            let next = lock(&self.queues).earliest();
            wait(earlier, next).await;
        }
    }

    async fn settle(
        &self,
        _channel: &ChannelName,
        receipt: &Receipt,
        settled: Settled,
    ) -> Result<(), LayerError> {
        let now = Instant::now();
        let mut queues = lock(&self.queues);
        let before = queues.earliest();
        let returned = queues.settle(receipt.id, settled, now);
        self.tell_if_earlier(before, queues);
        self.count(&returned);
        if returned.again > 0 {
            self.offer_all(now);
        }
        Ok(())
    }

    async fn group_add(&self, group: &GroupName, channel: &ChannelName) -> Result<(), SendError> {
        let is_new = lock(&self.groups)
            .add(group, channel, Instant::now())
            .map_err(|TooMany { limit }| SendError::TooManyGroups { limit })?;
        if !is_new {
            return Ok(());
        }
        if let Some((node, local)) = channel.connection() {
            // Told after it is one: the node ends it at once if the connection is over. A node that is
            // not known, or has no room to look, gets no members.
            let joined = InboxEntry::Joined(local);
            let mut inboxes = lock(&self.inboxes);
            if !inboxes.put(&node, joined, &self.metrics) {
                let is_full = inboxes.is_open(&node);
                drop(inboxes);
                lock(&self.groups).discard(group, channel);
                if is_full {
                    return Err(LayerError::InboxFull(node).into());
                }
            }
        }
        Ok(())
    }

    async fn group_discard(
        &self,
        group: &GroupName,
        channel: &ChannelName,
    ) -> Result<(), LayerError> {
        lock(&self.groups).discard(group, channel);
        Ok(())
    }

    async fn leave_all(&self, connection: &ChannelName) -> Result<(), LayerError> {
        lock(&self.groups).leave_all(connection);
        Ok(())
    }

    async fn group_send(
        &self,
        group: &GroupName,
        content: Content,
        correlation: CorrelationId,
    ) -> Result<GroupSent, SendError> {
        self.check_size(content.as_bytes().len())?;
        let members = lock(&self.groups).members(group, Instant::now());
        let mut sent = GroupSent::default();
        for (node, to) in members.connections {
            let entry =
                InboxEntry::Message { to, content: content.clone(), from_group: true, correlation };
            if lock(&self.inboxes).put(&node, entry, &self.metrics) {
                sent.reached += 1;
            } else {
                sent.missed += 1;
            }
        }
        for channel in members.named {
            let message = Message::custom(content.clone(), correlation);
            match self.put(&channel, message) {
                Ok(()) => sent.reached += 1,
                Err(_) => {
                    self.metrics.dropped(DropReason::GroupChannelFull);
                    sent.missed += 1;
                }
            }
        }
        Ok(sent)
    }

    async fn open_inbox(&self, node: &NodeName) -> Result<(), LayerError> {
        lock(&self.inboxes).open(node);
        Ok(())
    }

    async fn answer(&self, node: &NodeName, answer: Answer) -> Result<(), LayerError> {
        let recipient = lock(&self.inboxes).recipient(node);
        match recipient {
            Some(recipient) => recipient.answer(answer),
            None => {
                lock(&self.inboxes).put(node, InboxEntry::Answer(answer), &self.metrics);
            }
        }
        Ok(())
    }

    fn lend_recipient(&self, node: &NodeName, recipient: Weak<dyn Recipient>) {
        lock(&self.inboxes).lend(node, recipient);
    }

    async fn read_inbox(&self, node: &NodeName) -> Result<Vec<InboxEntry>, LayerError> {
        loop {
            let Some(arrived) = lock(&self.inboxes).notice(node) else {
                return Err(LayerError::NoInbox(node.clone()));
            };
            let notice = arrived.notified();
            tokio::pin!(notice);
            notice.as_mut().enable();
            let entries = lock(&self.inboxes).take(node);
            if !entries.is_empty() {
                return Ok(entries);
            }
            notice.await;
        }
    }

    async fn close_inbox(&self, node: &NodeName) {
        lock(&self.inboxes).close(node);
        lock(&self.groups).forget_node(node);
    }

    async fn probe(&self) -> Result<(), LayerError> {
        let id = CorrelationId::random();
        let channel = ChannelName::parse(&format!("tidegate.probe.{id}"))
            .expect("a fixed prefix and hexadecimal digits are a valid name");
        let owner = ModuleName::parse("tidegate-probe").expect("a valid module name");
        let content = Content::parse(Bytes::from_static(b"\x80")).expect("an empty map");
        let mut message = Message::custom(content, id);
        message.expires_after = Some(Duration::from_secs(5));
        let sent = self.send(&channel, message).await;
        sent.map_err(|error| LayerError::Unavailable(format!("a probe is not taken: {error}")))?;
        let dispatch = Dispatch::new(1, 1);
        dispatch.read(Arc::new(Owners::from([(channel, owner)])), Arc::default());
        self.attach(&dispatch);
        match timeout(PROBE, dispatch.next(self)).await {
            Ok(_) => Ok(()),
            Err(_) => {
                Err(LayerError::TimedOut(format!("a probe was not received within {PROBE:?}")))
            }
        }
    }

    async fn stop(&self) -> LostAtStop {
        let now = Instant::now();
        let (lost, expired) = lock(&self.queues).forget_all(now);
        self.count_drops(expired, DropReason::Expired);
        self.count_drops(
            lost.delayed + lost.at_least_once + lost.at_most_once,
            DropReason::Shutdown,
        );
        lost
    }

    async fn statistics(&self) -> Result<Statistics, LayerError> {
        let (channels, delayed) = lock(&self.queues).statistics(Instant::now());
        Ok(Statistics { channels, delayed, groups: lock(&self.groups).count() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::conformance::{
        Paused, Subject, config, conformance_cases, fairness_cases, one_test_each,
    };
    use crate::{layer::LastingChannels, message::Lasting, shutdown::Drain};

    fn subject() -> std::future::Ready<Subject> {
        let metrics = Arc::new(Metrics::new());
        let layer = Arc::new(MemoryLayer::new(config(), Arc::clone(&metrics)));
        let clock = Arc::clone(&layer);
        let drain = Drain::new(tokio::runtime::Handle::current());
        drop(drain.spawn("later messages", async move { clock.keep_time().await }));
        std::future::ready(Subject { layer, metrics, clock: Box::new(Paused) })
    }

    conformance_cases!(one_test_each! [tokio::test(start_paused = true); subject()]);
    fairness_cases!(one_test_each! [tokio::test(start_paused = true); subject()]);

    fn content(bytes: usize) -> Content {
        let mut map = vec![0x81, 0xa1, b'b', 0xc6];
        map.extend(u32::try_from(bytes - 8).unwrap().to_be_bytes());
        map.resize(bytes, 0);
        Content::parse(map.into()).unwrap()
    }

    fn default_layer() -> (MemoryLayer, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::new());
        (MemoryLayer::new(LayerConfig::default(), Arc::clone(&metrics)), metrics)
    }

    /// A worker with two slots that reads these channels.
    fn worker(
        layer: &MemoryLayer,
        channels: &[ChannelName],
        lasting: Arc<LastingChannels>,
    ) -> Arc<Dispatch> {
        let module = ModuleName::parse("m").unwrap();
        let owners = channels.iter().map(|channel| (channel.clone(), module.clone()));
        let dispatch = Dispatch::new(2, 9);
        dispatch.read(Arc::new(owners.collect()), lasting);
        layer.attach(&dispatch);
        dispatch
    }

    fn message(content: &Content) -> Message {
        Message::custom(content.clone(), CorrelationId::random())
    }

    #[tokio::test]
    async fn by_default_a_message_has_1088_kib_and_10_000_wait_to_be_sent_later() {
        let (layer, _) = default_layer();
        let channel = ChannelName::parse("a").unwrap();
        let limit = 1_088 * 1024;
        layer.send(&channel, message(&content(limit))).await.unwrap();
        let refused = layer.send(&channel, message(&content(limit + 1))).await;
        assert_eq!(refused, Err(SendError::TooLarge { bytes: limit + 1, limit }));
        let (small, delay) = (content(9), Duration::from_secs(60));
        for _ in 0..10_000 {
            layer.send_later(&channel, message(&small), delay).await.unwrap();
        }
        let refused = layer.send_later(&channel, message(&small), delay).await;
        assert_eq!(refused, Err(SendError::TooManyDelayed { limit: 10_000 }));
    }

    #[tokio::test]
    async fn by_default_an_inbox_has_64_mib_and_the_layer_256() {
        let (layer, metrics) = default_layer();
        let mib = content(1024 * 1024);
        let node = NodeName::random();
        layer.open_inbox(&node).await.unwrap();
        let connection = ChannelName::of_connection(&node, &crate::message::LocalName::random());
        for _ in 0..63 {
            layer.send(&connection, message(&mib)).await.unwrap();
        }
        assert_eq!(metrics.dropped_count(DropReason::InboxFull), 0);
        layer.send(&connection, message(&mib)).await.unwrap();
        assert_eq!(metrics.dropped_count(DropReason::InboxFull), 1);
        for number in 0..256 {
            let channel = ChannelName::parse(&format!("c.{}", number % 10)).unwrap();
            layer.send(&channel, message(&mib)).await.unwrap();
        }
        let channel = ChannelName::parse("c.0").unwrap();
        let refused = layer.send(&channel, message(&content(9))).await;
        assert_eq!(refused, Err(SendError::ChannelFull(channel)));
    }

    #[tokio::test]
    async fn all_messages_together_are_bounded_in_bytes() {
        let layer = MemoryLayer::new(config(), Arc::new(Metrics::new()));
        let channel = |name: &str| ChannelName::parse(name).unwrap();
        let large = || message(&content(1_000));
        for name in ["a", "b", "c"] {
            layer.send(&channel(name), large()).await.unwrap();
        }
        let delay = Duration::from_secs(1);
        layer.send_later(&channel("d"), large(), delay).await.unwrap();
        let small = || message(&content(9));
        let full = layer.send(&channel("e"), small()).await;
        assert_eq!(full, Err(SendError::ChannelFull(channel("e"))));
        assert!(layer.send_later(&channel("e"), small(), delay).await.is_err());
        let worker = worker(&layer, &[channel("a")], Arc::default());
        worker.next(&layer).await.unwrap();
        layer.send(&channel("e"), large()).await.unwrap();
        assert!(layer.send(&channel("e"), small()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_lost_at_the_stop_is_counted_by_kind() {
        let (layer, metrics) = default_layer();
        let channel = |name| ChannelName::parse(name).unwrap();
        let at_least_once = Lasting { retries: 1, lease: Duration::from_secs(60) };
        let lasting = Arc::new(LastingChannels::from([(channel("a"), at_least_once)]));
        let send = async |name| layer.send(&channel(name), message(&content(9))).await.unwrap();
        let later = Duration::from_secs(3600);
        layer.send_later(&channel("a"), message(&content(9)), later).await.unwrap();
        // Of two that a worker has, one fails for good, and the other is still out.
        let worker = worker(&layer, &[channel("a"), channel("b")], lasting);
        send("a").await;
        send("a").await;
        let received = worker.next(&layer).await.unwrap();
        worker.next(&layer).await.unwrap();
        worker.close();
        let receipt = received.receipt.unwrap();
        layer.settle(&channel("a"), &receipt, Settled::Dead).await.unwrap();
        send("a").await;
        for _ in 0..4 {
            send("b").await;
        }
        let lost = LostAtStop { delayed: 1, at_least_once: 3, at_most_once: 4 };
        assert_eq!(layer.stop().await, lost);
        assert_eq!(metrics.dropped_count(DropReason::Shutdown), 8);
        assert_eq!(layer.stop().await, LostAtStop::default());
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_expired_before_the_stop_is_counted_as_expired() {
        let (layer, metrics) = default_layer();
        let channel = ChannelName::parse("a").unwrap();
        layer.send(&channel, message(&content(9))).await.unwrap();
        tokio::time::advance(LayerConfig::default().expiry).await;
        assert_eq!(layer.stop().await, LostAtStop::default());
        assert_eq!(metrics.dropped_count(DropReason::Expired), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_message_comes_when_it_is_due() {
        let (layer, _) = default_layer();
        let channel = ChannelName::parse("a").unwrap();
        let worker = worker(&layer, std::slice::from_ref(&channel), Arc::default());
        let (delay, sent) = (Duration::from_secs(10), Instant::now());
        layer.send_later(&channel, message(&content(9)), delay).await.unwrap();
        tokio::select! {
            () = layer.keep_time() => {}
            received = worker.next(&layer) => drop(received.unwrap()),
        }
        let waited = sent.elapsed();
        assert!(waited >= delay && waited <= delay + Duration::from_millis(2), "{waited:?}");
    }

    /// A node that notes the answers it is called with.
    #[derive(Debug, Default)]
    struct Noted(Mutex<Vec<u64>>);

    impl Recipient for Noted {
        fn answer(&self, answer: Answer) {
            lock(&self.0).push(answer.order);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_passes_by_the_inbox_unless_something_is_before_it() {
        let (layer, _) = default_layer();
        let node = NodeName::random();
        layer.open_inbox(&node).await.unwrap();
        let noted = Arc::new(Noted::default());
        let recipient: Arc<dyn Recipient> = Arc::<Noted>::clone(&noted);
        layer.lend_recipient(&node, Arc::downgrade(&recipient));
        let local = crate::message::LocalName::random();
        let connection = ChannelName::of_connection(&node, &local);
        let answer = async |order| {
            let answer = Answer { to: local.clone(), order, replies: Vec::new(), done: None };
            layer.answer(&node, answer).await.unwrap();
        };
        let read = async || layer.read_inbox(&node).await.unwrap().len();
        answer(0).await;
        assert_eq!(read().await, 1, "nobody reads the inbox yet");
        assert!(timeout(Duration::from_nanos(1), read()).await.is_err());
        answer(1).await;
        layer.send(&connection, message(&content(9))).await.unwrap();
        answer(2).await;
        assert_eq!(read().await, 2, "the message and what came after it");
        answer(3).await;
        assert_eq!(read().await, 1, "the reader may not have handed out the message yet");
        assert!(timeout(Duration::from_nanos(1), read()).await.is_err());
        answer(4).await;
        drop(recipient);
        assert_eq!(*lock(&noted.0), [1, 4]);
        drop(noted);
        answer(5).await;
        assert_eq!(read().await, 1, "the node takes no more calls");
    }
}
