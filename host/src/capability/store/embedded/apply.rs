//! What one transaction of the file does for several requests.

use std::collections::HashMap;

use redb::{ReadableTable as _, WriteTransaction};

use super::{
    super::{
        Commit, CommitError, Committed, Counted, Data, Due, InputError, Key, Moment, Note, Place,
        Quota, RunId, Usage, Value, Write,
        commit::sum,
        value::{Entry, Head},
    },
    read::{Failure, conflict, usage, usage_as_row},
    rows::{STEP, WrittenRows, some_rows},
    tables::{
        EXPIRY, META, NOTES, OF_NOTE, OF_VALUE, USAGE, VALUES, WAITING, expiry_row, module_of,
        of_expiry_row, rest_of, row, rows_of, waiting_row,
    },
    timers::{self, Timers},
};
use crate::message::ModuleName;

/// The tables of a transaction that writes, and what it has done so far.
pub(super) struct Batch<'t> {
    transaction: &'t WriteTransaction,
    values: WrittenRows<'t>,
    expiry: WrittenRows<'t>,
    notes: WrittenRows<'t>,
    waiting: WrittenRows<'t>,
    timers: Timers<'t>,
    usage: WrittenRows<'t>,
    usages: HashMap<ModuleName, Usage>,
    now: Moment,
    /// The commits that it has, with their numbers.
    pub(super) committed: Vec<(RunId, u64)>,
    pub(super) has_changes: bool,
}

/// Why a request has no effect.
pub(super) enum Refused {
    /// This one breaks a rule, or is too late.
    Commit(CommitError),
    /// Nothing works.
    Failure(Failure),
}

impl<E: Into<Failure>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Failure(error.into())
    }
}

/// What becomes of one key.
struct Planned {
    row: Vec<u8>,
    before: Option<Head>,
    after: Option<Entry>,
}

impl<'t> Batch<'t> {
    pub(super) fn new(transaction: &'t WriteTransaction, now: Moment) -> Result<Self, Failure> {
        Ok(Self {
            transaction,
            values: transaction.open_table(VALUES)?,
            expiry: transaction.open_table(EXPIRY)?,
            notes: transaction.open_table(NOTES)?,
            waiting: transaction.open_table(WAITING)?,
            timers: Timers::new(transaction)?,
            usage: transaction.open_table(USAGE)?,
            usages: HashMap::new(),
            now,
            committed: Vec::new(),
            has_changes: false,
        })
    }

    /// Does all that a commit asks for, or nothing.
    pub(super) fn commit(
        &mut self,
        module: &ModuleName,
        commit: &Commit,
    ) -> Result<Committed, Refused> {
        if let Some(note) = &commit.note
            && self.is_noted(module, note)?
        {
            return Err(Refused::Commit(CommitError::AlreadyDone));
        }
        if let Some(what) = conflict(&self.values, module, &commit.reads)? {
            return Err(Refused::Commit(CommitError::Conflict(what)));
        }
        if commit.is_check() {
            return Ok(Committed { number: None });
        }
        let (mut planned, mut after) = self.plan(module, commit)?;
        let before = self.usage(module)?;
        if over(before, after, commit.quota).is_some() && self.sweep()? > 0 {
            (planned, after) = self.plan(module, commit)?;
        }
        if let Some(refused) = over(self.usage(module)?, after, commit.quota) {
            return Err(Refused::Commit(refused));
        }
        after.number += 1;
        self.apply(module, commit, &planned, after)?;
        self.committed.push((commit.run, after.number));
        Ok(Committed { number: Some(after.number) })
    }

    /// What becomes of each key, and what the module keeps then. Nothing is changed yet.
    fn plan(
        &mut self,
        module: &ModuleName,
        commit: &Commit,
    ) -> Result<(Vec<Planned>, Usage), Refused> {
        let mut after = self.usage(module)?;
        let mut planned = Vec::with_capacity(commit.writes.len());
        for (key, write) in &commit.writes {
            let row = row(module, key.as_str().as_bytes());
            let stored = self.values.get(row.as_slice())?;
            let damaged = || Failure::of_key(module, key.as_str().as_bytes());
            let (before, entry) = match &stored {
                None => (None, None),
                Some(stored) => {
                    let head = Head::open(stored.value()).ok_or_else(damaged)?;
                    let is_needed = matches!(write, Write::Add(_)) && !head.is_expired(self.now);
                    let entry = is_needed.then(|| Entry::open(stored.value()).ok_or_else(damaged));
                    (Some(head), entry.transpose()?)
                }
            };
            drop(stored);
            let entry = entry_after(key, write, entry, commit.run, self.now);
            let entry = entry.map_err(|error| Refused::Commit(CommitError::Value(error)))?;
            let key_bytes = key.as_str().len() as u64;
            if let Some(before) = &before {
                after.keys = after.keys.saturating_sub(1);
                after.bytes = after.bytes.saturating_sub(key_bytes + before.bytes as u64);
            }
            if let Some(entry) = &entry {
                after.keys += 1;
                after.bytes += key_bytes + entry.value.data.len() as u64;
            }
            planned.push(Planned { row, before, after: entry });
        }
        after.relayed += commit.relayed.len() as u64;
        after.timers = self.timers.number_after(module, &commit.timers, after.timers)?;
        Ok((planned, after))
    }

