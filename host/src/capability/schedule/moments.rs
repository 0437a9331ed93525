//! Which moments of a schedule a process takes, in time, late, or not at all.

use std::time::{Duration, SystemTime};

use super::{Missed, Schedule};

/// A moment counts as missed when it is so long past.
const LATE_MAX: Duration = Duration::from_secs(60);

/// The moments of a schedule, to be taken one after the other.
#[derive(Clone, Debug)]
pub struct Moments {
    schedule: Schedule,
    /// The next moment that was not taken; none: no calendar reaches it.
    next: Option<SystemTime>,
}

impl Moments {
    /// The moments of a schedule whose version is active since `active`. They begin with those that other
    /// processes may have left out.
    pub fn since(schedule: Schedule, active: SystemTime, now: SystemTime) -> Self {
        let missed = match schedule.missed {
            Missed::Once => schedule.last_before(late(now)).filter(|last| *last > active),
            Missed::Skip => None,
        };
        let next = missed.or_else(|| schedule.next_after(active.max(late(now))));
        Self { next, schedule }
    }

    /// The schedule.
    pub const fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// The next moment that was not taken.
    pub const fn next(&self) -> Option<SystemTime> {
        self.next
    }

    /// Takes the next moment that is due. Of those that are missed it takes the last one, or none, as the
    /// schedule says.
    pub fn take_due(&mut self, now: SystemTime) -> Option<SystemTime> {
        let due = self.next.filter(|due| *due <= now)?;
        if due >= late(now) {
            self.next = self.schedule.next_after(due);
            return Some(due);
        }
        let last = self.schedule.last_before(late(now)).unwrap_or(due).max(due);
        self.next = self.schedule.next_after(last);
        match self.schedule.missed {
            Missed::Once => Some(last),
            // The next one is not missed.
            Missed::Skip => self.take_due(now),
        }
    }

    /// Puts a moment back that came to nothing.
    pub fn put_back(&mut self, due: SystemTime) {
        self.next = Some(self.next.map_or(due, |next| next.min(due)));
    }
}

/// What lies before it is missed.
fn late(now: SystemTime) -> SystemTime {
    now.checked_sub(LATE_MAX).unwrap_or(SystemTime::UNIX_EPOCH)
}
