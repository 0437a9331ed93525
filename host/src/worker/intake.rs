//! Hands messages to free slots: one thread asks the layer, for all that are free.

use std::{
    collections::{HashMap, VecDeque},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Mutex as TurnMutex, Notify, Semaphore},
    time::{Instant, sleep_until},
};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{
    Shared,
    filter::{ChannelFilter, Filtered},
};
use crate::{
    layer::{Demand, Received},
    message::ModuleName,
    outage::Outage,
};

/// How long to wait before asking a layer again that could not answer.
const LAYER_RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Starts the thread that asks the layer. Not a task: among those of a thousand connections it would be
/// late, while slots wait.
pub(super) fn start(shared: Arc<Shared>, token: TaskTrackerToken) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let run = move || {
        // Without this thread no slot ever gets a message again. The panic is in the log already.
        while catch_unwind(AssertUnwindSafe(|| runtime.block_on(shared.intake.feed(&shared))))
            .is_err()
        {}
        drop(token);
    };
    std::thread::Builder::new().name("tidegate-intake".to_owned()).spawn(run).map(drop)
}

/// Who holds which slots, and messages that were taken but not handed out yet.
#[derive(Debug)]
pub(super) struct Intake {
    slots: usize,
    channels: Filtered,
    /// Slots each module holds. Locked for single operations only.
    held: Mutex<HashMap<ModuleName, usize>>,
    /// Messages for slots that wait. Locked for single operations only.
    taken: Mutex<VecDeque<Received>>,
    /// As many permits as there are messages, for slots in turn.
    ready: Semaphore,
    /// A slot is free after all were held, or a module dropped below its ceiling.
    changed: Notify,
    /// Held by who asks the layer.
    turn: TurnMutex<()>,
}

impl Intake {
    pub(super) fn new(slots: usize, channels: ChannelFilter) -> Self {
        Self {
            slots,
            channels: Filtered::new(channels),
            held: Mutex::default(),
            taken: Mutex::default(),
            ready: Semaphore::new(0),
            changed: Notify::new(),
            turn: TurnMutex::default(),
        }
    }

    /// Half the slots, at least one: what a single module may hold.
    fn ceiling(&self) -> usize {
        (self.slots / 2).max(1)
    }

    fn held(&self) -> MutexGuard<'_, HashMap<ModuleName, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn taken(&self) -> MutexGuard<'_, VecDeque<Received>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next message for a slot, which counts as held by the message's module already. Dropping the
    /// future loses nothing.
    pub(super) async fn next(&self) -> Received {
        loop {
            let permit = self.ready.acquire().await.expect("nobody closes the semaphore");
            permit.forget();
            let received = self.taken().pop_front();
            if let Some(received) = received {
                return received;
            }
        }
    }

    /// Asks the layer until the worker is to stop.
    async fn feed(&self, shared: &Shared) {
        let _turn = self.turn.lock().await;
        tokio::select! {
            biased;
            () = shared.drain.stopping() => {}
            () = self.ask(shared) => {}
        }
    }

    async fn ask(&self, shared: &Shared) {
        let mut changes = shared.registry.changes();
        let mut outage = Outage::default();
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let held = self.held().clone();
            let max = self.slots.saturating_sub(held.values().sum());
            if max == 0 {
                changed.await;
                continue;
            }
            let modules = shared.registry.snapshot();
            let owners = self.channels.of(&modules.owners, &shared.registry.withheld());
            let demand = Demand {
                max,
                owners: &owners,
                lasting: &modules.lasting,
                held,
                ceiling: self.ceiling(),
            };
            tokio::select! {
                biased;
                received = shared.layer.receive(&demand) => match received {
                    Ok(received) => {
                        if outage.ends() {
                            tracing::info!("messages are received again");
                        }
                        self.hand_out(received);
                    }
                    Err(error) => {
                        if let Some(failures) = outage.fails() {
                            tracing::warn!(%error, failures, "no messages are received; trying again");
                        }
                        sleep_until(Instant::now() + LAYER_RETRY_PAUSE).await;
                    }
                },
                () = &mut changed => {}
                _ = changes.changed() => {}
            }
        }
    }

    fn hand_out(&self, received: Vec<Received>) {
        self.hold(&received);
        let count = received.len();
        self.taken().extend(received);
        self.ready.add_permits(count);
    }

    /// A slot is done with a message of a module.
    pub(super) fn release(&self, module: &ModuleName) {
        let mut held = self.held();
        let were_all = held.values().sum::<usize>() >= self.slots;
        let Some(count) = held.get_mut(module) else { return };
        let was_at_ceiling = *count >= self.ceiling();
        *count -= 1;
        if *count == 0 {
            held.remove(module);
        }
        drop(held);
        if were_all || was_at_ceiling {
            self.changed.notify_waiters();
        }
    }

    /// A message that was taken before it was said to stop, if there is one more: nobody else will
    /// have it.
    pub(super) async fn rest(&self, shared: &Shared) -> Option<Received> {
        // Nobody asks the layer any more.
        let _turn = self.turn.lock().await;
        if self.taken().is_empty() {
            let received = shared.layer.leftover().await;
            self.hold(&received);
            self.taken().extend(received);
        }
        self.taken().pop_front()
    }

    fn hold(&self, received: &[Received]) {
        let mut held = self.held();
        for message in received {
            *held.entry(message.module.clone()).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    /// Whether the layer is asked again when the module `released` is done with a message, of four slots.
    fn asks_again(held: &[(&str, usize)], released: &str) -> bool {
        let module = |name: &str| ModuleName::parse(name).unwrap();
        let intake = Intake::new(4, ChannelFilter::default());
        intake.held().extend(held.iter().map(|(name, slots)| (module(name), *slots)));
        let changed = intake.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        intake.release(&module(released));
        changed.now_or_never().is_some()
    }

    #[test]
    fn the_layer_is_asked_again_when_it_may_give_what_it_could_not() {
        assert!(asks_again(&[("a", 2), ("b", 1), ("c", 1)], "b"), "all slots were held");
        assert!(asks_again(&[("a", 2), ("b", 1)], "a"), "the module held half of them");
        assert!(!asks_again(&[("a", 2), ("b", 1)], "b"), "it is being asked already");
    }
}
