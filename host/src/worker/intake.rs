//! Hands messages to free slots: one thread asks the layer, for all that are free.

use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Mutex as TurnMutex, Notify, Semaphore},
    time::Instant,
};
use tokio_util::task::task_tracker::TaskTrackerToken;

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

/// Starts the thread that asks the layer. Not a task: among those of a thousand connections it would be
/// late, while slots wait.
pub(super) fn start(shared: Arc<Shared>, token: TaskTrackerToken) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let run = move || {
        runtime.block_on(shared.intake.feed(&shared));
        drop(token);
    };
    std::thread::Builder::new().name("tidegate-intake".to_owned()).spawn(run).map(drop)
}

/// Who holds which slots, and messages that were taken but not handed out yet.
#[derive(Debug)]
pub(super) struct Intake {
    slots: usize,
    channels: Filtered,
    /// Slots that wait for a message.
    free: AtomicUsize,
    /// One more waits.
    freed: Notify,
    /// Slots each module holds. Locked for single operations only.
    held: Mutex<HashMap<ModuleName, usize>>,
    /// Messages for slots that wait. Locked for single operations only.
    taken: Mutex<VecDeque<Received>>,
    /// As many permits as there are messages, for slots in turn.
    ready: Semaphore,
    /// A module dropped below its ceiling.
    changed: Notify,
    /// Held by who asks the layer.
    turn: TurnMutex<()>,
}

impl Intake {
    pub(super) fn new(slots: usize, channels: ChannelFilter) -> Self {
        Self {
            slots,
            channels: Filtered::new(channels),
            free: AtomicUsize::new(0),
            freed: Notify::new(),
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
        let _free = Free::new(self);
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
        loop {
            let taken = self.taken().len();
            let max = self.free.load(Ordering::Acquire).saturating_sub(taken);
            if max == 0 {
                self.freed.notified().await;
                continue;
            }
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let modules = shared.registry.snapshot();
            let owners = self.channels.of(&modules.owners);
            let demand = Demand {
                max,
                owners: &owners,
                lasting: &modules.lasting,
                held: self.held().clone(),
                ceiling: self.ceiling(),
            };
            tokio::select! {
                biased;
                received = shared.layer.receive(&demand) => match received {
                    Ok(received) => self.hand_out(received),
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

    fn hand_out(&self, received: Vec<Received>) {
        self.hold(&received);
        let count = received.len();
        self.taken().extend(received);
        self.ready.add_permits(count);
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

struct Free<'a>(&'a Intake);

impl<'a> Free<'a> {
    fn new(intake: &'a Intake) -> Self {
        intake.free.fetch_add(1, Ordering::AcqRel);
        intake.freed.notify_one();
        Self(intake)
    }
}

impl Drop for Free<'_> {
    fn drop(&mut self) {
        self.0.free.fetch_sub(1, Ordering::AcqRel);
    }
}
