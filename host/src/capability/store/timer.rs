//! Timers: parcels that a module stores for later.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use super::{InputError, Key, Moment, Parcel, Place};
use crate::message::ModuleName;

/// How far ahead a timer may be due: one year.
const AHEAD_MAX: Duration = Duration::from_secs(365 * 24 * 3600);
/// Timers that a store moves in one step at most.
pub(super) const DUE_STEP: usize = 1_000;
/// A step ends with the timer that brings it to so many bytes of parcels.
pub(super) const DUE_BYTES: usize = 4 * 1024 * 1024;

/// When a timer is due, by the clock of its store: [`DueTime::after_millis`] or [`DueTime::at_millis`] makes
/// one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueTime(CountedFrom);

/// What a due time is counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CountedFrom {
    /// The commit.
    Commit(Duration),
    /// 1970.
    Epoch(Duration),
}

impl DueTime {
    /// So many milliseconds after the commit, up to one year. 0 is at once.
    pub fn after_millis(millis: u64) -> Result<Self, InputError> {
        let span = Duration::from_millis(millis);
        if span > AHEAD_MAX {
            return Err(InputError::TimerDelay { millis, limit: AHEAD_MAX.as_millis() });
        }
        Ok(Self(CountedFrom::Commit(span)))
    }

    /// So long after the commit; after one year if it is longer.
    pub fn after(span: Duration) -> Self {
        Self(CountedFrom::Commit(span.min(AHEAD_MAX)))
    }

    /// At a moment in milliseconds since 1970, up to one year ahead by the clock of this process. A moment in
    /// the past is that of the commit.
    pub fn at_millis(millis: i64) -> Result<Self, InputError> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let since = Duration::from_millis(u64::try_from(millis).unwrap_or_default());
        if since.saturating_sub(now) > AHEAD_MAX {
            return Err(InputError::TimerMoment { millis, limit: AHEAD_MAX.as_millis() });
        }
        Ok(Self(CountedFrom::Epoch(since)))
    }

    /// Returns the moment for a commit at `now`.
    pub(super) fn for_commit_at(self, now: Moment) -> Moment {
        let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        match self.0 {
            CountedFrom::Commit(span) => Moment(now.0.saturating_add(micros(span))),
            CountedFrom::Epoch(since) => Moment(micros(since)).max(now),
        }
    }

    /// Returns the span from the commit, or else that from 1970.
    pub(super) const fn spans(self) -> (Option<Duration>, Option<Duration>) {
        match self.0 {
            CountedFrom::Commit(span) => (Some(span), None),
            CountedFrom::Epoch(since) => (None, Some(since)),
        }
    }
}

/// What becomes of a timer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimerWrite {
    /// It is set. One with the same key that stands is replaced.
    Set {
        /// Its name in the module, by which it is replaced and cancelled. None: it can be neither.
        key: Option<Key>,
        /// When it is due.
        due: DueTime,
        /// What is relayed then.
        parcel: Parcel,
    },
    /// It is gone. Without one nothing happens.
    Cancel {
        /// Its name.
        key: Key,
    },
}

impl TimerWrite {
    /// The name of the timer.
    pub const fn key(&self) -> Option<&Key> {
        match self {
            Self::Set { key, .. } => key.as_ref(),
            Self::Cancel { key } => Some(key),
        }
    }

    /// Returns how many bytes the write carries.
    pub(super) fn len(&self) -> usize {
        let key = self.key().map_or(0, |key| key.as_str().len());
        match self {
            Self::Set { parcel, .. } => key + parcel.target.len() + parcel.payload.len(),
            Self::Cancel { .. } => key,
        }
    }
}

/// The timers that a run has written so far: the last write of each key, in the order of the calls.
#[derive(Debug, Default)]
pub(super) struct TimerWrites {
    writes: BTreeMap<usize, TimerWrite>,
    keyed: BTreeMap<Key, usize>,
    calls: usize,
}

impl TimerWrites {
    pub(super) fn len(&self) -> usize {
        self.writes.len()
    }

    /// Returns the write that another one replaces.
    pub(super) fn replaced_by(&self, write: &TimerWrite) -> Option<&TimerWrite> {
        self.writes.get(self.keyed.get(write.key()?)?)
    }

