//! Records of the latest invocations, in memory, bounded.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use tokio::sync::broadcast;

use crate::{
    engine::{Fault, LogLines, Usage},
    message::{ChannelName, CorrelationId, ModuleName},
};

/// The number of records that are kept.
const RECORDS_KEPT: usize = 1_000;
/// Records that wait for a reader that follows them.
const FOLLOWED_RECORDS_MAX: usize = 256;
/// Bytes of log lines that are kept over all records.
const LOG_BYTES_MAX: usize = 16 * 1024 * 1024;

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

impl RecordOutcome {
    /// The name of the outcome: `ok`, `gone`, or the kind of the fault.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Gone => "gone",
            Self::Fault(fault) => fault.kind(),
        }
    }
}

/// The record of one invocation.
#[derive(Debug)]
pub struct Record {
    /// Counts the records of the process from 1.
    pub id: u64,
    /// When it began.
    pub started: SystemTime,
    /// The id that clients and logs have, too.
    pub correlation: CorrelationId,
    /// The module.
    pub module: ModuleName,
    /// Its version.
    pub version: u64,
    /// The version that failed at the task before, if this one ran as its fallback.
    pub in_place_of: Option<u64>,
    /// How often it was run, since data that it had read changed meanwhile; 0 if it was not run.
    pub attempts: u32,
    /// The consumer.
    pub consumer: Arc<str>,
    /// The channel that the message came on.
    pub channel: ChannelName,
    /// How it ended.
    pub outcome: RecordOutcome,
    /// Fuel, time and memory that it used.
    pub usage: Usage,
    /// The lines that it logged.
    pub log: LogLines,
    /// Messages for full channels that were dropped so far: they are tried again for a while after the
    /// consumer has returned.
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

    /// The name of the outcome: `ok`, `gone`, or the kind of the fault.
    pub const fn outcome(&self) -> &'static str {
        self.outcome.word()
    }
}

/// Selects records. A field that is none selects all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those of a module.
    pub module: Option<ModuleName>,
    /// Those that ended in a way: a word of [`Record::outcome`].
    pub outcome: Option<String>,
    /// Those that began then or later.
    pub since: Option<SystemTime>,
    /// Those that began then or earlier.
    pub until: Option<SystemTime>,
    /// Those with an id, in hexadecimal.
    pub correlation: Option<String>,
    /// Those of some modules.
    pub covered: Option<Vec<String>>,
}

impl Filter {
    /// Whether a record is one of them.
    pub fn takes(&self, record: &Record) -> bool {
        self.module.as_ref().is_none_or(|module| *module == record.module)
            && self
                .covered
                .as_ref()
                .is_none_or(|covered| covered.iter().any(|module| module == record.module.as_str()))
            && self.outcome.as_ref().is_none_or(|outcome| outcome == record.outcome())
            && self.since.is_none_or(|since| record.started >= since)
            && self.until.is_none_or(|until| record.started <= until)
            && self.correlation.as_ref().is_none_or(|id| record.correlation.to_string() == *id)
    }
}

/// The latest records.
#[derive(Debug)]
pub struct Records {
    kept: Mutex<Kept>,
    last: AtomicU64,
    live: broadcast::Sender<Arc<Record>>,
}

impl Default for Records {
    fn default() -> Self {
        let live = broadcast::Sender::new(FOLLOWED_RECORDS_MAX);
        Self { kept: Mutex::default(), last: AtomicU64::new(0), live }
    }
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

    /// The number of the next record.
    pub(super) fn next_id(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Follows records from now on. A reader that is too slow misses some, and is told how many.
    pub fn follow(&self) -> broadcast::Receiver<Arc<Record>> {
        self.live.subscribe()
    }

    /// Returns the latest records that a filter selects, newest first, up to a number.
    pub fn search(&self, filter: &Filter, most: usize) -> Vec<Arc<Record>> {
        let kept = self.kept();
        let found = kept.records.iter().rev().filter(|record| filter.takes(record));
        found.take(most).cloned().collect()
    }

    /// Adds a record and drops the oldest if there are too many.
    pub(super) fn add(&self, record: Arc<Record>) {
        // There may be no reader.
        drop(self.live.send(Arc::clone(&record)));
        let mut kept = self.kept();
        kept.log_bytes += record.log.text.len();
        kept.records.push_back(record);
        while kept.records.len() > RECORDS_KEPT || kept.log_bytes > LOG_BYTES_MAX {
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
