//! Hands messages to free slots: one slot at a time asks the layer, for all that are free.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Mutex as TurnMutex, Notify},
    time::Instant,
};

use super::{
    Shared,
    filter::{ChannelFilter, Filtered},
};
use crate::{
    layer::{Demand, Received},
    message::ModuleName,
};

/// How long to wait before asking a layer again that could not answer.
const RETRY: Duration = Duration::from_millis(200);

/// Who holds which slots, and messages that were taken but not handed out yet.
#[derive(Debug)]
pub(super) struct Intake {
    slots: usize,
    channels: Filtered,
    /// Slots that wait for a message.
    free: AtomicUsize,
    /// Slots each module holds. Locked for single operations only.
    held: Mutex<HashMap<ModuleName, usize>>,
    /// Whoever has it asks the layer; what came beyond its own need waits here.
    turn: TurnMutex<VecDeque<Received>>,
    /// A module dropped below its ceiling, or other modules are in force.
    changed: Notify,
}

impl Intake {
    pub(super) fn new(slots: usize, channels: ChannelFilter) -> Self {
        Self {
            slots,
            channels: Filtered::new(channels),
            free: AtomicUsize::new(0),
            held: Mutex::default(),
            turn: TurnMutex::default(),
            changed: Notify::new(),
        }
    }

    /// Half the slots, at least one: what a single module may hold.
    fn ceiling(&self) -> usize {
        (self.slots / 2).max(1)
    }

    fn held(&self) -> MutexGuard<'_, HashMap<ModuleName, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next message for a slot, which counts as held by the message's module from here on.
    /// Dropping the future loses nothing.
    pub(super) async fn next(&self, shared: &Shared) -> Received {
        let _free = Counted::new(&self.free);
        let mut waiting = self.turn.lock().await;
        let mut changes = shared.registry.changes();
        loop {
            if let Some(received) = waiting.pop_front() {
                return received;
            }
            let modules = shared.registry.snapshot();
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let owners = self.channels.of(&modules.owners);
            let demand = Demand {
                max: self.free.load(Ordering::Relaxed).max(1),
                owners: &owners,
                lasting: &modules.lasting,
                held: self.held().clone(),
                ceiling: self.ceiling(),
            };
            tokio::select! {
                biased;
                received = shared.layer.receive(&demand) => match received {
                    Ok(received) => {
                        self.hold(&received);
                        waiting.extend(received);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "no messages are received; trying again");
                        tokio::time::sleep_until(Instant::now() + RETRY).await;
                    }
                },
                () = &mut changed => {}
                _ = changes.changed() => {}
            }
        }
    }

    /// A slot is done with a message of a module.
    pub(super) fn release(&self, module: &ModuleName) {
        let mut held = self.held();
        let Some(count) = held.get_mut(module) else { return };
        let was_at_ceiling = *count >= self.ceiling();
        *count -= 1;
        if *count == 0 {
            held.remove(module);
        }
        drop(held);
        if was_at_ceiling {
            self.changed.notify_waiters();
        }
    }

    /// A message that was taken before it was said to stop, if there is one more: nobody else will
    /// have it.
    pub(super) async fn rest(&self, shared: &Shared) -> Option<Received> {
        let mut waiting = self.turn.lock().await;
        if waiting.is_empty() {
            let received = shared.layer.leftover().await;
            self.hold(&received);
            waiting.extend(received);
        }
        waiting.pop_front()
    }

    fn hold(&self, received: &[Received]) {
        let mut held = self.held();
        for message in received {
            *held.entry(message.module.clone()).or_default() += 1;
        }
    }
}

struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
