//! The store of one process: a file in its data directory.
//!
//! `redb` keeps the rows in a B-tree that is copied on write, so that reads never wait for a commit and see
//! only what is synced. One thread writes, see `writer`.

mod apply;
mod clock;
mod core;
mod export;
mod lock;
mod open;
mod read;
mod rows;
mod runs;
mod tables;
mod timers;
mod writer;

#[cfg(test)]
mod tests;

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use async_trait::async_trait;
use redb::{ReadOnlyTable, ReadableDatabase as _, ReadableTable as _};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

pub use self::open::OpenError;
use self::{
    apply::runs_from,
    clock::Clock,
    core::Core,
    export::EmbeddedExport,
    open::Opened,
    read::Failure,
    runs::Runs,
    tables::{ALARMS, META, Rows, TIMERS, USAGE, VALUES, WAITING, module_of},
    writer::{Answer, QUEUE_MAX, Request, Writer},
};
use super::{
    Commit, CommitError, Committed, Due, Export, Key, KeyRange, Moment, Page, Parcel, Place, Read,
    RunId, RunOutcome, Store, StoreError, Timer, TimerPlace, Usage,
};
use crate::message::ModuleName;

/// How often a successor looks whether the lock is free.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// The store of one process. Dropping it writes what was asked for before, for which it may wait for a sync.
#[derive(Debug)]
pub struct EmbeddedStore {
    core: Arc<Core>,
    /// None while it is dropped.
    requests: Option<mpsc::Sender<Request>>,
    stopped: Arc<Mutex<Option<StoreError>>>,
    writer: Option<JoinHandle<()>>,
}

impl EmbeddedStore {
    /// Opens the store of a directory, and makes it if it is missing. The process has it alone until the
    /// store is dropped. It reads the whole file: not for a runtime's thread.
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        let clock = Clock::default();
        let Opened { database, lock } = open::open(directory, &clock)?;
        Self::start(Core { database, clock, _lock: Some(lock) }, directory)
    }

    /// Makes a store that ends with the process: for tests and benchmarks of single parts.
    pub fn in_memory() -> Result<Self, OpenError> {
        let (clock, path) = (Clock::default(), Path::new("memory"));
        let backend = redb::backends::InMemoryBackend::new();
        let database = open::open_database(path, &clock, backend)?;
        Self::start(Core { database, clock, _lock: None }, path)
    }

    /// The same for a process that takes over from another: it waits for that one to end, `patience` at
    /// most. Dropping the future gives up.
    pub async fn open_after(directory: &Path, patience: Duration) -> Result<Self, OpenError> {
        let until = Instant::now() + patience;
        loop {
            let path = directory.to_owned();
            let opening = tokio::task::spawn_blocking(move || Self::open(&path)).await;
            let opened = opening.unwrap_or_else(|error| {
                Err(OpenError::Io { path: directory.to_owned(), error: io::Error::other(error) })
            });
            match opened {
                Err(OpenError::InUse { .. }) if Instant::now() < until => {
                    sleep_until(Instant::now() + LOCK_PAUSE).await;
                }
                opened => return opened,
            }
        }
    }

    fn start(core: Core, path: &Path) -> Result<Self, OpenError> {
        let damaged = |failure: Failure| OpenError::Damaged {
            path: path.to_owned(),
            what: failure.to_string(),
        };
        let (core, mut runs) = (Arc::new(core), Runs::default());
        for (run, number) in last_batch(&core).map_err(damaged)? {
            runs.insert(run, RunOutcome::Committed { number });
        }
        let (requests, receiver) = mpsc::channel(QUEUE_MAX);
        let stopped = Arc::default();
        let writer = Writer {
            core: Arc::clone(&core),
            runs,
            requests: receiver,
            stopped: Arc::clone(&stopped),
        };
        let thread = thread::Builder::new().name("store".to_owned()).spawn(|| writer.run());
        let writer = thread.map_err(|error| OpenError::Io { path: path.to_owned(), error })?;
        Ok(Self { core, requests: Some(requests), stopped, writer: Some(writer) })
    }

    /// Why nothing is written any more, if that is so.
    pub fn trouble(&self) -> Option<StoreError> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads from a table as it is at this moment.
    fn reading<T>(
        &self,
        table: Rows,
        reads: impl FnOnce(&ReadOnlyTable<&'static [u8], &'static [u8]>) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        reading(&self.core, table, reads)
    }

    async fn ask<T, E: From<StoreError>>(
        &self,
        request: impl FnOnce(Answer<T, E>) -> Request,
    ) -> Result<T, E> {
        let (answer, answered) = oneshot::channel();
        let stopped = || self.trouble().unwrap_or_else(|| stopped("its thread has ended"));
        let Some(requests) = &self.requests else { return Err(stopped().into()) };
        if requests.send(request(answer)).await.is_err() {
            return Err(stopped().into());
        }
        answered.await.unwrap_or_else(|_| Err(stopped().into()))
    }
}

fn stopped(reason: &str) -> StoreError {
    StoreError::Stopped { reason: reason.to_owned() }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        drop(self.requests.take());
        // A thread that panicked has told of it.
        drop(self.writer.take().map(JoinHandle::join));
    }
}

