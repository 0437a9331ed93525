//! The transaction of one run, by the rules of the host's own.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use super::{Data, rules};
use crate::host::outside::Request;
use crate::host::store::{Data as Contents, Entry as Listed, Page, StoreError, Value};

/// The data as a run of a module sees it.
#[derive(Debug, Clone, Copy)]
pub(in crate::testing) struct View<'a> {
    pub(in crate::testing) data: &'a Data,
    pub(in crate::testing) module: &'a str,
    pub(in crate::testing) now: Duration,
}

impl<'a> View<'a> {
    fn version(self, key: &str) -> Option<u64> {
        self.data.live(self.module, key, self.now).map(|entry| entry.version)
    }

    fn value(self, key: &str) -> Option<&'a Value> {
        self.data.live(self.module, key, self.now).map(|entry| &entry.value)
    }
}

/// Why a commit had no effect.
#[derive(Debug)]
pub(in crate::testing) enum Ended {
    /// Something that the run read has changed: the text names it.
    Conflict(String),
    /// A value is not one that `add` can change.
    Type(String),
}

#[derive(Debug, Clone)]
enum Write {
    Set(Value, Option<Duration>),
    Delete,
    Add(i64),
}

impl Write {
    fn len(&self) -> usize {
        match self {
            Self::Set(Value { data: Contents::Bytes(bytes), .. }, _) => bytes.len(),
            Self::Set(..) | Self::Add(_) => size_of::<i64>(),
            Self::Delete => 0,
        }
    }
}

/// What becomes of a timer.
#[derive(Debug)]
pub(in crate::testing) enum TimerWrite {
    /// It takes the place of the one with its key, if it has one.
    Set {
        key: Option<String>,
        channel: String,
        content: Vec<u8>,
        due: Duration,
    },
    Cancel {
        key: String,
    },
}

impl TimerWrite {
    fn key(&self) -> Option<&String> {
        match self {
            Self::Set { key, .. } => key.as_ref(),
            Self::Cancel { key } => Some(key),
        }
    }
}

/// A part of a listing: what the run saw there.
#[derive(Debug)]
struct Range {
    prefix: String,
    after: Option<String>,
    /// None: to the end of the prefix.
    last: Option<String>,
    seen: Vec<(String, u64)>,
}

impl Range {
    fn contains(&self, key: &str) -> bool {
        key.starts_with(&self.prefix)
            && self.after.as_deref().is_none_or(|after| key > after)
            && self.last.as_deref().is_none_or(|last| key <= last)
    }

    fn still_holds(&self, view: View<'_>) -> bool {
        let now = view.data.range(view.module, &self.prefix, self.after.as_deref(), view.now);
        let now = now.take_while(|(key, _)| self.contains(key));
        let now = now.map(|(key, entry)| (key.as_str(), entry.version));
        now.eq(self.seen.iter().map(|(key, version)| (key.as_str(), *version)))
    }
}

/// All that a run has read and wants to write.
#[derive(Debug, Default)]
pub(in crate::testing) struct Transaction {
    reads: BTreeMap<String, Option<u64>>,
    ranges: Vec<Range>,
    writes: BTreeMap<String, Write>,
    written_bytes: usize,
    timers: Vec<TimerWrite>,
    fetches: Vec<Request>,
    /// Keys that the run has read so far.
    read: usize,
}

impl Transaction {
    pub(in crate::testing) fn get_many(
        &mut self,
        view: View<'_>,
        keys: &[String],
    ) -> Result<Vec<Option<Value>>, StoreError> {
        rules::keys(keys)?;
        self.count(keys.len())?;
        for key in keys {
            if !matches!(self.writes.get(key), Some(Write::Set(..) | Write::Delete)) {
                self.reads.insert(key.clone(), view.version(key));
            }
        }
        keys.iter().map(|key| self.own(key, view.value(key))).collect()
    }

    /// Reads keys that are not part of the transaction.
    pub(in crate::testing) fn get_many_of(
        &mut self,
        view: View<'_>,
        keys: &[String],
    ) -> Result<Vec<Option<Value>>, StoreError> {
        rules::keys(keys)?;
        self.count(keys.len())?;
        Ok(keys.iter().map(|key| view.value(key).cloned()).collect())
    }

