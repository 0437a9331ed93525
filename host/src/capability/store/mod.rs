//! Data of modules: keys and values that one run reads and writes as one transaction.
//!
//! A run has a [`Transaction`]. It reads from the [`Store`] and remembers what it read; writes wait in it
//! until the end of the run. The [`Commit`] that comes of it takes effect as a whole, if nothing that was
//! read has changed, or not at all. [`EmbeddedStore`] is a file of this process,
//! [`RedisStore`] is for all processes of a layer. `conformance` holds what any store must do.

mod commit;
mod embedded;
mod error;
mod grant;
mod input;
mod key;
mod redis;
mod timer;
mod transaction;
mod value;

#[cfg(test)]
mod conformance;

use std::{fmt::Debug, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until};

pub use self::{
    commit::{
        Commit, Committed, Digest, Found, Note, Page, Parcel, Place, Quota, Read, Reads, RunId,
        RunOutcome, Seen, Usage, WRITES_MAX, WRITTEN_BYTES_MAX, Write,
    },
    embedded::{EmbeddedStore, OpenError},
    error::{CommitError, Conflicting, Counted, ReadError, StoreError},
    grant::StoreGrant,
    input::InputError,
    key::{Cursor, KEY_BYTES_MAX, Key, KeyRange, Prefix},
    redis::{RedisStore, RedisStoreError},
    timer::{Due, DueTime, Timer, TimerPlace, TimerWrite},
    transaction::{Listed, READ_KEYS_MAX, Transaction, commit_surely},
    value::{Data, Entry, Moment, TimeToLive, VALUE_BYTES_MAX, Value, Version},
};
use crate::message::ModuleName;

/// A page ends with the entry that brings it to so many bytes of values.
const PAGE_BYTES: usize = 1024 * 1024;

/// Keeps the data of modules. All processes that share a store see the same.
///
/// Each call is over the keys of one module, so that a store may have modules in different places.
/// Dropping the future of a read does nothing. Dropping that of a call that changes something leaves open
/// whether it does.
#[async_trait]
pub trait Store: Debug + Send + Sync + 'static {
    /// Reads keys as one consistent moment. A slot's thread calls it while a guest waits in a host call, so
    /// that a store without a network is ready at the first poll. `clock` is that of the run's first read;
    /// none for this to be the first. What has expired by it is gone.
    async fn read(
        &self,
        module: &ModuleName,
        keys: &[Key],
        clock: Option<Moment>,
    ) -> Result<Read, StoreError>;

    /// Reads the first entries of a range as one consistent moment: `limit` at most, fewer if they are
    /// large or many have expired. Otherwise like [`Store::read`].
    async fn scan(
        &self,
        module: &ModuleName,
        range: &KeyRange,
        limit: usize,
        clock: Option<Moment>,
    ) -> Result<Page, StoreError>;

    /// Checks what was read, writes, notes, stores what is to be relayed, and sets and cancels timers, in one
    /// step that is synced when this returns. A worker calls it at the end of a run or at a flush, and not again with the same run:
    /// after [`CommitError::Unknown`] it asks for the [`Store::outcome`].
    async fn commit(&self, module: &ModuleName, commit: Commit) -> Result<Committed, CommitError>;

    /// Says what has become of a commit whose answer did not come, and keeps it from taking effect later.
    /// The store remembers a run for 10 minutes, unless its answer came.
    async fn outcome(&self, module: &ModuleName, run: RunId) -> Result<RunOutcome, StoreError>;

    /// Returns parcels behind a place in the order of their commits. The relay calls it.
    async fn waiting(
        &self,
        module: &ModuleName,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Vec<(Place, Parcel)>, StoreError>;

    /// Forgets parcels that were relayed. Synced when this returns.
    async fn forget(&self, module: &ModuleName, places: &[Place]) -> Result<(), StoreError>;

    /// Moves timers that are due to the parcels of their modules that wait to be relayed: `limit` at most on
    /// each server, fewer if they are many or large. Those of a module go in the order of their moments, then
    /// in that in which they were set, and get the number of a commit of their own. Synced when this returns.
    /// A caller calls again after [`Due::next`]. Every process of a store may; each timer is moved once. A
    /// server that is away keeps its timers, and is an error when nothing was moved on another.
    async fn due(&self, limit: usize) -> Result<Due, StoreError>;

    /// Returns timers of a module behind a place, in the order in which they are due, for people to look at.
    async fn timers(
        &self,
        module: &ModuleName,
        after: Option<TimerPlace>,
        limit: usize,
    ) -> Result<Vec<Timer>, StoreError>;

    /// Returns what a module keeps.
    async fn usage(&self, module: &ModuleName) -> Result<Usage, StoreError>;

    /// Returns the modules that keep something.
    async fn modules(&self) -> Result<Vec<ModuleName>, StoreError>;

    /// Takes away some of what has expired, keys and notes. Returns how many that were; a caller that gets
    /// more than 0 calls again. [`sweep_for_ever`] does.
    async fn sweep(&self) -> Result<usize, StoreError>;

    /// Begins to read all keys of a module as they are at this moment, while others go on writing. Timers are
    /// no part of it.
    async fn export(&self, module: &ModuleName) -> Result<Box<dyn Export>, StoreError>;

    /// Forgets everything of a module but the count of its commits. Not in one step: a run at the same time
    /// may see a part.
    async fn clear(&self, module: &ModuleName) -> Result<(), StoreError>;
}

/// All keys of a module at one moment, read bit by bit.
#[async_trait]
pub trait Export: Send {
    /// Returns some more entries that have not expired, none at the end. After an error the export is over.
    async fn next(&mut self) -> Result<Vec<(Key, Entry)>, StoreError>;
}

/// How long a store rests when nothing more has expired.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);

/// Takes away what expires. A task of the process has it; every process of a store may. Dropping it ends it.
pub async fn sweep_for_ever(store: Arc<dyn Store>) {
    loop {
        // A store that does not answer says so to the runs that need it.
        if !matches!(store.sweep().await, Ok(1..)) {
            sleep_until(Instant::now() + SWEEP_PAUSE).await;
        }
    }
}
