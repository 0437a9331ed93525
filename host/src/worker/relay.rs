//! The relay: sends the messages that runs have stored with their data, in the order of the commits.
//!
//! A message to a channel with retries is stored by the commit that is the reason for it. The process that
//! stored it sends it at once. Another process, or the next one over the same data, sends what is left of one
//! that is gone. A message may be sent twice then; its id stays the same, so that its run commits once.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until, timeout, timeout_at},
};

use crate::{
    capability::store::{Due, Parcel, Place, Store, StoreError},
    layer::{ChannelLayer, SendError},
    message::{ChannelName, MessageId, ModuleName, ProcessTag, Relayed},
    telemetry::{DropReason, Metrics, WarnLimit},
};

/// Messages that are read from the store at once.
const PAGE: usize = 256;
/// How far the relay looks behind a message whose channel is full, for messages to other channels.
const LOOK_AHEAD_MAX: usize = 4 * PAGE;
/// How often the relay looks for messages of processes that are gone, and tries again what failed.
const SWEEP_PAUSE: Duration = Duration::from_secs(5);
/// The pause before another look for timers that are due already, and of which none could be moved.
const DUE_PAUSE: Duration = Duration::from_millis(100);
/// After so long a message counts as left behind by a process that is gone.
const LEFT_BEHIND_AFTER: Duration = Duration::from_secs(10);
/// How long a process that ends waits for room for its messages.
const FINISH_TIMEOUT: Duration = Duration::from_secs(5);
/// How soon a channel that was full is tried again, if nobody says that there is room.
const ROOM_TIMEOUT: Duration = Duration::from_millis(250);

/// Says whether a channel keeps messages until they are done.
type IsLasting = dyn Fn(&ChannelName) -> bool + Send + Sync;

/// Sends stored messages.
pub(super) struct Relay {
    is_lasting: Box<IsLasting>,
    store: Arc<dyn Store>,
    layer: Arc<dyn ChannelLayer>,
    metrics: Arc<Metrics>,
    process: ProcessTag,
    state: Mutex<State>,
    woken: Notify,
    warnings: WarnLimit,
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("process", &self.process).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    /// Modules that have stored something since the relay last looked.
    stored: HashSet<ModuleName>,
    /// Whether runs may have set timers since then.
    has_set_timers: bool,
    /// When the next timer is due; none: the next sweep looks.
    due_at: Option<Instant>,
    /// The last place of each module before which nothing is to be sent any more, where only this process sends.
    passed: HashMap<ModuleName, Place>,
    /// Messages that were sent and that only this process keeps: they are forgotten when they are done.
    unsettled: HashMap<MessageId, (ModuleName, Place)>,
    /// Places of messages that are done.
    settled: HashMap<ModuleName, Vec<Place>>,
}

impl Relay {
    pub(super) fn new(
        store: Arc<dyn Store>,
        layer: Arc<dyn ChannelLayer>,
        metrics: Arc<Metrics>,
        is_lasting: Box<IsLasting>,
    ) -> Self {
        let (process, state) = (ProcessTag::random(), Mutex::default());
        let (woken, warnings) = (Notify::new(), WarnLimit::default());
        Self { is_lasting, store, layer, metrics, process, state, woken, warnings }
    }