    fn apply(
        &mut self,
        module: &ModuleName,
        commit: &Commit,
        planned: &[Planned],
        after: Usage,
    ) -> Result<(), Failure> {
        self.has_changes = true;
        for Planned { row, before, after } in planned {
            if let Some(expires) = before.and_then(|before| before.expires) {
                self.expiry.remove(expiry_row(expires, OF_VALUE, row).as_slice())?;
            }
            match after {
                Some(entry) => {
                    if let Some(expires) = entry.expires {
                        let expiry = expiry_row(expires, OF_VALUE, row);
                        self.expiry.insert(expiry.as_slice(), &b""[..])?;
                    }
                    self.values.insert(row.as_slice(), &*entry.seal())?;
                }
                None => drop(self.values.remove(row.as_slice())?),
            }
        }
        if let Some(note) = &commit.note {
            self.note(module, note)?;
        }
        for (at, parcel) in (0..).zip(&commit.relayed) {
            let place = Place { number: after.number, at };
            self.waiting.insert(waiting_row(module, place).as_slice(), &*parcel.seal())?;
        }
        self.timers.apply(module, &commit.timers, after.number, self.now)?;
        self.usages.insert(module.clone(), after);
        Ok(())
    }

    fn usage(&mut self, module: &ModuleName) -> Result<Usage, Failure> {
        if let Some(usage) = self.usages.get(module) {
            return Ok(*usage);
        }
        let stored = usage(&self.usage, module)?;
        self.usages.insert(module.clone(), stored);
        Ok(stored)
    }

    fn is_noted(&self, module: &ModuleName, note: &Note) -> Result<bool, Failure> {
        let stored = self.notes.get(row(module, &note.message.to_be_bytes()).as_slice())?;
        let kept = stored.and_then(|stored| stored.value().try_into().ok());
        Ok(kept.is_some_and(|kept| u64::from_be_bytes(kept) > self.now.0))
    }

    fn note(&mut self, module: &ModuleName, note: &Note) -> Result<(), Failure> {
        let row = row(module, &note.message.to_be_bytes());
        let span = u64::try_from(note.kept.as_micros()).unwrap_or(u64::MAX);
        let kept = Moment(self.now.0.saturating_add(span));
        let before = self.notes.insert(row.as_slice(), &kept.0.to_be_bytes()[..])?;
        let before = before.and_then(|kept| kept.value().try_into().ok()).map(u64::from_be_bytes);
        if let Some(expired) = before {
            self.expiry.remove(expiry_row(Moment(expired), OF_NOTE, &row).as_slice())?;
        }
        self.expiry.insert(expiry_row(kept, OF_NOTE, &row).as_slice(), &b""[..])?;
        Ok(())
    }

    /// Forgets parcels that were relayed.
    pub(super) fn forget(&mut self, module: &ModuleName, places: &[Place]) -> Result<(), Failure> {
        let mut usage = self.usage(module)?;
        for place in places {
            if self.waiting.remove(waiting_row(module, *place).as_slice())?.is_some() {
                usage.relayed = usage.relayed.saturating_sub(1);
                self.has_changes = true;
            }
        }
        self.usages.insert(module.clone(), usage);
        Ok(())
    }

    /// Moves timers that are due to the parcels that wait to be relayed.
    pub(super) fn due(&mut self, limit: usize) -> Result<Due, Failure> {
        let mut modules = Vec::new();
        for (module, parcels) in self.timers.take_due(limit, self.now)? {
            let mut usage = self.usage(&module)?;
            usage.number += 1;
            usage.timers = usage.timers.saturating_sub(parcels.len() as u64);
            usage.relayed += parcels.len() as u64;
            for (at, parcel) in (0..).zip(&parcels) {
                let place = Place { number: usage.number, at };
                self.waiting.insert(waiting_row(&module, place).as_slice(), parcel.as_slice())?;
            }
            self.usages.insert(module.clone(), usage);
            modules.push(module);
        }
        self.has_changes |= !modules.is_empty();
        Ok(Due { modules, next: timers::until_first(&self.timers.alarms, self.now)? })
    }

    /// Takes away some of what has expired. Returns how many rows that were.
    pub(super) fn sweep(&mut self) -> Result<usize, Failure> {
        let end = Moment(self.now.0 + 1).0.to_be_bytes();
        let mut expired = Vec::new();
        for stored in self.expiry.range::<&[u8]>(..&end[..])?.take(STEP) {
            expired.push(stored?.0.value().to_vec());
        }
        for expiry in &expired {
            self.expiry.remove(expiry.as_slice())?;
            match of_expiry_row(expiry) {
                Some((OF_NOTE, row)) => drop(self.notes.remove(row)?),
                Some((OF_VALUE, row)) => self.remove_value(row)?,
                _ => {}
            }
        }
        self.has_changes |= !expired.is_empty();
        Ok(expired.len())
    }

