//! Failures of something that is tried again until it works: the log says so at once, then every 10 seconds.

use std::time::Duration;

use tokio::time::Instant;

/// How often the log says that it still fails.
const WARN_INTERVAL: Duration = Duration::from_secs(10);

/// Counts failures in a row.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    warned: Option<Instant>,
    failures: u64,
}

impl Outage {
    /// Counts a failure. Returns the failures in a row where a log line is due.
    pub(crate) fn fails(&mut self) -> Option<u64> {
        self.failures += 1;
        let is_due = self.warned.is_none_or(|warned| warned.elapsed() >= WARN_INTERVAL);
        is_due.then(|| {
            self.warned = Some(Instant::now());
            self.failures
        })
    }

    /// Counts a success. Returns whether it is the first after failures.
    pub(crate) fn ends(&mut self) -> bool {
        std::mem::take(self).failures > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_said_at_once_and_then_every_10_seconds() {
        let mut outage = Outage::default();
        assert!(!outage.ends());
        let mut said = Vec::new();
        for _ in 0..100 {
            said.extend(outage.fails());
            tokio::time::advance(Duration::from_millis(200)).await;
        }
        assert_eq!(said, [1, 51]);
        assert!(outage.ends() && !outage.ends());
        assert_eq!(outage.fails(), Some(1));
    }
}