    /// The tag of what this process stores.
    pub(super) const fn process(&self) -> ProcessTag {
        self.process
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the state whole: every change is a single operation.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes notice that a commit of a module has stored messages, or set timers.
    pub(super) fn stored(&self, module: &ModuleName, has_set_timers: bool) {
        let mut state = self.state();
        state.stored.insert(module.clone());
        state.has_set_timers |= has_set_timers;
        drop(state);
        self.woken.notify_one();
    }

    /// Takes notice that a message is done, or dead. Does nothing for one that the layer keeps itself.
    pub(super) fn settled(&self, id: MessageId) {
        let mut state = self.state();
        let Some((module, place)) = state.unsettled.remove(&id) else { return };
        state.settled.entry(module).or_default().push(place);
        drop(state);
        self.woken.notify_one();
    }

    /// Sends what is stored, as it comes. Dropping the future leaves messages stored.
    pub(super) async fn run(&self) {
        let mut sweep_at = Instant::now();
        loop {
            let is_sweep = Instant::now() >= sweep_at;
            if is_sweep {
                sweep_at = Instant::now() + SWEEP_PAUSE;
                if let Ok(modules) = self.store.modules().await {
                    self.state().stored.extend(modules);
                }
            }
            if is_sweep || self.is_due() {
                self.move_due().await;
            }
            self.forget_settled().await;
            let stored = std::mem::take(&mut self.state().stored);
            let mut full = Vec::new();
            for module in stored {
                match self.look(&module).await {
                    Ok(Some(channel)) => full.push((module, channel)),
                    Ok(None) => {}
                    Err(error) => self.warn(&error),
                }
            }
            let woken = self.woken.notified();
            let due_at = self.state().due_at;
            match full.first() {
                None => {
                    drop(timeout_at(due_at.map_or(sweep_at, |at| at.min(sweep_at)), woken).await)
                }
                Some((_, channel)) => {
                    let until = Instant::now() + ROOM_TIMEOUT;
                    tokio::select! {
                        () = self.layer.room(channel) => {}
                        () = woken => {}
                        () = sleep_until(until) => {}
                    }
                    self.state().stored.extend(full.into_iter().map(|(module, _)| module));
                }
            }
        }
    }

    /// Sends what this process has stored and nobody else would send for a while, and forgets what is done.
    /// Returns how many messages are not done that only this process has sent. The worker calls it when the last
    /// run has ended and [`Relay::run`] is dropped.
    pub(super) async fn finish(&self) -> usize {
        self.forget_settled().await;
        if self.layer.outlives_the_process()
            && timeout(FINISH_TIMEOUT, self.send_all()).await.is_err()
        {
            tracing::warn!("stored messages wait for another process: their channels have no room");
        }
        self.state().unsettled.len()
    }

    /// Sends all messages of this process, and waits for room.
    async fn send_all(&self) {
        let modules = self.store.modules().await;
        for module in modules.inspect_err(|error| self.warn(error)).unwrap_or_default() {
            loop {
                match self.look(&module).await {
                    Ok(Some(channel)) => {
                        drop(timeout(ROOM_TIMEOUT, self.layer.room(&channel)).await)
                    }
                    Ok(None) => break,
                    Err(error) => break self.warn(&error),
                }
            }
        }
    }

    /// Whether a timer is due, or may be: a run has set one.
    fn is_due(&self) -> bool {
        let state = self.state();
        state.has_set_timers || state.due_at.is_some_and(|at| at <= Instant::now())
    }

    /// Moves the messages of timers that are due to those that are relayed.
    async fn move_due(&self) {
        self.state().has_set_timers = false;
        match self.store.due(PAGE).await {
            Ok(Due { modules, next }) => {
                // A server that is away has its timers due all the time.
                let is_stuck = modules.is_empty() && next == Some(Duration::ZERO);
                let next = if is_stuck { Some(DUE_PAUSE) } else { next };
                let mut state = self.state();
                state.stored.extend(modules);
                state.due_at = next.map(|span| Instant::now() + span);
            }
            Err(error) => {
                self.state().due_at = None;
                self.warn(&error);
            }
        }
    }

    /// Sends the messages that a module has stored. Returns a channel that has no room, if there is one. What
    /// fails is tried again by the next sweep.
    async fn look(&self, module: &ModuleName) -> Result<Option<ChannelName>, StoreError> {
        let lives_here = !self.layer.outlives_the_process();
        let mut after = self.state().passed.get(module).copied();
        let (mut first_full, mut full, mut looked_at) = (None, HashSet::new(), 0);
        loop {
            let page = self.store.waiting(module, after, PAGE).await?;
            let (count, mut sent, mut failed) = (page.len(), Vec::new(), false);
            for (place, parcel) in page {
                after = Some(place);
                if full.contains(&parcel.target) {
                    continue;
                }
                match self.send(module, place, &parcel).await {
                    Sent::Forget => sent.push(place),
                    Sent::Keep => {}
                    Sent::Full(channel) => {
                        full.insert(parcel.target);
                        first_full.get_or_insert(channel);
                    }
                    Sent::Failed => {
                        failed = true;
                        break;
                    }
                }
                if lives_here && first_full.is_none() {
                    self.state().passed.insert(module.clone(), place);
                }
            }
            if !sent.is_empty() {
                self.store.forget(module, &sent).await?;
            }
            looked_at += if first_full.is_some() { count } else { 0 };
            if failed || count < PAGE || looked_at >= LOOK_AHEAD_MAX {
                return Ok(first_full);
            }
        }
    }

    async fn send(&self, module: &ModuleName, place: Place, parcel: &Parcel) -> Sent {
        let relayed = Relayed::open(&parcel.payload).map_err(|error| error.to_string());
        let target = ChannelName::parse(&parcel.target).map_err(|error| error.to_string());
        let (relayed, channel) = match (relayed, target) {
            (Ok(relayed), Ok(channel)) => (relayed, channel),
            (Err(error), _) | (_, Err(error)) => {
                self.metrics.dropped(DropReason::NotRun);
                tracing::warn!(%module, error, "a stored message cannot be read and is dropped");
                return Sent::Forget;
            }
        };
        let lives_here = !self.layer.outlives_the_process();
        let is_own = lives_here || relayed.process == self.process;
        if !is_own && relayed.stored + LEFT_BEHIND_AFTER > SystemTime::now() {
            return Sent::Keep;
        }
        let id = relayed.message.id;
        // The layer keeps it in memory until it is done.
        let stays = lives_here && (self.is_lasting)(&channel);
        if let (true, Some(id)) = (stays, id) {
            let mut state = self.state();
            if state.unsettled.contains_key(&id) {
                return Sent::Keep;
            }
            // Before it is sent: it may be done at once.
            state.unsettled.insert(id, (module.clone(), place));
        }
        let sent = self.layer.send(&channel, relayed.message).await;
        if let (true, Some(id), Err(_)) = (stays, id, &sent) {
            self.state().unsettled.remove(&id);
        }
        match sent {
            Ok(()) if stays => Sent::Keep,
            Ok(()) => Sent::Forget,
            Err(SendError::ChannelFull(channel)) => Sent::Full(channel),
            Err(SendError::Layer(error)) if error.is_transient() => {
                self.warn(&error);
                Sent::Failed
            }
            Err(error) => {
                self.metrics.dropped(error.drop_reason());
                tracing::warn!(%module, %channel, %error, "a stored message is dropped");
                Sent::Forget
            }
        }
    }

    /// Forgets messages that are done.
    async fn forget_settled(&self) {
        let settled = std::mem::take(&mut self.state().settled);
        for (module, places) in settled {
            if let Err(error) = self.store.forget(&module, &places).await {
                self.warn(&error);
                self.state().settled.entry(module).or_default().extend(places);
            }
        }
    }

    fn warn(&self, error: &dyn std::error::Error) {
        if let Some(held_back) = self.warnings.admit() {
            tracing::warn!(%error, held_back, "stored messages wait to be relayed");
        }
    }
}

#[cfg(test)]
impl Relay {
    /// A relay that nobody runs.
    pub(super) fn idle(layer: &Arc<dyn ChannelLayer>) -> Arc<Self> {
        let store = crate::capability::store::EmbeddedStore::in_memory();
        let store = Arc::new(store.expect("a store in memory needs nothing"));
        let (layer, metrics) = (Arc::clone(layer), Arc::new(Metrics::new()));
        Arc::new(Self::new(store, layer, metrics, Box::new(|_| true)))
    }
}

/// The result of sending a stored message.
enum Sent {
    /// The store need not keep it any more.
    Forget,
    /// It stays: it is not done, or another process sends it.
    Keep,
    /// Its channel has no room.
    Full(ChannelName),
    /// The layer does not answer.
    Failed,
}

#[cfg(test)]
mod tests {
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
            let layer: Arc<dyn ChannelLayer> =
                Arc::new(MemoryLayer::new(config, Arc::clone(&metrics)));
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
}
