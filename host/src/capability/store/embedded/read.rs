//! Reading rows, for calls and for the checks of commits.

use std::ops::Bound;

use redb::ReadableTable;
use sha2::{Digest as _, Sha256};

use super::{
    super::{
        Conflicting, Digest, Found, Key, KeyRange, Moment, PAGE_BYTES, Page, Parcel, Place, Reads,
        Usage,
        value::{Entry, Head},
    },
    tables::{as_slices, bounds, place_of, rest_of, row, rows_of, waiting_row},
};
use crate::message::ModuleName;

/// Expired entries that a page steps over at most.
const STEPPED_OVER_MAX: usize = 1_000;

/// A table that can be read, in a transaction that writes or one that does not.
pub(super) trait Rows: ReadableTable<&'static [u8], &'static [u8]> {}

impl<T: ReadableTable<&'static [u8], &'static [u8]>> Rows for T {}

/// Why rows cannot be read.
#[derive(Debug)]
pub(super) enum Failure {
    /// The library cannot read the file, or not write it.
    Library(redb::Error),
    /// A row is not what it must be.
    Damaged(String),
}

impl<E: Into<redb::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Library(error.into())
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Library(error) => error.fmt(f),
            Self::Damaged(what) => f.write_str(what),
        }
    }
}

impl Failure {
    pub(super) fn of_key(module: &ModuleName, key: &[u8]) -> Self {
        let key = String::from_utf8_lossy(key);
        Self::Damaged(format!("the key {key:?} of module {module} cannot be read"))
    }

    pub(super) fn of_rows(of: &'static str, module: &ModuleName) -> Self {
        Self::Damaged(format!("the {of} of module {module} cannot be read"))
    }
}

/// What there is below keys at a moment.
pub(super) fn read(
    values: &impl Rows,
    module: &ModuleName,
    keys: &[Key],
    clock: Moment,
) -> Result<Vec<Found>, Failure> {
    let found = |key: &Key| {
        let stored = values.get(row(module, key.as_str().as_bytes()).as_slice())?;
        let damaged = || Failure::of_key(module, key.as_str().as_bytes());
        let entry = stored.map(|stored| Entry::open(stored.value()).ok_or_else(damaged));
        Ok(Found::at(clock, entry.transpose()?))
    };
    keys.iter().map(found).collect()
}

/// The version of a key, expired or not.
pub(super) fn head(
    values: &impl Rows,
    module: &ModuleName,
    key: &Key,
) -> Result<Option<Head>, Failure> {
    let stored = values.get(row(module, key.as_str().as_bytes()).as_slice())?;
    let damaged = || Failure::of_key(module, key.as_str().as_bytes());
    stored.map(|stored| Head::open(stored.value()).ok_or_else(damaged)).transpose()
}

/// The first entries of a range that have not expired.
pub(super) fn scan(
    values: &impl Rows,
    module: &ModuleName,
    range: &KeyRange,
    limit: usize,
    clock: Moment,
) -> Result<Page, Failure> {
    let (mut entries, mut bytes, mut stepped_over) = (Vec::new(), 0, 0);
    let (mut summed, mut last) = (Summed::default(), None);
    let bounds = bounds(module, range);
    for stored in values.range::<&[u8]>(as_slices(&bounds))? {
        let (stored_row, sealed) = stored?;
        let rest = rest_of(stored_row.value()).unwrap_or_default();
        let key = std::str::from_utf8(rest).ok().and_then(|key| Key::parse(key).ok());
        let entry = Entry::open(sealed.value());
        let (key, entry) = key.zip(entry).ok_or_else(|| Failure::of_key(module, rest))?;
        let is_full = entries.len() >= limit || bytes >= PAGE_BYTES;
        if is_full || stepped_over >= STEPPED_OVER_MAX {
            return Ok(Page { clock, entries, last, digest: summed.digest() });
        }
        last = Some(key.clone());
        if entry.is_expired(clock) {
            stepped_over += 1;
            continue;
        }
        bytes += entry.value.data.len();
        summed.add(rest, entry.version.0);
        entries.push((key, entry));
    }
    Ok(Page { clock, entries, last: range.last.clone(), digest: summed.digest() })
}

