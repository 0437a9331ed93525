//! The limits of one invocation, and the meters that watch them.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use wasmtime::ResourceLimiter;

use super::{Fault, ceilings::TABLE_ELEMENTS};

/// Things of the host that a guest may hold at the same time: files, streams, waits. Some are
/// descriptors of the process.
pub(super) const HANDLES: usize = 256;

/// What one invocation may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Wasm instructions, roughly; instantiation included.
    pub fuel: u64,
    /// Time by the clock, waits in the host included.
    pub deadline: Duration,
    /// Bytes of linear memory.
    pub memory: usize,
    /// Entries that wait in the outbox.
    pub outbox_messages: usize,
    /// Bytes that wait in the outbox.
    pub outbox_bytes: usize,
    /// Bytes of log lines and output that the record keeps.
    pub log_bytes: usize,
    /// Calls into the host, those of the standard library included.
    pub host_calls: u64,
    /// Bytes of a connection's state.
    pub state_bytes: usize,
    /// Bytes of one message.
    pub message_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fuel: 1_000_000_000,
            deadline: Duration::from_secs(5),
            memory: 64 * 1024 * 1024,
            outbox_messages: 1_000,
            outbox_bytes: 8 * 1024 * 1024,
            log_bytes: 64 * 1024,
            host_calls: 10_000,
            state_bytes: 16 * 1024,
            message_bytes: (1024 + 64) * 1024,
        }
    }
}

/// Watches memory and tables of an instance.
#[derive(Debug)]
pub(super) struct MemoryMeter {
    limit: usize,
    used: usize,
    tables: usize,
    /// The highest use of this run.
    pub(super) peak: usize,
    /// What was asked for when the limit said no.
    denied: Option<usize>,
}

impl MemoryMeter {
    pub(super) const fn new(limit: usize) -> Self {
        Self { limit, used: 0, tables: 0, peak: 0, denied: None }
    }

    /// Begins another run on a warm instance.
    pub(super) const fn restart(&mut self, limit: usize) {
        self.limit = limit;
        self.peak = self.used;
        self.denied = None;
    }

    /// Whether what is used keeps to a limit.
    pub(super) const fn fits(&self, limit: usize) -> bool {
        self.used <= limit
    }

    /// A guest that was denied memory aborts in ways that do not say so.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.denied.map(|used| Fault::Memory { used, limit: self.limit })
    }
}

impl ResourceLimiter for MemoryMeter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.used.saturating_sub(current).saturating_add(desired);
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        if total > self.limit {
            self.denied = Some(total);
            return Ok(false);
        }
        self.used = total;
        self.peak = self.peak.max(total);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.tables.saturating_sub(current).saturating_add(desired);
        if maximum.is_some_and(|maximum| desired > maximum) || total > TABLE_ELEMENTS {
            return Ok(false);
        }
        self.tables = total;
        Ok(true)
    }
}

/// Reads a clock of processor time.
pub(super) fn processor_time(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Watches calls into the host and the clock.
#[derive(Debug)]
pub(super) struct CallMeter {
    limit: u64,
    pub(super) calls: u64,
    pub(super) started: Instant,
    /// The processor time of the thread at the first look, if there was one: reading it is a system call.
    computed_before: Option<Duration>,
    deadline: Duration,
}

impl CallMeter {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            limit: limits.host_calls,
            calls: 0,
            started: Instant::now(),
            computed_before: None,
            deadline: limits.deadline,
        }
    }

    pub(super) fn call(&mut self) -> Result<(), Fault> {
        self.calls += 1;
        if self.calls > self.limit {
            return Err(Fault::HostCalls { used: self.calls, limit: self.limit });
        }
        Ok(())
    }

    /// Returns how long the run has computed since the first call, which happens at the first tick. Time by
    /// the clock would not do: on a busy machine other threads take their turns in between.
    pub(super) fn computed(&mut self) -> Duration {
        let now = processor_time(ClockId::ThreadCPUTime);
        now.saturating_sub(*self.computed_before.get_or_insert(now))
    }

    pub(super) fn check_deadline(&self) -> Result<(), Fault> {
        let used = self.started.elapsed();
        if used >= self.deadline {
            return Err(self.deadline_fault(used));
        }
        Ok(())
    }

    pub(super) const fn deadline_fault(&self, used: Duration) -> Fault {
        Fault::Deadline { used, limit: self.deadline }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_together_and_all_tables_together_have_a_limit() {
        let mut meter = MemoryMeter::new(1_000);
        assert!(meter.memory_growing(0, 600, None).unwrap());
        assert!(!meter.memory_growing(0, 600, None).unwrap());
        assert_eq!(meter.fault(), Some(Fault::Memory { used: 1_200, limit: 1_000 }));
        assert!(meter.memory_growing(600, 1_000, None).unwrap());
        assert_eq!(meter.peak, 1_000);
        assert!(meter.table_growing(0, 60_000, None).unwrap());
        assert!(!meter.table_growing(0, 60_000, None).unwrap());
        assert!(meter.table_growing(60_000, TABLE_ELEMENTS, None).unwrap());
        assert!(!meter.table_growing(0, 1, None).unwrap());
    }

    #[test]
    fn what_other_threads_compute_makes_no_run_long() {
        const LONG: Duration = Duration::from_millis(5);
        let mut waits = CallMeter::new(&Limits::default());
        assert_eq!(waits.computed(), Duration::ZERO);
        let other = std::thread::spawn(|| {
            let mut computes = CallMeter::new(&Limits::default());
            while computes.computed() < LONG {}
            computes.started.elapsed()
        });
        assert!(other.join().unwrap() >= LONG);
        assert!(waits.started.elapsed() >= LONG);
        assert!(waits.computed() < LONG);
    }
}
