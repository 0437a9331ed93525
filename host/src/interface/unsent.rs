//! Bytes of responses that wait for the client of one HTTP/2 connection. Its requests share a limit, as if
//! they came one after the other: what a client does not read costs no more over many streams than over
//! one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::{message::ModuleName, routing::Route};

/// Expected of a consumer that has not answered yet: this part of the limit.
const UNKNOWN_SHARE: usize = 4;

/// What waits for one client, and what is still to come for it.
#[derive(Debug)]
pub(super) struct Unsent {
    limit: usize,
    /// Locked for single operations only.
    bytes: Mutex<Waiting>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Bytes that wait.
    unsent: usize,
    /// Requests that a consumer has, or will have soon.
    asked: usize,
    /// Bytes that they are expected to be answered with.
    expected: usize,
}

impl Unsent {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, bytes: Mutex::default(), freed: Notify::new() })
    }

    fn bytes(&self) -> MutexGuard<'_, Waiting> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds bytes that wait; false if they are too many.
    pub(super) fn add(&self, bytes: usize) -> bool {
        let mut waiting = self.bytes();
        let fits = waiting.unsent + bytes <= self.limit;
        if fits {
            waiting.unsent += bytes;
        }
        fits
    }

    /// Takes away bytes that have gone to the client, or never will.
    pub(super) fn remove(&self, bytes: usize) {
        if bytes > 0 {
            let mut waiting = self.bytes();
            waiting.unsent = waiting.unsent.saturating_sub(bytes);
            drop(waiting);
            self.freed.notify_waiters();
        }
    }

    /// Waits until there is room for a response; a request is sent to its consumer only then. One alone
    /// always has room. Dropping the future loses nothing.
    pub(super) async fn expect(self: &Arc<Self>, bytes: Option<usize>) -> Expected {
        let bytes = bytes.unwrap_or(self.limit / UNKNOWN_SHARE);
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // From here on nothing is missed.
            freed.as_mut().enable();
            {
                let mut waiting = self.bytes();
                let comes = waiting.unsent + waiting.expected;
                if comes + bytes <= self.limit || (waiting.asked == 0 && waiting.unsent == 0) {
                    waiting.asked += 1;
                    waiting.expected += bytes;
                    return Expected { unsent: Arc::clone(self), bytes };
                }
            }
            freed.await;
        }
    }
}

/// Room for a response. Dropped when the response is there, or when none is awaited soon.
#[derive(Debug)]
pub(super) struct Expected {
    unsent: Arc<Unsent>,
    bytes: usize,
}

impl Drop for Expected {
    fn drop(&mut self) {
        let mut waiting = self.unsent.bytes();
        waiting.asked -= 1;
        waiting.expected -= self.bytes;
        drop(waiting);
        self.unsent.freed.notify_waiters();
    }
}

/// Bytes that wait until this is dropped.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) unsent: Arc<Unsent>,
    pub(super) bytes: usize,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.unsent.remove(self.bytes);
    }
}

struct Counted {
    body: Bytes,
    _kept: Kept,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Kept {
    /// Returns the same bytes; they count until the last part of them is dropped.
    pub(super) fn around(self, body: Bytes) -> Bytes {
        Bytes::from_owner(Counted { body, _kept: self })
    }
}

/// How large the responses of each consumer are. The entry of a consumer that is gone stays: its name and a
/// number.
#[derive(Debug, Default)]
pub(super) struct ResponseSizes(Mutex<HashMap<(ModuleName, Arc<str>), usize>>);

impl ResponseSizes {
    fn sizes(&self) -> MutexGuard<'_, HashMap<(ModuleName, Arc<str>), usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what a consumer is expected to answer with; none if it has never answered.
    pub(super) fn of(&self, route: &Route) -> Option<usize> {
        self.sizes().get(&(route.module.clone(), Arc::clone(&route.consumer))).copied()
    }

    /// Notes an answer. A large one is forgotten in the course of some small ones.
    pub(super) fn note(&self, route: &Route, bytes: usize) {
        let key = (route.module.clone(), Arc::clone(&route.consumer));
        let mut sizes = self.sizes();
        let size = sizes.entry(key).or_default();
        *size = bytes.max(*size - *size / 4);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn what_waits_is_bounded_and_counts_until_its_last_part_is_dropped() {
        let unsent = Unsent::new(100);
        assert!(unsent.add(60));
        assert!(!unsent.add(41));
        let body = Bytes::from(vec![0; 60]);
        let kept = Kept { unsent: Arc::clone(&unsent), bytes: 60 };
        let mut body = kept.around(body);
        let part = body.split_to(10);
        drop(body);
        assert!(!unsent.add(41), "a part holds the whole");
        drop(part);
        assert!(unsent.add(100));
    }

    #[tokio::test]
    async fn a_request_waits_for_room_and_one_alone_does_not() {
        let unsent = Unsent::new(100);
        let large = unsent.expect(Some(1_000)).now_or_never().unwrap();
        assert!(unsent.expect(Some(1)).now_or_never().is_none());
        drop(large);
        let unknown: Vec<_> = (0..4).map(|_| unsent.expect(None).now_or_never().unwrap()).collect();
        let fifth = unsent.expect(None);
        tokio::pin!(fifth);
        assert!(fifth.as_mut().now_or_never().is_none());
        drop(unknown);
        let fifth = fifth.now_or_never().unwrap();
        assert!(unsent.add(90));
        assert!(unsent.expect(Some(11)).now_or_never().is_none());
        drop(fifth);
        assert!(unsent.expect(Some(10)).now_or_never().is_some());
    }
}