/// The digest of what a range has at a moment.
#[derive(Default)]
struct Summed(Sha256);

impl Summed {
    fn add(&mut self, key: &[u8], version: u64) {
        self.0.update(key);
        // No key has this byte, so that no two lists are summed alike.
        self.0.update([0xff]);
        self.0.update(version.to_be_bytes());
    }

    fn digest(self) -> Digest {
        Digest(self.0.finalize().to_vec().into())
    }
}

fn digest(
    values: &impl Rows,
    module: &ModuleName,
    range: &KeyRange,
    clock: Moment,
) -> Result<Digest, Failure> {
    let (mut summed, bounds) = (Summed::default(), bounds(module, range));
    for stored in values.range::<&[u8]>(as_slices(&bounds))? {
        let (stored_row, sealed) = stored?;
        let rest = rest_of(stored_row.value()).unwrap_or_default();
        let head = Head::open(sealed.value()).ok_or_else(|| Failure::of_key(module, rest))?;
        if !head.is_expired(clock) {
            summed.add(rest, head.version.0);
        }
    }
    Ok(summed.digest())
}

/// What has changed of what was read, if anything has.
pub(super) fn conflict(
    values: &impl Rows,
    module: &ModuleName,
    reads: &Reads,
) -> Result<Option<Conflicting>, Failure> {
    for (key, seen) in &reads.keys {
        let stored = head(values, module, key)?.map(|head| head.version);
        if !seen.still_holds(stored) {
            return Ok(Some(Conflicting::Key(key.clone())));
        }
    }
    let clock = reads.clock.unwrap_or_default();
    for (range, seen) in &reads.ranges {
        if digest(values, module, range, clock)? != *seen {
            return Ok(Some(Conflicting::Prefix(range.prefix.clone())));
        }
    }
    Ok(None)
}

/// The usage of a module.
pub(super) fn usage(table: &impl Rows, module: &ModuleName) -> Result<Usage, Failure> {
    let Some(stored) = table.get(module.as_str().as_bytes())? else { return Ok(Usage::default()) };
    usage_from(stored.value()).ok_or_else(|| Failure::of_rows("usage", module))
}

/// Reads a usage: numbers of 64 bits. The number of timers may be missing, which is 0.
pub(super) fn usage_from(stored: &[u8]) -> Option<Usage> {
    let (numbers, []) = stored.as_chunks() else { return None };
    let [number, bytes, keys, relayed, timers @ ..] = numbers else { return None };
    let timers = match timers {
        [] => 0,
        [timers] => u64::from_be_bytes(*timers),
        _ => return None,
    };
    let [number, bytes, keys, relayed] =
        [number, bytes, keys, relayed].map(|it| u64::from_be_bytes(*it));
    Some(Usage { number, bytes, keys, relayed, timers })
}

/// Writes a usage.
pub(super) fn usage_as_row(usage: Usage) -> Vec<u8> {
    let Usage { number, bytes, keys, relayed, timers } = usage;
    [number, bytes, keys, relayed, timers].map(u64::to_be_bytes).concat()
}

/// Parcels behind a place.
pub(super) fn waiting(
    table: &impl Rows,
    module: &ModuleName,
    after: Option<Place>,
    limit: usize,
) -> Result<Vec<(Place, Parcel)>, Failure> {
    let (first, end) = rows_of(module);
    let from = match after {
        Some(place) => Bound::Excluded(waiting_row(module, place)),
        None => Bound::Included(first),
    };
    let (bounds, mut parcels) = ((from, Bound::Excluded(end)), Vec::new());
    for stored in table.range::<&[u8]>(as_slices(&bounds))?.take(limit) {
        let (stored_row, sealed) = stored?;
        let damaged = || Failure::of_rows("messages to be relayed", module);
        let place = place_of(stored_row.value()).ok_or_else(damaged)?;
        let parcel = Parcel::open(sealed.value()).ok_or_else(damaged)?;
        parcels.push((place, parcel));
    }
    Ok(parcels)
}
