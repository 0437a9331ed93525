//! What a consumer with a schedule is told.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The message of a [`schedule`](macro@crate::schedule).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    /// In milliseconds since 1970.
    due: u64,
}

impl Tick {
    /// The message of a moment, for tests.
    #[must_use]
    pub fn at(moment: SystemTime) -> Self {
        let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { due: u64::try_from(since.as_millis()).unwrap_or(u64::MAX) }
    }

    /// The moment of the schedule. The consumer may run later.
    #[must_use]
    pub fn due(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.due)
    }
}
