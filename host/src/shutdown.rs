//! Stopping: a signal that everybody sees, and a count of what still runs.
//!
//! Each part of the process has a [`Drain`] of its own, so that the parts can stop one after the
//! other: first the interface server, then the workers.

use std::{future::Future, sync::mpsc, thread, time::Duration};

use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

/// Runs blocking work on a thread of its own and waits for its end, for `span` at most. Work that hangs
/// ends with the process. Without a thread the work is left out.
pub fn run_at_most(span: Duration, work: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel();
    let run = move || {
        work();
        // Nobody listens after `span`.
        done.send(()).unwrap_or_default();
    };
    if thread::Builder::new().spawn(run).is_ok() {
        ended.recv_timeout(span).unwrap_or_default();
    }
}

/// A stop signal and the tasks that heed it. Clones are the same drain.
#[derive(Clone, Debug)]
pub struct Drain {
    runtime: Handle,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Drain {
    /// A drain whose tasks run on this runtime, wherever they are started.
    pub fn new(runtime: Handle) -> Self {
        Self { runtime, stop: CancellationToken::new(), tasks: TaskTracker::new() }
    }

    /// The runtime that the tasks run on.
    pub fn runtime(&self) -> Handle {
        self.runtime.clone()
    }

    /// Starts a task that [`Drain::finished`] waits for. The only place that spawns.
    pub fn spawn<F>(&self, name: &'static str, task: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let span = tracing::debug_span!("task", name);
        self.tasks.spawn_on(task.instrument(span), &self.runtime)
    }

    /// Starts a task that is dropped when tasks are told to stop.
    pub fn spawn_until_stopped<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = self.clone();
        self.spawn(name, async move {
            tokio::select! {
                () = task => {}
                () = stop.stopping() => {}
            }
        });
    }

    /// Does something as tasks do, so that timers made there are those of the runtime of tasks.
    pub fn enter<T>(&self, does: impl FnOnce() -> T) -> T {
        let _entered = self.runtime.enter();
        does()
    }

    /// Tells all tasks to stop.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Whether tasks have been told to stop.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Resolves when tasks are told to stop.
    pub async fn stopping(&self) {
        self.stop.cancelled().await;
    }

    /// Resolves when all tasks have ended. Tasks may still be added until then.
    pub async fn finished(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}
