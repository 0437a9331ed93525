//! Shares out messages among slots.
//!
//! A layer hands over messages as far as the worker's demand goes. A slot looks for the next message before
//! it sleeps. A sender wakes one slot, and that slot wakes another if there is more, so that one wake-up
//! serves a batch.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, futures::Notified};

use super::{ChannelLayer, Demand, LastingChannels, Owners, Received};
use crate::message::ModuleName;

/// Shares out messages among the slots of a worker.
///
/// A worker makes one, attaches it to its layer, and asks [`Dispatch::next`] on each of its slots.
#[derive(Debug)]
pub struct Dispatch {
    slots: usize,
    /// How many slots one module may hold.
    ceiling: usize,
    /// Locked for single operations only. A layer may hold a lock of its own when it locks this.
    state: Mutex<State>,
    /// Told when the demand grows beyond what a layer was told, and when there are no more demands.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    owners: Arc<Owners>,
    lasting: Arc<LastingChannels>,
    /// Slots each module holds. A message that was handed over counts.
    held: HashMap<ModuleName, usize>,
    /// Slots that all modules hold. Where a layer takes messages from several places at once, there may be more
    /// messages than slots.
    taken: usize,
    ready: VecDeque<Received>,
    /// Slots that sleep, the one that fell asleep last at the end.
    sleeping: Vec<Arc<Notify>>,
    /// Whether a slot was woken that has not looked yet.
    is_waking: bool,
    is_closed: bool,
    /// Layers that may hand over messages after the close.
    feeders: usize,
}

