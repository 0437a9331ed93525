//! Counts of what went to the collector, and of what did not.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};

/// Labels of the count of what was sent to the collector.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct BySignal {
    /// `spans` or `lines`.
    pub signal: &'static str,
}

/// Labels of the count of what the collector did not get.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByLoss {
    /// `spans` or `lines`.
    pub signal: &'static str,
    /// Why: a word from a fixed list.
    pub reason: &'static str,
}

/// Counts of what went to the collector and what did not.
#[derive(Clone, Debug, Default)]
pub struct TelemetryCounts {
    /// What was sent.
    pub sent: Family<BySignal, Counter>,
    /// What was lost.
    pub lost: Family<ByLoss, Counter>,
}

/// Why something was lost.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lost {
    /// As many waited as may.
    QueueFull,
    /// The collector did not take it.
    Refused,
    /// The process ended.
    Shutdown,
}

impl Lost {
    const fn word(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Refused => "refused",
            Self::Shutdown => "shutdown",
        }
    }
}

/// Counts for one signal.
#[derive(Clone, Debug)]
pub(super) struct Losses {
    pub(super) signal: &'static str,
    pub(super) counts: TelemetryCounts,
}

impl Losses {
    pub(super) fn count(&self, reason: Lost, count: usize) {
        if count > 0 {
            let by = ByLoss { signal: self.signal, reason: reason.word() };
            self.counts.lost.get_or_create(&by).inc_by(count as u64);
        }
    }

    pub(super) fn sent(&self, count: usize) {
        let by = BySignal { signal: self.signal };
        self.counts.sent.get_or_create(&by).inc_by(count as u64);
    }
}