    pub(in crate::testing) fn set(
        &mut self,
        key: &str,
        value: &Value,
        time_to_live: Option<u64>,
    ) -> Result<(), StoreError> {
        rules::key(key)?;
        let time_to_live = time_to_live.map(rules::time_to_live);
        rules::value(value)?;
        self.write(key, Write::Set(value.clone(), time_to_live.transpose()?))
    }

    pub(in crate::testing) fn delete(&mut self, key: &str) -> Result<(), StoreError> {
        rules::key(key)?;
        self.write(key, Write::Delete)
    }

    pub(in crate::testing) fn add(&mut self, key: &str, delta: i64) -> Result<(), StoreError> {
        rules::key(key)?;
        let sum =
            |stored: Option<&Contents>| rules::sum(key, stored, delta).map_err(StoreError::Invalid);
        let write = match self.writes.get(key) {
            None => Write::Add(delta),
            Some(Write::Add(before)) => Write::Add(sum(Some(&Contents::Integer(*before)))?),
            Some(Write::Delete) => {
                Write::Set(Value { data: Contents::Integer(delta), schema: 0 }, None)
            }
            Some(Write::Set(Value { data, schema }, time_to_live)) => {
                let data = Contents::Integer(sum(Some(data))?);
                Write::Set(Value { data, schema: *schema }, *time_to_live)
            }
        };
        self.write(key, write)
    }