impl Dispatch {
    /// A dispatch for so many slots, of which one module holds `ceiling` at most. It reads no channels yet.
    pub fn new(slots: usize, ceiling: usize) -> Arc<Self> {
        Arc::new(Self {
            slots,
            ceiling,
            state: Mutex::new(State {
                owners: Arc::default(),
                lasting: Arc::default(),
                held: HashMap::new(),
                taken: 0,
                ready: VecDeque::new(),
                sleeping: Vec::new(),
                is_waking: false,
                is_closed: false,
                feeders: 0,
            }),
            changed: Notify::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the state whole: every change is a single operation.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the channels that are read and which of them deliver at least once. The same maps while they are
    /// the same: a layer may know them by address.
    pub fn read(&self, owners: Arc<Owners>, lasting: Arc<LastingChannels>) {
        let mut state = self.state();
        (state.owners, state.lasting) = (owners, lasting);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Counts slots as held by a module.
    #[cfg(test)]
    pub(super) fn hold(&self, module: &ModuleName, slots: usize) {
        let mut state = self.state();
        state.taken += slots;
        state.held.insert(module.clone(), slots);
    }

    /// Gives a layer the present demand.
    pub fn with_demand<T>(&self, look: impl FnOnce(&Demand<'_>) -> T) -> T {
        look(&self.demand(&self.state()))
    }

    /// Resolves when the demand may have grown, or when no more is demanded. For layers whose messages
    /// come from elsewhere.
    pub fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Takes messages one by one as long as a slot is free and `take` has one. For layers that have
    /// messages at hand.
    pub fn fill(&self, mut take: impl FnMut(&Demand<'_>) -> Option<Received>) {
        let mut state = self.state();
        let before = state.ready.len();
        while state.taken < self.slots && !state.is_closed {
            let Some(received) = take(&self.demand(&state)) else { break };
            state.add(received);
        }
        if state.ready.len() > before {
            wake(state);
        }
    }

    /// Takes messages that a layer has taken for a demand. Also after the close: nobody else will have
    /// them.
    pub fn hand_over(&self, received: Vec<Received>) {
        if received.is_empty() {
            return;
        }
        let mut state = self.state();
        for message in received {
            state.add(message);
        }
        wake(state);
    }

    /// Registers a layer that may be taking messages for a demand while the worker stops.
    pub fn feeding(self: &Arc<Self>) -> Feeding {
        self.state().feeders += 1;
        Feeding(Arc::clone(self))
    }

    /// Whether no more messages are demanded.
    pub fn is_closed(&self) -> bool {
        self.state().is_closed
    }

    /// Demands no more. Slots still get what was handed over.
    pub fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        wake_all(state);
        self.changed.notify_waiters();
    }

    /// The next message for a slot, if there is one now. It counts as held by its module until
    /// [`Dispatch::release`]. Never waits.
    pub fn take(&self, layer: &dyn ChannelLayer) -> Option<Received> {
        if let Some(received) = self.pop() {
            return Some(received);
        }
        layer.offer();
        self.pop()
    }

    /// The next message for a slot; none when the dispatch is closed and all that was taken is handed out.
    /// Dropping the future loses nothing.
    pub async fn next(&self, layer: &dyn ChannelLayer) -> Option<Received> {
        loop {
            if let Some(received) = self.take(layer) {
                return Some(received);
            }
            let Some(sleep) = self.sleep() else {
                if self.is_over() {
                    return None;
                }
                continue;
            };
            sleep.notice.notified().await;
            if let Some(received) = sleep.wake_up() {
                return Some(received);
            }
        }
    }

    /// A slot is busy with a message of a module that was released before. It may go beyond the ceiling.
    pub fn hold_again(&self, module: &ModuleName) {
        let mut state = self.state();
        *state.held.entry(module.clone()).or_default() += 1;
        state.taken += 1;
    }

    /// A slot is done with a message of a module. It looks for more itself, or says that it does not by
    /// [`Dispatch::pass_on`].
    pub fn release(&self, module: &ModuleName) {
        let mut state = self.state();
        let was_full = state.taken >= self.slots;
        let Some(count) = state.held.get_mut(module) else { return };
        let was_at_ceiling = *count >= self.ceiling;
        *count -= 1;
        if *count == 0 {
            state.held.remove(module);
        }
        state.taken -= 1;
        drop(state);
        if was_full || was_at_ceiling {
            self.changed.notify_waiters();
        }
    }

    /// Lets another slot look for work in the place of one that ends.
    pub fn pass_on(&self, layer: &dyn ChannelLayer) {
        layer.offer();
        let state = self.state();
        if !state.ready.is_empty() {
            wake(state);
        }
    }

    fn demand<'a>(&self, state: &'a State) -> Demand<'a> {
        Demand {
            max: if state.is_closed { 0 } else { self.slots.saturating_sub(state.taken) },
            owners: &state.owners,
            lasting: &state.lasting,
            held: &state.held,
            ceiling: self.ceiling,
        }
    }

    fn pop(&self) -> Option<Received> {
        let mut state = self.state();
        let received = state.ready.pop_front()?;
        if !state.ready.is_empty() {
            wake(state);
        }
        Some(received)
    }

    fn is_over(&self) -> bool {
        let state = self.state();
        state.is_closed && state.feeders == 0 && state.ready.is_empty()
    }

    /// Puts a slot to sleep, unless there is something to do or nothing will come any more.
    fn sleep(&self) -> Option<Sleep<'_>> {
        let mut state = self.state();
        if !state.ready.is_empty() || (state.is_closed && state.feeders == 0) {
            return None;
        }
        let notice = Arc::new(Notify::new());
        state.sleeping.push(Arc::clone(&notice));
        Some(Sleep { dispatch: self, notice, looks: false })
    }
}

impl State {
    fn add(&mut self, received: Received) {
        *self.held.entry(received.module.clone()).or_default() += 1;
        self.taken += 1;
        self.ready.push_back(received);
    }
}

/// Wakes the slot that fell asleep last, unless one is on its way.
fn wake(mut state: MutexGuard<'_, State>) {
    if state.is_waking {
        return;
    }
    if let Some(notice) = state.sleeping.pop() {
        state.is_waking = true;
        drop(state);
        notice.notify_one();
    }
}

fn wake_all(mut state: MutexGuard<'_, State>) {
    let sleeping = std::mem::take(&mut state.sleeping);
    state.is_waking |= !sleeping.is_empty();
    drop(state);
    for notice in sleeping {
        notice.notify_one();
    }
}

/// A slot that sleeps. Dropping it ends its sleep.
struct Sleep<'a> {
    dispatch: &'a Dispatch,
    notice: Arc<Notify>,
    /// Whether the slot was woken and looks for work.
    looks: bool,
}

impl Sleep<'_> {
    /// Looks for what the slot was woken for.
    fn wake_up(mut self) -> Option<Received> {
        self.looks = true;
        self.dispatch.state().is_waking = false;
        self.dispatch.pop()
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        if self.looks {
            return;
        }
        let mut state = self.dispatch.state();
        let at = state.sleeping.iter().position(|notice| Arc::ptr_eq(notice, &self.notice));
        match at {
            // Its wait was given up.
            Some(at) => drop(state.sleeping.remove(at)),
            // It was woken and does not look: another one has to.
            None => {
                state.is_waking = false;
                if !state.ready.is_empty() {
                    wake(state);
                }
            }
        }
    }
}

/// A layer that takes messages for a worker. The worker's slots go on until it is dropped.
#[derive(Debug)]
pub struct Feeding(Arc<Dispatch>);

impl Drop for Feeding {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.feeders -= 1;
        if state.is_closed && state.feeders == 0 {
            wake_all(state);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, poll};

    use super::*;
    use crate::{
        layer::{LayerConfig, MemoryLayer},
        message::{ChannelName, Content, CorrelationId, Message},
        telemetry::Metrics,
    };

    /// A layer without messages.
    fn empty() -> MemoryLayer {
        MemoryLayer::new(LayerConfig::default(), Arc::new(Metrics::new()))
    }

    fn module() -> ModuleName {
        ModuleName::parse("m").unwrap()
    }

    fn received(count: usize) -> Vec<Received> {
        let one = || Received {
            channel: ChannelName::parse("m.work").unwrap(),
            module: module(),
            message: Message::custom(
                Content::parse(bytes::Bytes::from_static(b"\x80")).unwrap(),
                CorrelationId::random(),
            ),
            waited: std::time::Duration::ZERO,
            receipt: None,
        };
        std::iter::repeat_with(one).take(count).collect()
    }

