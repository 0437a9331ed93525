//! What waits for the collector: bounded, and counted where it is lost.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::losses::{Losses, Lost};

/// Spans or lines on their way to the exporter. Nobody waits for it.
#[derive(Debug)]
pub(super) struct Queue<T> {
    /// Locked for single operations only.
    waiting: Mutex<Waiting<T>>,
    limit: usize,
    batch: usize,
    /// Notified when a batch is whole. The exporter looks at the others by the clock, so that one more costs no wake-up.
    pub(super) whole: Notify,
    losses: Losses,
}

#[derive(Debug)]
struct Waiting<T> {
    items: VecDeque<T>,
    /// How many were taken, and are not known to be sent or lost.
    in_flight: usize,
    /// Whether all that comes now is lost.
    is_over: bool,
}

impl<T> Queue<T> {
    pub(super) fn new(limit: usize, batch: usize, losses: Losses) -> Self {
        let waiting = Waiting { items: VecDeque::new(), in_flight: 0, is_over: false };
        Self { waiting: Mutex::new(waiting), limit, batch, whole: Notify::new(), losses }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one; without room it is lost.
    pub(super) fn push(&self, item: T) {
        let mut waiting = self.waiting();
        if waiting.is_over || waiting.items.len() >= self.limit {
            let lost = if waiting.is_over { Lost::Shutdown } else { Lost::QueueFull };
            drop(waiting);
            return self.losses.count(lost, 1);
        }
        waiting.items.push_back(item);
        let is_whole = waiting.items.len() == self.batch;
        drop(waiting);
        if is_whole {
            self.whole.notify_one();
        }
    }

    /// Takes as many as are sent at once. Then `sent` or `lost` is called.
    pub(super) fn take(&self) -> Vec<T> {
        let mut waiting = self.waiting();
        let count = waiting.items.len().min(self.batch);
        waiting.in_flight = count;
        waiting.items.drain(..count).collect()
    }

    /// Counts what was taken as sent.
    pub(super) fn sent(&self) {
        self.losses.sent(self.landed());
    }

    /// Counts what was taken as lost, and returns how many that are.
    pub(super) fn lost(&self) -> usize {
        let count = self.landed();
        self.losses.count(Lost::Refused, count);
        count
    }

    /// How many were taken; none if they were given up meanwhile.
    fn landed(&self) -> usize {
        std::mem::take(&mut self.waiting().in_flight)
    }

    /// Says what is in it.
    pub(super) const fn signal(&self) -> &'static str {
        self.losses.signal
    }

    /// Counts all that wait or are on their way as lost, since the process ends, and returns how many they are.
    pub(super) fn give_up(&self) -> usize {
        let mut waiting = self.waiting();
        waiting.is_over = true;
        let left =
            std::mem::take(&mut waiting.items).len() + std::mem::take(&mut waiting.in_flight);
        drop(waiting);
        self.losses.count(Lost::Shutdown, left);
        left
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::telemetry::{ByLoss, BySignal, TelemetryCounts};

    fn queue(limit: usize, batch: usize) -> (Queue<usize>, TelemetryCounts) {
        let counts = TelemetryCounts::default();
        let losses = Losses { signal: "spans", counts: counts.clone() };
        (Queue::new(limit, batch, losses), counts)
    }

    fn lost(counts: &TelemetryCounts, reason: &'static str) -> u64 {
        counts.lost.get_or_create(&ByLoss { signal: "spans", reason }).get()
    }

    fn sent(counts: &TelemetryCounts) -> u64 {
        counts.sent.get_or_create(&BySignal { signal: "spans" }).get()
    }

    #[test]
    fn what_has_no_room_is_lost_and_counted() {
        let (queue, counts) = queue(3, 2);
        for item in 0..5 {
            queue.push(item);
        }
        assert_eq!(lost(&counts, "queue_full"), 2);
        assert_eq!(queue.take(), [0, 1]);
        queue.sent();
        assert_eq!(queue.take(), [2]);
        assert_eq!(queue.lost(), 1);
        assert!(queue.take().is_empty());
        assert_eq!((sent(&counts), lost(&counts, "refused")), (2, 1));
    }

    #[test]
    fn the_exporter_wakes_for_a_whole_batch_alone() {
        let (queue, _) = queue(10, 3);
        queue.push(0);
        queue.push(1);
        assert!(queue.whole.notified().now_or_never().is_none());
        queue.push(2);
        assert!(queue.whole.notified().now_or_never().is_some());
    }

    #[test]
    fn what_is_left_at_the_end_is_counted_once() {
        let (queue, counts) = queue(10, 2);
        for item in 0..3 {
            queue.push(item);
        }
        assert_eq!(queue.take(), [0, 1]);
        assert_eq!(queue.give_up(), 3);
        // The answer of the collector comes too late.
        queue.sent();
        assert_eq!((sent(&counts), queue.lost()), (0, 0));
        queue.push(4);
        assert_eq!(lost(&counts, "shutdown"), 4);
        assert_eq!((queue.give_up(), lost(&counts, "refused")), (0, 0));
    }
}
