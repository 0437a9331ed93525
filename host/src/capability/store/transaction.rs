//! The transaction of one run.

use std::{collections::BTreeMap, ops::Bound, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::{
    Commit, CommitError, Committed, Conflicting, Cursor, Data, Entry, Found, InputError, Key,
    KeyRange, Parcel, Prefix, Quota, ReadError, Reads, RunId, RunOutcome, Store, StoreError,
    TimeToLive, TimerWrite, Value, WRITES_MAX, WRITTEN_BYTES_MAX, Write,
    commit::sum,
    timer::{DueTime, TimerWrites},
};
use crate::message::ModuleName;

/// The most keys that one call reads.
pub const READ_KEYS_MAX: usize = 1_000;

/// What one run has read and wants to write. The slot has it while the run's guest calls; nothing of it
/// reaches the store before the [`Commit`] that it becomes.
///
/// The run sees its own writes. It keeps no values: a second read of a key asks the store again, and fails
/// with [`ReadError::Conflict`] if the key has changed in between.
#[derive(Debug)]
pub struct Transaction {
    store: Arc<dyn Store>,
    module: ModuleName,
    run: RunId,
    reads: Reads,
    writes: BTreeMap<Key, Write>,
    relayed: Vec<Parcel>,
    /// How many of them are requests to servers outside.
    requests: usize,
    timers: TimerWrites,
    written_bytes: usize,
    /// Keys that the run has read so far, and may read.
    read: usize,
    reads_max: usize,
    /// Keys of the commits so far.
    written: usize,
}

/// A part of a listing.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Keys with their values, in the order of the keys.
    pub entries: Vec<(Key, Value)>,
    /// Where the listing goes on. None: it is at its end.
    pub cursor: Option<Cursor>,
}

impl Transaction {
    /// Begins the transaction of a run of a module.
    pub fn new(store: Arc<dyn Store>, module: ModuleName) -> Self {
        Self {
            store,
            module,
            run: RunId::random(),
            reads: Reads::default(),
            writes: BTreeMap::new(),
            relayed: Vec::new(),
            requests: 0,
            timers: TimerWrites::default(),
            written_bytes: 0,
            read: 0,
            reads_max: usize::MAX,
            written: 0,
        }
    }

    /// Bounds the keys that the run may read.
    #[must_use]
    pub const fn with_reads_max(mut self, reads_max: usize) -> Self {
        self.reads_max = reads_max;
        self
    }

    /// Reads a key. Dropping the future does nothing.
    pub async fn get(&mut self, key: &Key) -> Result<Option<Value>, ReadError> {
        let values = self.get_many(std::slice::from_ref(key)).await?;
        Ok(values.into_iter().next().flatten())
    }

    /// Reads keys as one moment of the store, in their order. Dropping the future does nothing.
    pub async fn get_many(&mut self, keys: &[Key]) -> Result<Vec<Option<Value>>, ReadError> {
        self.check_reads(keys.len())?;
        self.read += keys.len();
        let is_known =
            |key: &&Key| matches!(self.writes.get(*key), Some(Write::Set { .. } | Write::Delete));
        let asked: Vec<Key> = keys.iter().filter(|key| !is_known(key)).cloned().collect();
        let mut stored = BTreeMap::new();
        if !asked.is_empty() {
            let read = self.store.read(&self.module, &asked, self.reads.clock).await?;
            self.reads.clock = Some(read.clock);
            for (key, found) in asked.into_iter().zip(read.found) {
                self.remember(&key, &found)?;
                stored.insert(key, found);
            }
        }
        keys.iter().map(|key| self.own(key, stored.get(key)).map_err(ReadError::Input)).collect()
    }

    /// Reads keys of another module, which a grant must allow. They are no part of the transaction.
    /// Dropping the future does nothing.
    pub async fn get_many_of(
        &mut self,
        module: &ModuleName,
        keys: &[Key],
    ) -> Result<Vec<Option<Value>>, ReadError> {
        self.check_reads(keys.len())?;
        self.read += keys.len();
        let read = self.store.read(module, keys, self.reads.clock).await?;
        self.reads.clock = Some(read.clock);
        let value = |found| match found {
            Found::Live(entry) => Some(entry.value),
            Found::Absent | Found::Expired(_) => None,
        };
        Ok(read.found.into_iter().map(value).collect())
    }