    #[tokio::test]
    async fn one_slot_is_woken_for_a_batch_and_wakes_the_next() {
        let (layer, dispatch) = (empty(), Dispatch::new(3, 3));
        let mut slots = [(); 3].map(|()| Box::pin(dispatch.next(&layer)));
        for slot in &mut slots {
            assert!(poll!(slot.as_mut()).is_pending());
        }
        dispatch.hand_over(received(2));
        assert_eq!(dispatch.state().sleeping.len(), 2, "one is on its way");
        dispatch.hand_over(received(1));
        assert_eq!(dispatch.state().sleeping.len(), 2, "and sees what comes meanwhile");
        let [first, second, third] = &mut slots;
        assert!(poll!(third.as_mut()).is_ready(), "the one that fell asleep last");
        assert!(poll!(first.as_mut()).is_pending());
        assert!(poll!(second.as_mut()).is_ready(), "the next one is woken by it");
        assert!(poll!(first.as_mut()).is_ready());
    }

    #[tokio::test]
    async fn a_slot_that_gives_up_passes_its_wake_up_on() {
        let (layer, dispatch) = (empty(), Dispatch::new(2, 2));
        let mut one = Box::pin(dispatch.next(&layer));
        let mut other = Box::pin(dispatch.next(&layer));
        assert!(poll!(one.as_mut()).is_pending() && poll!(other.as_mut()).is_pending());
        dispatch.hand_over(received(1));
        drop(other);
        assert!(poll!(one.as_mut()).is_ready());
    }

    #[tokio::test]
    async fn a_slot_that_ends_its_wait_unasked_leaves_nothing_behind() {
        let (layer, dispatch) = (empty(), Dispatch::new(2, 2));
        assert!(dispatch.next(&layer).now_or_never().is_none());
        assert_eq!(dispatch.state().sleeping.len(), 0);
        dispatch.hand_over(received(1));
        assert!(dispatch.next(&layer).now_or_never().is_some());
    }

    #[test]
    fn the_demand_is_what_is_free_and_below_the_ceiling() {
        let dispatch = Dispatch::new(3, 2);
        let demand = || dispatch.with_demand(|it| (it.max, it.held.get(&module()).copied()));
        assert_eq!(demand(), (3, None));
        dispatch.hand_over(received(2));
        assert_eq!(demand(), (1, Some(2)), "a message counts before a slot has it");
        dispatch.release(&module());
        assert_eq!(demand(), (2, Some(1)));
        let mut more = received(5);
        dispatch.fill(|it| (it.max > 0).then(|| more.pop()).flatten());
        assert_eq!((demand(), more.len()), ((0, Some(3)), 3), "no more than slots");
        dispatch.close();
        dispatch.release(&module());
        assert_eq!(demand().0, 0, "a worker that stops demands nothing");
    }

    #[test]
    fn what_was_taken_from_several_places_at_once_may_be_more_than_there_are_slots() {
        let dispatch = Dispatch::new(2, 2);
        let max = || dispatch.with_demand(|it| it.max);
        dispatch.hand_over(received(2));
        dispatch.hand_over(received(2));
        for left in [0, 0, 1, 2] {
            dispatch.release(&module());
            assert_eq!(max(), left);
        }
    }

    #[tokio::test]
    async fn layers_are_told_when_they_may_hand_over_what_they_could_not() {
        let dispatch = Dispatch::new(4, 2);
        let is_told = |does: &dyn Fn()| {
            let changed = dispatch.changed();
            tokio::pin!(changed);
            changed.as_mut().enable();
            does();
            changed.now_or_never().is_some()
        };
        dispatch.hand_over(received(2));
        assert!(is_told(&|| dispatch.release(&module())), "the module held what it may");
        assert!(!is_told(&|| dispatch.release(&module())), "nothing was held back");
        dispatch.hand_over(received(4));
        assert!(is_told(&|| dispatch.release(&module())), "all slots were held");
        assert!(is_told(&|| dispatch.read(Arc::default(), Arc::default())), "other channels");
        assert!(is_told(&|| dispatch.close()), "no more is demanded");
    }

    #[tokio::test]
    async fn slots_end_when_all_that_was_taken_is_handed_out() {
        let (layer, dispatch) = (empty(), Dispatch::new(2, 2));
        let feeding = dispatch.feeding();
        let mut slots = [(); 2].map(|()| Box::pin(dispatch.next(&layer)));
        for slot in &mut slots {
            assert!(poll!(slot.as_mut()).is_pending());
        }
        dispatch.close();
        for slot in &mut slots {
            assert!(poll!(slot.as_mut()).is_pending(), "messages may still be on their way");
        }
        dispatch.hand_over(received(1));
        drop(feeding);
        let mut ended = Vec::new();
        for slot in slots {
            ended.push(slot.await.is_some());
        }
        ended.sort_unstable();
        assert_eq!(ended, [false, true]);
    }
}