/// Reads from a table as it is at this moment. The library panics at some damage of the file.
fn reading<T>(
    core: &Core,
    table: Rows,
    reads: impl FnOnce(&ReadOnlyTable<&'static [u8], &'static [u8]>) -> Result<T, Failure>,
) -> Result<T, StoreError> {
    let read = catch_unwind(AssertUnwindSafe(|| {
        let transaction = core.database.begin_read()?;
        reads(&transaction.open_table(table)?)
    }));
    let read = read.unwrap_or_else(|_| {
        Err(Failure::Damaged("the structure of its file cannot be read".to_owned()))
    });
    read.map_err(|failure| StoreError::Damaged { what: failure.to_string() })
}

fn last_batch(core: &Core) -> Result<Vec<(RunId, u64)>, Failure> {
    let transaction = core.database.begin_read()?;
    let batch = transaction.open_table(META)?.get(&b"batch"[..])?;
    Ok(batch.map(|batch| runs_from(batch.value()).collect()).unwrap_or_default())
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn read(
        &self,
        module: &ModuleName,
        keys: &[Key],
        clock: Option<Moment>,
    ) -> Result<Read, StoreError> {
        let clock = clock.unwrap_or_else(|| self.core.clock.now());
        let found = self.reading(VALUES, |values| read::read(values, module, keys, clock))?;
        Ok(Read { clock, found })
    }

    async fn scan(
        &self,
        module: &ModuleName,
        range: &KeyRange,
        limit: usize,
        clock: Option<Moment>,
    ) -> Result<Page, StoreError> {
        let clock = clock.unwrap_or_else(|| self.core.clock.now());
        self.reading(VALUES, |values| read::scan(values, module, range, limit, clock))
    }

    async fn commit(&self, module: &ModuleName, commit: Commit) -> Result<Committed, CommitError> {
        if commit.is_trivial() {
            return Ok(Committed { number: None });
        }
        if commit.is_check() {
            let changed =
                self.reading(VALUES, |values| read::conflict(values, module, &commit.reads))?;
            let checked = changed.map_or(Ok(()), |what| Err(CommitError::Conflict(what)));
            return checked.map(|()| Committed { number: None });
        }
        self.ask(|answer| Request::Commit(module.clone(), Box::new(commit), answer)).await
    }

    async fn outcome(&self, _: &ModuleName, run: RunId) -> Result<RunOutcome, StoreError> {
        self.ask(|answer| Request::Outcome(run, answer)).await
    }

    async fn waiting(
        &self,
        module: &ModuleName,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Vec<(Place, Parcel)>, StoreError> {
        self.reading(WAITING, |waiting| read::waiting(waiting, module, after, limit))
    }

    async fn forget(&self, module: &ModuleName, places: &[Place]) -> Result<(), StoreError> {
        let places = places.to_vec();
        self.ask(|answer| Request::Forget(module.clone(), places, answer)).await.map(drop)
    }

    async fn due(&self, limit: usize) -> Result<Due, StoreError> {
        let now = self.core.clock.now();
        let next = self.reading(ALARMS, |alarms| timers::until_first(alarms, now))?;
        match next {
            Some(Duration::ZERO) => self.ask(|answer| Request::Due(limit, answer)).await,
            next => Ok(Due { modules: Vec::new(), next }),
        }
    }

    async fn timers(
        &self,
        module: &ModuleName,
        after: Option<TimerPlace>,
        limit: usize,
    ) -> Result<Vec<Timer>, StoreError> {
        self.reading(TIMERS, |timers| timers::standing(timers, module, after, limit))
    }

    async fn usage(&self, module: &ModuleName) -> Result<Usage, StoreError> {
        self.reading(USAGE, |usages| read::usage(usages, module))
    }

    async fn modules(&self) -> Result<Vec<ModuleName>, StoreError> {
        self.reading(USAGE, |usages| {
            let mut modules = Vec::new();
            for stored in usages.iter()? {
                let (name, usage) = stored?;
                let usage = read::usage_from(usage.value());
                let is_kept = usage.is_some_and(|usage| usage.keeps_something());
                let module = module_of(name.value()).filter(|module| !module.is_of_host());
                modules.extend(module.filter(|_| is_kept));
            }
            Ok(modules)
        })
    }

    async fn sweep(&self) -> Result<usize, StoreError> {
        let now = self.core.clock.now();
        let is_due = self.reading(tables::EXPIRY, |expiry| {
            let first = expiry.first()?;
            let moment = first.and_then(|(row, _)| row.value().first_chunk().copied());
            Ok(moment.is_some_and(|moment| u64::from_be_bytes(moment) <= now.0))
        })?;
        if is_due { self.ask(Request::Sweep).await } else { Ok(0) }
    }

    async fn export(&self, module: &ModuleName) -> Result<Box<dyn Export>, StoreError> {
        let clock = self.core.clock.now();
        let export = self.reading_owned(module, clock)?;
        Ok(Box::new(export))
    }

    async fn clear(&self, module: &ModuleName) -> Result<(), StoreError> {
        while self.ask(|answer| Request::Clear(module.clone(), answer)).await? > 0 {}
        Ok(())
    }
}

impl EmbeddedStore {
    fn reading_owned(
        &self,
        module: &ModuleName,
        clock: Moment,
    ) -> Result<EmbeddedExport, StoreError> {
        let begin = || -> Result<_, Failure> {
            let transaction = self.core.database.begin_read()?;
            Ok(transaction.open_table(VALUES)?)
        };
        let values =
            begin().map_err(|failure| StoreError::Damaged { what: failure.to_string() })?;
        Ok(EmbeddedExport::new(Arc::clone(&self.core), values, module.clone(), clock))
    }
}