    pub(super) fn push(&mut self, write: TimerWrite) {
        self.calls += 1;
        if let Some(key) = write.key()
            && let Some(before) = self.keyed.insert(key.clone(), self.calls)
        {
            self.writes.remove(&before);
        }
        self.writes.insert(self.calls, write);
    }

    /// Returns the writes and begins anew.
    pub(super) fn take(&mut self) -> Vec<TimerWrite> {
        std::mem::take(self).writes.into_values().collect()
    }
}

/// What a step of [`super::Store::due`] has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// The modules whose timers were moved. They have parcels that wait to be relayed.
    pub modules: Vec<ModuleName>,
    /// How long it takes until the next timer is due: zero if one is due already. None: there is none.
    pub next: Option<Duration>,
}

/// A timer that stands, without what it sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer {
    /// Where it is among those of its module.
    pub place: TimerPlace,
    /// Its name.
    pub key: Option<Key>,
    /// Where its parcel goes, as the relay understands it.
    pub target: String,
}

/// Where a timer is among those of its module: they are ordered by when they are due, then by the commits that
/// set them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerPlace {
    /// When it is due, by the clock of the store.
    pub due: Moment,
    /// The commit that set it, and the place in it.
    pub set: Place,
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const YEAR_MILLIS: u64 = 365 * 24 * 3600 * 1000;

    fn millis_now() -> i64 {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        i64::try_from(now.as_millis()).unwrap()
    }

    #[test]
    fn a_timer_is_due_within_a_year() {
        assert!(DueTime::after_millis(YEAR_MILLIS).is_ok());
        let refused = DueTime::after_millis(YEAR_MILLIS + 1).unwrap_err().to_string();
        assert!(refused.contains("31536000001 ms"), "{refused}");
        let (now, year) = (millis_now(), i64::try_from(YEAR_MILLIS).unwrap());
        assert!(DueTime::at_millis(now + year).is_ok());
        // By a clock that goes on meanwhile.
        for moment in [now + year + 60_000, i64::MAX] {
            let refused = DueTime::at_millis(moment).unwrap_err().to_string();
            assert!(refused.contains(&moment.to_string()), "{refused}");
        }
    }

    #[test]
    fn a_moment_in_the_past_is_that_of_the_commit() {
        let now = Moment(5_000_000);
        let due = |due: Result<DueTime, InputError>| due.unwrap().for_commit_at(now).0;
        for past in [i64::MIN, -1, 0, 4_999] {
            assert_eq!(due(DueTime::at_millis(past)), 5_000_000);
        }
        assert_eq!(due(DueTime::at_millis(5_001)), 5_001_000);
        assert_eq!(due(DueTime::after_millis(1)), 5_001_000);
        assert_eq!(due(DueTime::after_millis(0)), 5_000_000);
    }

    #[test]
    fn the_last_write_of_a_key_counts_in_the_order_of_the_calls() {
        let key = |text: &str| Key::parse(text).unwrap();
        let set = |name: Option<&str>, payload: &'static [u8]| TimerWrite::Set {
            key: name.map(key),
            due: DueTime::after_millis(1).unwrap(),
            parcel: Parcel { target: "mail".to_owned(), payload: Bytes::from_static(payload) },
        };
        let mut timers = TimerWrites::default();
        let calls = [set(Some("a"), b"1"), set(None, b"2"), set(Some("b"), b"3"), set(None, b"2")];
        for write in calls.clone() {
            assert_eq!(timers.replaced_by(&write), None);
            timers.push(write);
        }
        let [first, anonymous, b, _] = calls;
        let later = set(Some("a"), b"4");
        assert_eq!(timers.replaced_by(&later), Some(&first));
        timers.push(later.clone());
        timers.push(TimerWrite::Cancel { key: key("c") });
        assert_eq!(timers.len(), 5);
        let cancel = TimerWrite::Cancel { key: key("c") };
        assert_eq!(timers.take(), [anonymous.clone(), b, anonymous, later, cancel]);
        assert_eq!(timers.len(), 0);
    }
}
