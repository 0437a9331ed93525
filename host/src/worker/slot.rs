//! One slot: a thread that takes one message after the other.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{Shared, attempt::Attempt, priority, run::Runner};
use crate::{layer::Received, message::ModuleName};

/// How soon a thread that could not be started is tried again.
const THREAD_RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Starts a slot's thread. It has the priority of the caller's thread to begin with.
pub(super) fn start(number: usize, shared: Arc<Shared>, token: TaskTrackerToken) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let run = move || {
        priority::lower();
        let drain = shared.drain.clone();
        let mut slot = Slot { shared: Arc::clone(&shared), runner: Runner::new(&shared) };
        // The panic is in the log already. Nothing of this slot is used again.
        let ended = catch_unwind(AssertUnwindSafe(|| runtime.block_on(slot.run())));
        drop(catch_unwind(AssertUnwindSafe(|| drop(slot))));
        if ended.is_err() {
            shared.metrics.slot_panics.inc();
        }
        // Also while stopping: messages that were taken are still run.
        if !matches!(ended, Ok(Ended::Stopped)) {
            drain.spawn("slot", replace(number, shared, token));
        }
    };
    std::thread::Builder::new().name(format!("tidegate-slot-{number}")).spawn(run).map(drop)
}

/// Starts another thread in the place of one that gave up its priority or ended by a panic.
async fn replace(number: usize, shared: Arc<Shared>, token: TaskTrackerToken) {
    while let Err(error) = start(number, Arc::clone(&shared), token.clone()) {
        tracing::error!(%error, number, "a slot has no thread; trying again");
        sleep_until(Instant::now() + THREAD_RETRY_PAUSE).await;
        if shared.drain.is_stopping() {
            return;
        }
    }
}

/// Why a slot's loop ended.
enum Ended {
    /// The worker stops, and all messages that were taken are run.
    Stopped,
    /// Its thread gave up its priority.
    Demoted,
}

/// A slot that is busy with a message of a module. Dropping it, also in a panic, frees the slot and the
/// module's place.
struct Held {
    shared: Arc<Shared>,
    module: ModuleName,
}

impl Held {
    fn new(shared: &Arc<Shared>, module: ModuleName) -> Self {
        shared.metrics.slots_busy.inc();
        Self { shared: Arc::clone(shared), module }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.metrics.slots_busy.dec();
        self.shared.dispatch.release(&self.module);
    }
}

struct Slot {
    shared: Arc<Shared>,
    runner: Runner,
}

/// The next thing that a slot does.
enum Next {
    /// Serves a message.
    Message(Received),
    /// Makes an attempt at a message that another slot had before.
    Attempt(Box<Attempt>),
    /// Looks again: versions may have changed, or another slot was faster.
    Look,
    /// Ends: the worker stops, and all messages that were taken are run.
    Stop,
}

impl Slot {
    async fn run(&mut self) -> Ended {
        let mut changes = self.shared.registry.changes();
        loop {
            if changes.has_changed().unwrap_or(false) {
                changes.mark_unchanged();
                // Old code must not live on in a slot.
                self.runner.forget_inactive();
            }
            match self.next(&mut changes).await {
                Next::Message(received) => self.hold(received).await,
                Next::Attempt(attempt) => self.try_again(*attempt).await,
                Next::Look => continue,
                Next::Stop => return Ended::Stopped,
            }
            if priority::is_demoted() && !self.shared.drain.is_stopping() {
                self.shared.dispatch.pass_on(&*self.shared.layer);
                return Ended::Demoted;
            }
        }
    }

    async fn next(&mut self, changes: &mut watch::Receiver<u64>) -> Next {
        let shared = &self.shared;
        let attempt = || shared.again.pop().map(|attempt| Next::Attempt(Box::new(attempt)));
        if let Some(next) = attempt() {
            return next;
        }
        if let Some(received) = shared.dispatch.take(&*shared.layer) {
            return Next::Message(received);
        }
        // Nobody waits for this slot.
        self.runner.prepare().await;
        tokio::select! {
            biased;
            received = shared.dispatch.next(&*shared.layer) => match received {
                Some(received) => Next::Message(received),
                // A commit may have left an attempt before it was done.
                None => attempt().unwrap_or(Next::Stop),
            },
            () = shared.again.pushed() => Next::Look,
            Ok(()) = changes.changed() => {
                self.runner.forget_inactive();
                Next::Look
            }
        }
    }

    /// Is busy with an attempt at a message that another slot had before.
    async fn try_again(&mut self, attempt: Attempt) {
        let module = attempt.version.name.clone();
        self.shared.dispatch.hold_again(&module);
        let _held = Held::new(&self.shared, module);
        self.runner.attempt(attempt).await;
        self.runner.drop_spent();
    }

    /// Is busy with a message.
    async fn hold(&mut self, received: Received) {
        self.shared.metrics.queue_wait.observe(received.waited.as_secs_f64());
        let _held = Held::new(&self.shared, received.module.clone());
        self.runner.serve(received).await;
    }
}
