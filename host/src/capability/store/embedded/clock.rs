//! The clock of an embedded store: that of the machine, which never goes back here.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use super::super::Moment;

#[derive(Debug, Default)]
pub(super) struct Clock {
    latest: AtomicU64,
    /// How far tests have moved the time on.
    #[cfg(test)]
    pub(super) ahead: AtomicU64,
}

impl Clock {
    pub(super) fn now(&self) -> Moment {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let micros = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        #[cfg(test)]
        let micros = micros + self.ahead.load(Ordering::Relaxed);
        Moment(self.latest.fetch_max(micros, Ordering::Relaxed).max(micros))
    }
}