    pub(in crate::testing) fn list(
        &mut self,
        view: View<'_>,
        prefix: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page, StoreError> {
        rules::prefix(prefix)?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        rules::count(limit)?;
        rules::reads(self.read + limit)?;
        let mut after = cursor.map(|cursor| rules::behind(prefix, cursor)).transpose()?;
        loop {
            let (range, stored) = scan(view, prefix, after, limit);
            self.read += stored.len();
            let last = range.last.clone();
            let mut entries = self.merge(&range, stored)?;
            self.ranges.push(range);
            if entries.is_empty() && last.is_some() {
                after = last;
                continue;
            }
            let is_cut = entries.len() > limit;
            entries.truncate(limit);
            let last = if is_cut { entries.last().map(|entry| entry.key.clone()) } else { last };
            let cursor = last.map(|last| rules::cursor(prefix, &last));
            return Ok(Page { entries, cursor });
        }
    }

    /// Whether everything that was read is as it was. The host does not ask about a single key of a run
    /// that writes nothing.
    pub(in crate::testing) fn check(&self, view: View<'_>) -> Result<(), Ended> {
        if !self.changes_something() && self.ranges.is_empty() && self.reads.len() <= 1 {
            return Ok(());
        }
        if let Some((key, _)) = self.reads.iter().find(|(key, seen)| view.version(key) != **seen) {
            return Err(Ended::Conflict(format!("the key {key:?}")));
        }
        match self.ranges.iter().find(|range| !range.still_holds(view)) {
            Some(Range { prefix, .. }) => {
                Err(Ended::Conflict(format!("the keys that begin with {prefix:?}")))
            }
            None => Ok(()),
        }
    }

    pub(in crate::testing) fn changes_something(&self) -> bool {
        !self.writes.is_empty() || !self.timers.is_empty() || !self.fetches.is_empty()
    }

    pub(in crate::testing) fn write_timer(&mut self, write: TimerWrite) -> Result<(), StoreError> {
        if let TimerWrite::Set { key: Some(key), .. } | TimerWrite::Cancel { key } = &write {
            rules::key(key)?;
            self.timers.retain(|before| before.key() != Some(key));
        }
        self.check_room()?;
        self.timers.push(write);
        Ok(())
    }

    /// Whether one more write has room.
    fn check_room(&self) -> Result<(), StoreError> {
        if self.writes.len() + self.timers.len() < rules::WRITES_MAX {
            return Ok(());
        }
        rules::invalid(format!(
            "a run writes at most {} keys and timers. Divide the work among several messages",
            rules::WRITES_MAX
        ))
    }

    /// Asks for a request with the commit.
    pub(in crate::testing) fn fetch(&mut self, request: Request) {
        self.fetches.push(request);
    }

    /// Checks the reads, writes, and begins anew. Returns what becomes of timers, and requests to be made.
    pub(in crate::testing) fn commit(
        &mut self,
        data: &mut Data,
        module: &str,
        now: Duration,
    ) -> Result<(Vec<TimerWrite>, Vec<Request>), Ended> {
        let view = View { data, module, now };
        self.check(view)?;
        let mut planned = Vec::new();
        for (key, write) in &self.writes {
            let after = match write {
                Write::Delete => None,
                Write::Set(value, span) => Some((value.clone(), span.map(|span| now + span))),
                Write::Add(delta) => {
                    let before = view.data.live(module, key, now);
                    let contents = before.map(|entry| &entry.value.data);
                    let sum = rules::sum(key, contents, *delta).map_err(Ended::Type)?;
                    let (schema, expires) =
                        before.map_or((0, None), |it| (it.value.schema, it.expires));
                    Some((Value { data: Contents::Integer(sum), schema }, expires))
                }
            };
            planned.push((key, after));
        }
        for (key, after) in planned {
            match after {
                Some((value, expires)) => data.put(module, key, value, expires),
                None => data.remove(module, key),
            }
        }
        let begun = Self { read: self.read, ..Self::default() };
        let Self { timers, fetches, .. } = std::mem::replace(self, begun);
        Ok((timers, fetches))
    }

    /// Counts keys that are read.
    fn count(&mut self, asked: usize) -> Result<(), StoreError> {
        rules::count(asked)?;
        self.read += asked;
        rules::reads(self.read)
    }

    /// Returns the value of a key as the run sees it: its own write over the stored value.
    fn own(&self, key: &str, stored: Option<&Value>) -> Result<Option<Value>, StoreError> {
        Ok(match self.writes.get(key) {
            None => stored.cloned(),
            Some(Write::Delete) => None,
            Some(Write::Set(value, _)) => Some(value.clone()),
            Some(Write::Add(delta)) => {
                let sum = rules::sum(key, stored.map(|value| &value.data), *delta);
                let data = Contents::Integer(sum.map_err(StoreError::Invalid)?);
                Some(Value { data, schema: stored.map_or(0, |value| value.schema) })
            }
        })
    }

    /// Puts the run's own writes among the entries of a range.
    fn merge(
        &self,
        range: &Range,
        mut stored: BTreeMap<String, Value>,
    ) -> Result<Vec<Listed>, StoreError> {
        let from = range.after.as_deref().map_or(Bound::Included(&*range.prefix), Bound::Excluded);
        let behind = self.writes.range::<str, _>((from, Bound::Unbounded));
        for (key, _) in behind.take_while(|(key, _)| range.contains(key)) {
            match self.own(key, stored.get(key))? {
                Some(value) => drop(stored.insert(key.clone(), value)),
                None => drop(stored.remove(key)),
            }
        }
        Ok(stored.into_iter().map(|(key, value)| Listed { key, value }).collect())
    }

    fn write(&mut self, key: &str, write: Write) -> Result<(), StoreError> {
        let before = self.writes.get(key).map(|before| key.len() + before.len());
        if before.is_none() {
            self.check_room()?;
        }
        let bytes = self.written_bytes - before.unwrap_or(0) + key.len() + write.len();
        if bytes > rules::WRITTEN_BYTES_MAX {
            return rules::invalid(format!(
                "a run writes at most {} bytes. Divide the work among several messages",
                rules::WRITTEN_BYTES_MAX
            ));
        }
        self.written_bytes = bytes;
        self.writes.insert(key.to_owned(), write);
        Ok(())
    }
}

/// Reads a page of the stored values.
fn scan(
    view: View<'_>,
    prefix: &str,
    after: Option<String>,
    limit: usize,
) -> (Range, BTreeMap<String, Value>) {
    let mut found = view.data.range(view.module, prefix, after.as_deref(), view.now).peekable();
    let (mut seen, mut stored, mut bytes) = (Vec::new(), BTreeMap::new(), 0);
    while seen.len() < limit && bytes < rules::PAGE_BYTES {
        let Some((key, entry)) = found.next() else { break };
        bytes += Write::Set(entry.value.clone(), None).len();
        seen.push((key.clone(), entry.version));
        stored.insert(key.clone(), entry.value.clone());
    }
    let is_end = found.peek().is_none();
    drop(found);
    let last = seen.last().filter(|_| !is_end).map(|(key, _)| key.clone());
    (Range { prefix: prefix.to_owned(), after, last, seen }, stored)
}
