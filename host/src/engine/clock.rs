//! The epoch of the engine: a thread moves it while guests run, and sleeps while none does.

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

/// How often running guests are looked at.
const TICK: Duration = Duration::from_millis(5);

/// One run that began, in the upper half of the count, and that runs now, in the lower half.
const BEGUN_AND_RUNNING: u64 = (1 << 32) + 1;
const RUNNING: u64 = u32::MAX as u64;

/// The clock of an engine. Its thread ends with it.
pub(super) struct Clock {
    shared: Arc<Shared>,
    thread: Thread,
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Shared {
    /// Guests that run now, and runs that began.
    runs: AtomicU64,
    /// Whether the thread sleeps until a run begins.
    asleep: AtomicBool,
    ended: AtomicBool,
}

/// A guest that runs: the epoch moves until this is dropped.
pub(super) struct Running<'a>(&'a Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.runs.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Clock {
    /// Starts the thread. A task would not do: guests that never yield would keep it from running.
    pub(super) fn start(engine: &wasmtime::Engine) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let (engine, seen) = (engine.weak(), Arc::clone(&shared));
        let run = move || {
            seen.tick(|| engine.upgrade().map(|engine| engine.increment_epoch()));
        };
        let thread = thread::Builder::new().name("tidegate-epoch".into()).spawn(run)?;
        Ok(Self { shared, thread: thread.thread().clone() })
    }

    /// Notes that a guest begins to run. The first tick follows within [`TICK`].
    pub(super) fn run(&self) -> Running<'_> {
        let shared = &*self.shared;
        // Either the thread sees this run before it sleeps, or this sees that it is about to.
        shared.runs.fetch_add(BEGUN_AND_RUNNING, Ordering::SeqCst);
        if shared.asleep.load(Ordering::SeqCst) && shared.asleep.swap(false, Ordering::SeqCst) {
            self.thread.unpark();
        }
        Running(shared)
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

impl Shared {
    /// Calls `tick` each [`TICK`] until it returns none. A tick during which nothing ran is the last one
    /// until a run begins: a run for each short message would otherwise wake the thread each time.
    fn tick(&self, tick: impl Fn() -> Option<()>) {
        let mut runs_before = 0;
        loop {
            // Deadlines are read off a clock: a tick more or less does not matter.
            thread::park_timeout(TICK);
            if self.ended.load(Ordering::SeqCst) || tick().is_none() {
                return;
            }
            let runs = self.runs.load(Ordering::SeqCst);
            if runs == runs_before && runs & RUNNING == 0 {
                self.sleep(runs);
            }
            runs_before = runs;
        }
    }

    /// Sleeps until a run begins.
    fn sleep(&self, runs: u64) {
        self.asleep.store(true, Ordering::SeqCst);
        if self.runs.load(Ordering::SeqCst) != runs {
            self.asleep.store(false, Ordering::SeqCst);
        }
        while self.asleep.load(Ordering::SeqCst) && !self.ended.load(Ordering::SeqCst) {
            thread::park();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    /// A clock, and an entry for each of its ticks.
    fn clock() -> (Clock, Receiver<()>) {
        let shared = Arc::<Shared>::default();
        let (ticks, ticked) = channel();
        let seen = Arc::clone(&shared);
        let thread = thread::spawn(move || seen.tick(|| ticks.send(()).ok()));
        (Clock { shared, thread: thread.thread().clone() }, ticked)
    }

    #[test]
    fn a_clock_ticks_while_something_runs_and_not_otherwise() {
        let (idle, idle_ticks) = clock();
        let (busy, busy_ticks) = clock();
        for _ in 0..3 {
            let running = busy.run();
            // While it ticks 20 times the other one sleeps, after two ticks at most.
            assert!(busy_ticks.iter().take(20).count() == 20);
            assert!(idle_ticks.try_iter().count() <= 2);
            drop(running);
            // A run after a pause has its ticks.
            let running = idle.run();
            assert!(idle_ticks.iter().take(3).count() == 3);
            drop(running);
            // What it ticked before it saw that the run is over.
            while !idle.shared.asleep.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            idle_ticks.try_iter().for_each(drop);
        }
    }

    #[test]
    fn runs_that_follow_each_other_at_once_do_not_wake_the_clock() {
        let (clock, ticks) = clock();
        let (mut ticked, mut asleep) = (0, 0);
        while ticked < 10 {
            drop(clock.run());
            asleep += usize::from(clock.shared.asleep.load(Ordering::SeqCst));
            ticked += ticks.try_iter().count();
        }
        assert_eq!(asleep, 0);
    }

    #[test]
    fn the_thread_ends_with_its_clock() {
        let (clock, ticks) = clock();
        drop(clock);
        // The sender is dropped with the thread.
        ticks.iter().for_each(drop);
    }
}
