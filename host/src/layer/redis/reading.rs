//! Detects entries that left an inbox and did not arrive. Entries of a blocking pop are lost with its answer,
//! and a pop whose caller has given up may still take some.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::redis::{Link, RedisFailure};

/// A pop that is under way. Its caller may turn to something else meanwhile: dropping it would lose what it
/// takes.
pub(super) struct Popping(Pin<Box<dyn Future<Output = Popped> + Send>>);

type Popped = Result<Vec<Vec<u8>>, RedisFailure>;

impl fmt::Debug for Popping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Popping").finish()
    }
}

impl Popping {
    pub(super) fn new(link: &Arc<Link>, key: String, most: usize, timeout: Duration) -> Self {
        let link = Arc::clone(link);
        Self(Box::pin(async move { link.pop(&key, most, timeout).await }))
    }

    /// Waits for the entries. Returns none if there is something else to look at.
    pub(super) async fn or(&mut self, other: &Notify) -> Option<Popped> {
        tokio::select! {
            popped = &mut self.0 => Some(popped),
            () = other.notified() => None,
        }
    }
}

/// Compares the number of entries put into an inbox with the number read of it.
#[derive(Debug, Default)]
pub(super) struct Reading(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Entries that arrived.
    read: i64,
    /// By how many more entries were taken than arrived, as far as is known. Below zero where peers put
    /// entries that they do not count.
    ahead: i64,
    /// The moment of the next comparison.
    next: Option<Instant>,
    /// Until then each read is compared: a pop of a connection that broke may still go on.
    doubtful: Option<Instant>,
}

impl Reading {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a failed pop. The server may go on with it for so long.
    pub(super) fn failed(&self, lasts: Duration) {
        self.state().doubtful = Some(Instant::now() + lasts);
    }

    /// Counts entries that arrived. Returns whether it is time to compare.
    pub(super) fn arrived(&self, entries: usize) -> bool {
        let mut state = self.state();
        state.read += i64::try_from(entries).unwrap_or(i64::MAX);
        let now = Instant::now();
        state.doubtful.is_some() || state.next.is_none_or(|next| next <= now)
    }

    /// So many entries were put into the inbox in all, and so many of them are in it. Returns how many
    /// were lost since it was compared last, and when all of them is known.
    pub(super) fn compare(&self, put: i64, waiting: i64, pause: Duration) -> usize {
        let mut state = self.state();
        let now = Instant::now();
        state.next = Some(now + pause);
        state.doubtful = state.doubtful.filter(|until| *until > now);
        let ahead = put - waiting - state.read;
        let lost = ahead - std::mem::replace(&mut state.ahead, ahead);
        usize::try_from(lost).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn what_was_taken_and_did_not_arrive_is_lost_once() {
        let reading = Reading::default();
        assert!(reading.arrived(3), "nothing was compared yet");
        assert_eq!(reading.compare(5, 2, PAUSE), 0);
        assert!(!reading.arrived(1));
        reading.failed(Duration::from_secs(1));
        assert!(reading.arrived(0));
        assert_eq!(reading.compare(9, 3, PAUSE), 2);
        assert!(reading.arrived(3), "a pop may still go on");
        assert_eq!(reading.compare(9, 0, PAUSE), 0);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(reading.arrived(0));
        assert_eq!(reading.compare(10, 0, PAUSE), 1);
        assert!(!reading.arrived(1));
        tokio::time::advance(PAUSE).await;
        assert!(reading.arrived(0));
    }

    #[tokio::test(start_paused = true)]
    async fn entries_that_are_not_counted_hide_no_later_loss() {
        let reading = Reading::default();
        reading.arrived(7);
        assert_eq!(reading.compare(2, 0, PAUSE), 0);
        assert_eq!(reading.compare(3, 0, PAUSE), 1);
    }
}
