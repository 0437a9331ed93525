//! The relay: sends the messages that runs have stored with their data, in the order of the commits.
//!
//! A message to a channel with retries is stored by the commit that is the reason for it. The process that
//! stored it sends it at once. Another process, or the next one over the same data, sends what is left of one
//! that is gone. A message may be sent twice then; its id stays the same, so that its run commits once.

mod dead_letters;

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
    layer::{ChannelLayer, KEPT, SendError},
    message::{ChannelName, MessageId, ModuleName, ProcessTag, Relayed},
    telemetry::{DropReason, Metrics, WarnLimit},
};

/// Messages that are read from the store at once.
const PAGE: usize = 256;
/// How many messages of full channels, and behind them, the relay looks at each time. Behind so many it looks at what
/// is new.
const LOOK_AHEAD_MAX: usize = 4 * PAGE;
/// How often the relay looks for messages of processes that are gone, and tries again what failed.
const SWEEP_PAUSE: Duration = Duration::from_secs(5);
/// The pause before another look for timers that are due already, and of which none could be moved.
const DUE_PAUSE: Duration = Duration::from_millis(100);
/// After so long a message counts as left behind by a process that is gone.
const LEFT_BEHIND_AFTER: Duration = Duration::from_secs(10);
/// How long a process that ends waits for room for its messages.
const FINISH_TIMEOUT: Duration = Duration::from_secs(5);
/// The first pause after a look that sent nothing since channels were full; doubled each time.
const ROOM_PAUSE_MIN: Duration = Duration::from_millis(5);
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
    /// Those of `unsettled` that are stored as dead letters.
    dead: HashSet<MessageId>,
    /// Messages that the layer has taken so far.
    sent: u64,
    /// How far looks have gone behind more messages of full channels than are looked at each time.
    ahead: HashMap<ModuleName, Look>,
}

/// How far the messages of a module were looked at.
#[derive(Debug, Default)]
struct Look {
    /// The last message.
    last: Option<Place>,
    /// The targets of messages that are left waiting: those behind them must not go first.
    full: HashSet<String>,
    /// The first channel that has no room.
    first_full: Option<ChannelName>,
    /// Whether the layer did not answer.
    has_failed: bool,
    /// Whether there was no message behind the last.
    is_at_end: bool,
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

    /// Takes notice that a message is done. Does nothing for one that the layer keeps itself.
    pub(super) fn settled(&self, id: MessageId) {
        if self.state().settle(id) {
            self.woken.notify_one();
        }
    }

    /// Sends what is stored, as it comes. Dropping the future leaves messages stored.
    pub(super) async fn run(&self) {
        let (mut sweep_at, mut pause) = (Instant::now(), Duration::ZERO);
        loop {
            let is_sweep = Instant::now() >= sweep_at;
            if is_sweep {
                sweep_at = Instant::now() + SWEEP_PAUSE;
                // Those that have not come to the end go on.
                self.state().ahead.retain(|_, look| !look.is_at_end);
                if let Ok(modules) = self.store.modules().await {
                    self.state().stored.extend(modules);
                }
            }
            if is_sweep || self.is_due() {
                self.move_due().await;
            }
            if is_sweep {
                self.forget_gone();
            }
            self.forget_settled().await;
            let (stored, sent) = {
                let mut state = self.state();
                (std::mem::take(&mut state.stored), state.sent)
            };
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
                    // A layer that only guesses when there is room is asked less and less.
                    pause = match self.state().sent == sent {
                        true => (pause * 2).clamp(ROOM_PAUSE_MIN, ROOM_TIMEOUT),
                        false => Duration::ZERO,
                    };
                    let until = Instant::now() + ROOM_TIMEOUT;
                    let room = async {
                        self.layer.room(channel).await;
                        sleep_until(Instant::now() + pause).await;
                    };
                    tokio::select! {
                        () = room => {}
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
        self.forget_gone();
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
        self.state().ahead.clear();
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
        let mut look = Look { last: self.state().passed.get(module).copied(), ..Look::default() };
        let mut looked_at = 0;
        while looked_at < LOOK_AHEAD_MAX {
            let count = self.send_page(module, &mut look).await?;
            if look.has_failed || count < PAGE {
                self.state().ahead.remove(module);
                return Ok(look.first_full);
            }
            looked_at += if look.first_full.is_some() { count } else { 0 };
        }
        self.look_ahead(module, look).await
    }

    /// Goes on behind the messages of full channels, from where the last look ended. A channel that was full on
    /// the way waits until the messages before are gone, or for the next sweep: its messages keep their order.
    async fn look_ahead(
        &self,
        module: &ModuleName,
        mut look: Look,
    ) -> Result<Option<ChannelName>, StoreError> {
        let before = self.state().ahead.remove(module);
        if let Some(before) = before.filter(|before| before.last > look.last) {
            look.last = before.last;
            look.full.extend(before.full);
            // There may be more by now.
            look.is_at_end = false;
        }
        let mut looked_at = 0;
        while looked_at < LOOK_AHEAD_MAX && !look.has_failed && !look.is_at_end {
            let count = self.send_page(module, &mut look).await?;
            look.is_at_end = count < PAGE;
            looked_at += count;
        }
        let first_full = look.first_full.take();
        if !look.has_failed {
            self.state().ahead.insert(module.clone(), look);
        }
        Ok(first_full)
    }

    /// Sends the next messages of a look. Returns how many there were.
    async fn send_page(&self, module: &ModuleName, look: &mut Look) -> Result<usize, StoreError> {
        let lives_here = !self.layer.outlives_the_process();
        let page = self.store.waiting(module, look.last, PAGE).await?;
        let (count, mut sent) = (page.len(), Vec::new());
        for (place, parcel) in page {
            look.last = Some(place);
            if look.full.contains(&parcel.target) {
                continue;
            }
            match self.send(module, place, &parcel).await {
                Sent::Forget => sent.push(place),
                Sent::Keep => {}
                Sent::Full(channel) => {
                    look.full.insert(parcel.target);
                    look.first_full.get_or_insert(channel);
                }
                Sent::Failed => {
                    look.has_failed = true;
                    break;
                }
            }
            if lives_here && look.full.is_empty() {
                self.state().passed.insert(module.clone(), place);
            }
        }
        if !sent.is_empty() {
            self.store.forget(module, &sent).await?;
        }
        Ok(count)
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
        let (id, mut message) = (relayed.message.id, relayed.message);
        let is_lasting = (self.is_lasting)(&channel);
        if is_lasting {
            // Nobody may have read the channel yet, so that the layer does not know.
            message.expires_after = Some(KEPT);
        }
        let is_dead = lives_here && channel.living().is_some();
        if is_dead {
            let Some(rest) = dead_letters::rest_of_life(relayed.stored) else {
                self.metrics.dropped(DropReason::Expired);
                return Sent::Forget;
            };
            message.expires_after = Some(rest);
        }
        // The layer keeps it in memory until it is done.
        let stays = lives_here && (is_lasting || is_dead);
        if let (true, Some(id)) = (stays, id) {
            let mut state = self.state();
            if state.unsettled.contains_key(&id) {
                return Sent::Keep;
            }
            // Before it is sent: it may be done at once.
            state.unsettled.insert(id, (module.clone(), place));
        }
        let sent = self.layer.send(&channel, message).await;
        self.state().sent += u64::from(sent.is_ok());
        if let (true, Some(id)) = (stays, id) {
            let mut state = self.state();
            if sent.is_err() {
                state.unsettled.remove(&id);
            } else if is_dead {
                state.dead.insert(id);
            }
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
mod tests;
