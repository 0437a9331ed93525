//! A limit on how often one thing is said, so that whoever causes it cannot flood the log.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

/// How long the same thing is not said again.
const WARN_INTERVAL: Duration = Duration::from_secs(10);

/// Lets one warning through in each interval of 10 s, and counts those that it holds back.
#[derive(Debug)]
pub struct WarnLimit {
    since: Instant,
    /// The last one, in milliseconds after `since` and one more; 0 is never.
    last: AtomicU64,
    held_back: AtomicU64,
}

impl Default for WarnLimit {
    fn default() -> Self {
        let (last, held_back) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { since: Instant::now(), last, held_back }
    }
}

impl WarnLimit {
    /// Returns how many were held back since the last one if this one may be said, and otherwise
    /// counts it.
    pub fn admit(&self) -> Option<u64> {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let now = milliseconds(self.since.elapsed()).saturating_add(1);
        let before = self.last.load(Ordering::Relaxed);
        let is_due = before == 0 || now.saturating_sub(before) >= milliseconds(WARN_INTERVAL);
        let is_first = || {
            let order = Ordering::Relaxed;
            self.last.compare_exchange(before, now, order, order).is_ok()
        };
        if is_due && is_first() {
            return Some(self.held_back.swap(0, Ordering::Relaxed));
        }
        self.held_back.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_in_10_s_is_said_with_the_number_of_those_that_were_not() {
        let limit = WarnLimit::default();
        assert_eq!(limit.admit(), Some(0));
        for _ in 0..5 {
            assert_eq!(limit.admit(), None);
        }
        tokio::time::advance(WARN_INTERVAL).await;
        assert_eq!(limit.admit(), Some(5));
        assert_eq!(limit.admit(), None);
    }
}
