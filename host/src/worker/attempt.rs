//! An attempt at a message, and those that wait for a slot to be made again.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Instant, SystemTime},
};

use tokio::sync::Notify;

use super::{Record, breaker::Pass, delivery::Delivery, turns::OwnTurn};
use crate::{
    engine::{Finished, Job, Limits, Usage},
    message::ChannelName,
    registry::Version,
};

/// How often a run is made whose data changes meanwhile.
const ATTEMPTS_MAX: u32 = 10;

/// One attempt at a message.
pub(super) struct Attempt {
    pub(super) delivery: Arc<Delivery>,
    pub(super) channel: ChannelName,
    pub(super) pass: Pass,
    /// The version that was active when the message came.
    pub(super) active: Arc<Version>,
    /// The version that runs: that one, or its fallback.
    pub(super) version: Arc<Version>,
    pub(super) consumer: Arc<str>,
    /// The job; none while it runs.
    pub(super) job: Option<Job>,
    /// Counts from 1.
    pub(super) number: u32,
    pub(super) started: SystemTime,
    /// When the first attempt began.
    pub(super) began: Instant,
    /// The use of attempts that were thrown away.
    pub(super) thrown_away: Usage,
    /// Its turn to commit alone, if it was thrown away before.
    pub(super) turn: Option<OwnTurn>,
    /// How the active version failed, if this runs in its place.
    pub(super) failed: Option<Box<(Finished, Arc<Record>)>>,
}

impl Attempt {
    pub(super) fn first(
        delivery: Arc<Delivery>,
        version: Arc<Version>,
        channel: ChannelName,
        pass: Pass,
        job: Job,
    ) -> Self {
        Self {
            delivery,
            channel,
            pass,
            active: Arc::clone(&version),
            version,
            consumer: Arc::clone(&job.consumer),
            job: Some(job),
            number: 1,
            started: SystemTime::now(),
            began: Instant::now(),
            thrown_away: Usage::default(),
            turn: None,
            failed: None,
        }
    }

    /// Throws the attempt away and begins the next one. False if too many were made, or nothing is left of what
    /// all of them may use: then the last one counts.
    pub(super) fn begin_again(&mut self, job: Job, usage: &Usage) -> bool {
        let (mut used, limits) = (self.thrown_away, &self.version.limits);
        used.add_attempt(usage);
        let left = Limits {
            deadline: limits.deadline.saturating_sub(self.began.elapsed()),
            fuel: limits.fuel.saturating_sub(used.fuel),
            host_calls: limits.host_calls.saturating_sub(used.host_calls),
            ..(**limits).clone()
        };
        let is_over = left.deadline.is_zero() || left.fuel == 0 || left.host_calls == 0;
        if is_over || self.number >= ATTEMPTS_MAX {
            return false;
        }
        self.thrown_away = used;
        self.job = Some(Job { limits: Arc::new(left), ..job });
        self.number += 1;
        true
    }

    /// Begins the first attempt of another version in the place of the active one, which failed.
    pub(super) fn begin_in_its_place(
        &mut self,
        version: Arc<Version>,
        job: Job,
        failed: (Finished, Arc<Record>),
    ) {
        self.consumer = Arc::clone(&job.consumer);
        self.job = Some(job);
        self.version = version;
        (self.number, self.thrown_away) = (1, Usage::default());
        self.failed = Some(Box::new(failed));
    }
}

/// Attempts that wait for a slot: their commits found that data had changed after their slots were free.
#[derive(Default)]
pub(super) struct Again {
    waiting: Mutex<VecDeque<Attempt>>,
    count: AtomicUsize,
    pushed: Notify,
}

impl std::fmt::Debug for Again {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Again").field("count", &self.count).finish_non_exhaustive()
    }
}

impl Again {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<Attempt>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves an attempt to the next slot that is free.
    pub(super) fn push(&self, attempt: Attempt) {
        let mut waiting = self.waiting();
        waiting.push_back(attempt);
        self.count.store(waiting.len(), Ordering::Release);
        drop(waiting);
        self.pushed.notify_one();
    }

    /// Takes the attempt that has waited longest.
    pub(super) fn pop(&self) -> Option<Attempt> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut waiting = self.waiting();
        let attempt = waiting.pop_front();
        self.count.store(waiting.len(), Ordering::Release);
        if !waiting.is_empty() {
            self.pushed.notify_one();
        }
        attempt
    }

    /// Resolves when an attempt waits, perhaps. Dropping the future loses nothing.
    pub(super) async fn pushed(&self) {
        self.pushed.notified().await;
    }
}