    /// Sets a key. Nothing is read.
    pub fn set(
        &mut self,
        key: Key,
        value: Value,
        time_to_live: Option<TimeToLive>,
    ) -> Result<(), InputError> {
        self.write(key, Write::Set { value, time_to_live })
    }

    /// Deletes a key, whether it is there or not. Nothing is read.
    pub fn delete(&mut self, key: Key) -> Result<(), InputError> {
        self.write(key, Write::Delete)
    }

    /// Changes an integer by so much. Nothing is read, so that runs which add to the same key do not
    /// conflict. A key that is not there when the run commits counts as 0.
    pub fn add(&mut self, key: Key, delta: i64) -> Result<(), InputError> {
        let write = match self.writes.get(&key) {
            None => Write::Add(delta),
            Some(Write::Add(before)) => {
                Write::Add(sum(&key, Some(&Data::Integer(*before)), delta)?)
            }
            Some(Write::Delete) => {
                Write::Set { value: Value::of_integer(delta), time_to_live: None }
            }
            Some(Write::Set { value, time_to_live }) => {
                let data = Data::Integer(sum(&key, Some(&value.data), delta)?);
                let value = Value { data, schema: value.schema };
                Write::Set { value, time_to_live: *time_to_live }
            }
        };
        self.write(key, write)
    }