    fn remove_value(&mut self, row: &[u8]) -> Result<(), Failure> {
        let head = self.values.remove(row)?.and_then(|stored| Head::open(stored.value()));
        if let (Some(head), Some(module)) = (head, module_of(row)) {
            let mut usage = self.usage(&module)?;
            let key_bytes = rest_of(row).unwrap_or_default().len();
            usage.keys = usage.keys.saturating_sub(1);
            usage.bytes = usage.bytes.saturating_sub((key_bytes + head.bytes) as u64);
            self.usages.insert(module, usage);
        }
        Ok(())
    }

    /// Forgets some of what a module has. Returns how many rows that were.
    pub(super) fn clear(&mut self, module: &ModuleName) -> Result<usize, Failure> {
        let (first, end) = rows_of(module);
        let (values, parcels) =
            (some_rows(&self.values, &first, &end)?, some_rows(&self.waiting, &first, &end)?);
        let notes = some_rows(&self.notes, &first, &end)?;
        for row in &values {
            let stored = self.values.get(row.as_slice())?;
            let expires =
                stored.and_then(|stored| Head::open(stored.value())).and_then(|head| head.expires);
            if let Some(expires) = expires {
                self.expiry.remove(expiry_row(expires, OF_VALUE, row).as_slice())?;
            }
            self.remove_value(row)?;
        }
        for row in &parcels {
            self.waiting.remove(row.as_slice())?;
        }
        for row in &notes {
            let kept = self.notes.remove(row.as_slice())?;
            let kept = kept.and_then(|kept| kept.value().try_into().ok()).map(u64::from_be_bytes);
            if let Some(kept) = kept {
                self.expiry.remove(expiry_row(Moment(kept), OF_NOTE, row).as_slice())?;
            }
        }
        let timers = self.timers.clear(module)?;
        let mut usage = self.usage(module)?;
        usage.relayed = usage.relayed.saturating_sub(parcels.len() as u64);
        usage.timers = usage.timers.saturating_sub(timers as u64);
        self.usages.insert(module.clone(), usage);
        let cleared = values.len() + parcels.len() + notes.len() + timers;
        self.has_changes |= cleared > 0;
        Ok(cleared)
    }

    /// Writes what is known only here, before the transaction is committed.
    pub(super) fn finish(mut self) -> Result<Vec<(RunId, u64)>, Failure> {
        for (module, usage) in &self.usages {
            self.usage.insert(module.as_str().as_bytes(), &*usage_as_row(*usage))?;
        }
        if !self.committed.is_empty() {
            let batch: Vec<u8> = self.committed.iter().flat_map(run_as_bytes).collect();
            self.transaction.open_table(META)?.insert(&b"batch"[..], &*batch)?;
        }
        Ok(self.committed)
    }
}

fn run_as_bytes((run, number): &(RunId, u64)) -> [u8; 24] {
    let mut bytes = [0; 24];
    let (id, rest) = bytes.split_at_mut(16);
    id.copy_from_slice(&run.0.to_be_bytes());
    rest.copy_from_slice(&number.to_be_bytes());
    bytes
}

/// The runs of the last batch, as [`Batch::finish`] wrote them.
pub(super) fn runs_from(batch: &[u8]) -> impl Iterator<Item = (RunId, u64)> {
    let (runs, _) = batch.as_chunks::<24>();
    runs.iter().filter_map(|run| {
        let (id, number) = run.split_first_chunk()?;
        let number = u64::from_be_bytes(number.try_into().ok()?);
        Some((RunId(u128::from_be_bytes(*id)), number))
    })
}

/// What stands below a key after a write. `before` is what had not expired, if the write needs it.
fn entry_after(
    key: &Key,
    write: &Write,
    before: Option<Entry>,
    run: RunId,
    now: Moment,
) -> Result<Option<Entry>, InputError> {
    let version = run.version();
    Ok(match write {
        Write::Delete => None,
        Write::Set { value, time_to_live } => {
            let expires = time_to_live.map(|span| Moment(now.0.saturating_add(span.micros())));
            Some(Entry { version, expires, value: value.clone() })
        }
        Write::Add(delta) => {
            let data = before.as_ref().map(|before| &before.value.data);
            let data = Data::Integer(sum(key, data, *delta)?);
            let (expires, schema) = before.map_or((None, 0), |it| (it.expires, it.value.schema));
            Some(Entry { version, expires, value: Value { data, schema } })
        }
    })
}

/// Whether a commit would take the module beyond its quota. One that leaves less than there was may.
fn over(before: Usage, after: Usage, quota: Quota) -> Option<CommitError> {
    [
        (Counted::Bytes, before.bytes, after.bytes, quota.bytes),
        (Counted::Keys, before.keys, after.keys, quota.keys),
        (Counted::Relayed, before.relayed, after.relayed, quota.relayed),
        (Counted::Timers, before.timers, after.timers, quota.timers),
    ]
    .into_iter()
    .find(|&(_, before, needed, limit)| needed > limit && needed > before)
    .map(|(what, _, needed, limit)| CommitError::Quota { what, needed, limit })
}
