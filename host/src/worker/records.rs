//! What is known of past invocations: the latest ones, in memory, bounded.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicUsize},
    time::SystemTime,
};

use crate::{
    engine::{Fault, LogLines, Usage},
    message::{ChannelName, CorrelationId, ModuleName},
};

/// Records that are kept.
const RECORDS: usize = 1_000;
/// Bytes of log lines that are kept over all records.
const LOG_BYTES: usize = 16 * 1024 * 1024;

/// How an invocation ended.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordOutcome {
    /// The consumer returned.
    Ok,
    /// It failed or broke a limit.
    Fault(Fault),
    /// The module has no such consumer any more: nothing ran.
    Gone,
}

/// What is known of one invocation.
#[derive(Debug)]
pub struct Record {
    /// When it began.
    pub started: SystemTime,
    /// The id that clients and logs have, too.
    pub correlation: CorrelationId,
    /// The module.
    pub module: ModuleName,
    /// Its version.
    pub version: u64,
    /// The consumer.
    pub consumer: Arc<str>,
    /// The channel that the message came on.
    pub channel: ChannelName,
    /// How it ended.
    pub outcome: RecordOutcome,
    /// What it used.
    pub usage: Usage,
    /// What it logged.
    pub log: LogLines,
    /// Messages that found full channels and were dropped, so far: they are tried for a while after
    /// the consumer has returned.
    pub messages_dropped: AtomicUsize,
}

impl Record {
    /// The fault, if it failed.
    pub const fn fault(&self) -> Option<&Fault> {
        match &self.outcome {
            RecordOutcome::Fault(fault) => Some(fault),
            RecordOutcome::Ok | RecordOutcome::Gone => None,
        }
    }
}

/// The latest records.
#[derive(Debug, Default)]
pub struct Records {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    records: VecDeque<Arc<Record>>,
    log_bytes: usize,
}

impl Records {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a record and lets the oldest go if there are too many.
    pub(super) fn add(&self, record: Arc<Record>) {
        let mut kept = self.kept();
        kept.log_bytes += record.log.text.len();
        kept.records.push_back(record);
        while kept.records.len() > RECORDS || kept.log_bytes > LOG_BYTES {
            let Some(oldest) = kept.records.pop_front() else { break };
            kept.log_bytes -= oldest.log.text.len();
        }
    }

    /// The records of one correlation id, oldest first.
    pub fn find(&self, correlation: &str) -> Vec<Arc<Record>> {
        let mut found = self.latest();
        found.retain(|record| record.correlation.to_string() == correlation);
        found
    }

    /// All records that are kept, oldest first.
    pub fn latest(&self) -> Vec<Arc<Record>> {
        self.kept().records.iter().cloned().collect()
    }
}