    /// Lists keys that begin with a prefix, with their values: `limit` at most, fewer if they are large.
    /// What the run has written itself is among them. Dropping the future does nothing.
    pub async fn list(
        &mut self,
        prefix: &Prefix,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Listed, ReadError> {
        self.check_reads(limit)?;
        let mut after = cursor.map(|cursor| cursor.of(prefix)).transpose()?;
        loop {
            let mut range = KeyRange::new(prefix.clone(), after);
            let page = self.store.scan(&self.module, &range, limit, self.reads.clock).await?;
            self.read += page.entries.len();
            self.reads.clock = Some(page.clock);
            range.last.clone_from(&page.last);
            for (key, entry) in &page.entries {
                let seen = Found::Live(entry.clone()).seen();
                if self.reads.keys.get(key).is_some_and(|before| *before != seen) {
                    return Err(ReadError::Conflict(Conflicting::Key(key.clone())));
                }
            }
            let mut entries = self.merge(&range, page.entries)?;
            self.reads.ranges.push((range, page.digest));
            if entries.is_empty() && page.last.is_some() {
                after = page.last;
                continue;
            }
            let is_cut = entries.len() > limit;
            entries.truncate(limit);
            let last = if is_cut { entries.last().map(|(key, _)| key.clone()) } else { page.last };
            let cursor = last.map(|last| Cursor::behind(prefix, last));
            return Ok(Listed { entries, cursor });
        }
    }

    /// The id of this attempt.
    pub const fn run(&self) -> RunId {
        self.run
    }

    /// All that was read since the last commit.
    pub const fn reads(&self) -> &Reads {
        &self.reads
    }

    /// All that is written since the last commit.
    pub const fn writes(&self) -> &BTreeMap<Key, Write> {
        &self.writes
    }

    /// How many keys the run has read.
    pub const fn keys_read(&self) -> usize {
        self.read
    }

    /// How many keys the run has written, each once for each commit.
    pub fn keys_written(&self) -> usize {
        self.written + self.writes.len()
    }

    /// Whether the commit changes something.
    pub fn changes_something(&self) -> bool {
        !self.writes.is_empty() || !self.relayed.is_empty() || self.timers.len() > 0
    }

    /// Stores a message with the next commit. It is relayed afterwards, in the order of these calls.
    pub fn relay(&mut self, parcel: Parcel) {
        self.relayed.push(parcel);
    }

    /// Stores a request to a server outside, as [`Transaction::relay`] does a message. Messages are bounded where
    /// they are kept until the end of the run; requests are bounded here, with what the run writes.
    pub fn request(&mut self, parcel: Parcel) -> Result<(), InputError> {
        if self.writes.len() + self.timers.len() + self.requests >= WRITES_MAX {
            return Err(InputError::TooManyWrites { limit: WRITES_MAX });
        }
        let bytes = self.written_bytes + parcel.target.len() + parcel.payload.len();
        if bytes > WRITTEN_BYTES_MAX {
            return Err(InputError::TooManyBytes { limit: WRITTEN_BYTES_MAX });
        }
        self.written_bytes = bytes;
        self.requests += 1;
        self.relay(parcel);
        Ok(())
    }

    /// Commits what was read and written so far, and begins anew, as [`Transaction::take`] does. Where the
    /// answer does not come, it asks what has become of the commit until it is told. Dropping the future
    /// leaves the outcome open.
    pub async fn commit(&mut self, quota: Quota) -> Result<Committed, CommitError> {
        let commit = self.take(quota);
        commit_surely(&*self.store, &self.module, commit).await
    }

    /// Returns what is to be committed and begins anew, as for a flush or the end of a run. The clock stays:
    /// what has expired by it is gone for the rest of the run.
    pub fn take(&mut self, quota: Quota) -> Commit {
        let mut commit = Commit::new(self.run, quota);
        self.run = RunId::random();
        (self.written_bytes, self.requests) = (0, 0);
        let clock = self.reads.clock;
        commit.reads = std::mem::replace(&mut self.reads, Reads { clock, ..Reads::default() });
        self.written += self.writes.len();
        commit.writes = std::mem::take(&mut self.writes);
        commit.relayed = std::mem::take(&mut self.relayed);
        commit.timers = self.timers.take();
        commit
    }

    /// Returns a commit that only asks whether what was read still holds, as before a fault counts.
    pub fn check(&self) -> Commit {
        let mut commit = Commit::new(RunId::random(), Quota::NONE);
        commit.reads = self.reads.clone();
        commit
    }

    /// Checks whether so many keys may be read at once, and by the run.
    fn check_reads(&self, asked: usize) -> Result<(), InputError> {
        check_count(asked)?;
        if self.read + asked > self.reads_max {
            return Err(InputError::TooManyReads { limit: self.reads_max });
        }
        Ok(())
    }

    fn remember(&mut self, key: &Key, found: &Found) -> Result<(), ReadError> {
        let seen = found.seen();
        match self.reads.keys.insert(key.clone(), seen) {
            Some(before) if before != seen => {
                // The commit fails by it as well.
                self.reads.keys.insert(key.clone(), before);
                Err(ReadError::Conflict(Conflicting::Key(key.clone())))
            }
            _ => Ok(()),
        }
    }

    /// Returns what the run sees of a key, by its own writes and what is stored.
    fn own(&self, key: &Key, stored: Option<&Found>) -> Result<Option<Value>, InputError> {
        let live = match stored {
            Some(Found::Live(entry)) => Some(&entry.value),
            Some(Found::Absent | Found::Expired(_)) | None => None,
        };
        seen_value(key, self.writes.get(key), live)
    }

    /// Puts the run's own writes among the entries of a range.
    fn merge(
        &self,
        range: &KeyRange,
        entries: Vec<(Key, Entry)>,
    ) -> Result<Vec<(Key, Value)>, InputError> {
        let from = match &range.after {
            Some(after) => Bound::Excluded(after.as_str()),
            None => Bound::Included(range.prefix.as_str()),
        };
        let behind = self.writes.range::<str, _>((from, Bound::Unbounded));
        let own: Vec<_> = behind.take_while(|(key, _)| range.contains(key)).collect();
        if own.is_empty() {
            return Ok(entries.into_iter().map(|(key, entry)| (key, entry.value)).collect());
        }
        let mut merged: BTreeMap<Key, Value> =
            entries.into_iter().map(|(key, entry)| (key, entry.value)).collect();
        for (key, write) in own {
            match seen_value(key, Some(write), merged.get(key))? {
                Some(value) => drop(merged.insert(key.clone(), value)),
                None => drop(merged.remove(key)),
            }
        }
        Ok(merged.into_iter().collect())
    }

    fn write(&mut self, key: Key, write: Write) -> Result<(), InputError> {
        let before = self.writes.get(&key).map(|before| key.as_str().len() + before.len());
        let count = self.writes.len() + self.timers.len() + self.requests;
        if before.is_none() && count >= WRITES_MAX {
            return Err(InputError::TooManyWrites { limit: WRITES_MAX });
        }
        let bytes = self.written_bytes - before.unwrap_or(0) + key.as_str().len() + write.len();
        if bytes > WRITTEN_BYTES_MAX {
            return Err(InputError::TooManyBytes { limit: WRITTEN_BYTES_MAX });
        }
        self.written_bytes = bytes;
        self.writes.insert(key, write);
        Ok(())
    }

    /// Sets a timer with the next commit: the parcel is relayed when it is due. With a key it replaces one of
    /// the module that stands, and what the run has asked for with the same key. Nothing is read.
    pub fn set_timer(
        &mut self,
        key: Option<Key>,
        due: DueTime,
        parcel: Parcel,
    ) -> Result<(), InputError> {
        self.write_timer(TimerWrite::Set { key, due, parcel })
    }

    /// Relays a parcel when it is due, as [`Transaction::relay`] does at once.
    pub fn relay_later(&mut self, parcel: Parcel, due: DueTime) {
        self.timers.push(TimerWrite::Set { key: None, due, parcel });
    }

    /// Cancels a timer with the next commit, whether it stands or not. Nothing is read.
    pub fn cancel_timer(&mut self, key: Key) -> Result<(), InputError> {
        self.write_timer(TimerWrite::Cancel { key })
    }

    fn write_timer(&mut self, write: TimerWrite) -> Result<(), InputError> {
        let before = self.timers.replaced_by(&write).map(TimerWrite::len);
        if before.is_none() && self.writes.len() + self.timers.len() >= WRITES_MAX {
            return Err(InputError::TooManyWrites { limit: WRITES_MAX });
        }
        let bytes = self.written_bytes - before.unwrap_or(0) + write.len();
        if bytes > WRITTEN_BYTES_MAX {
            return Err(InputError::TooManyBytes { limit: WRITTEN_BYTES_MAX });
        }
        self.written_bytes = bytes;
        self.timers.push(write);
        Ok(())
    }
}

/// How long a worker waits before it asks again what has become of a commit.
const OUTCOME_PAUSE: Duration = Duration::from_millis(100);

/// Commits. Where the answer does not come, asks what has become of the commit until it is told. The outcome is
/// [`CommitError::Unknown`] only if the store has stopped. Dropping the future leaves it open.
pub async fn commit_surely(
    store: &dyn Store,
    module: &ModuleName,
    commit: Commit,
) -> Result<Committed, CommitError> {
    let run = commit.run;
    let unknown = match store.commit(module, commit).await {
        Err(CommitError::Unknown { reason }) => reason,
        known => return known,
    };
    loop {
        match store.outcome(module, run).await {
            Ok(RunOutcome::Committed { number }) => return Ok(Committed { number: Some(number) }),
            Ok(RunOutcome::NotCommitted) => {
                return Err(CommitError::Store(StoreError::Away { reason: unknown }));
            }
            // A store that stopped does not know, either.
            Err(StoreError::Stopped { .. }) => {
                return Err(CommitError::Unknown { reason: unknown });
            }
            Err(_) => sleep_until(Instant::now() + OUTCOME_PAUSE).await,
        }
    }
}

fn check_count(asked: usize) -> Result<(), InputError> {
    match asked {
        1..=READ_KEYS_MAX => Ok(()),
        asked => Err(InputError::ReadCount { asked, limit: READ_KEYS_MAX }),
    }
}

/// Returns what a run sees of a key that it has written over what is stored.
fn seen_value(
    key: &Key,
    write: Option<&Write>,
    stored: Option<&Value>,
) -> Result<Option<Value>, InputError> {
    Ok(match write {
        None => stored.cloned(),
        Some(Write::Delete) => None,
        Some(Write::Set { value, .. }) => Some(value.clone()),
        Some(Write::Add(delta)) => {
            let data = Data::Integer(sum(key, stored.map(|value| &value.data), *delta)?);
            Some(Value { data, schema: stored.map_or(0, |value| value.schema) })
        }
    })
}
