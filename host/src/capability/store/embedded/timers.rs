//! Timers: the tables that hold them, and what is done with them.

use std::{collections::HashMap, ops::Bound, time::Duration};

use redb::{ReadableTable as _, WriteTransaction};

use super::{
    super::{
        Key, Moment, Parcel, Place, Timer, TimerPlace, TimerWrite,
        timer::{DUE_BYTES, DUE_STEP},
    },
    read::{self, Failure},
    rows::{WrittenRows, some_rows},
    tables::{
        ALARMS, TIMER_KEYS, TIMERS, alarm_of, alarm_row, as_slices, row, rows_of,
        timer_place_as_bytes, timer_place_of,
    },
};
use crate::message::ModuleName;

/// A module and the parcels of its timers that are due, as they stand in the store.
pub(super) type DueOf = (ModuleName, Vec<Vec<u8>>);

/// The tables of a transaction that writes.
pub(super) struct Timers<'t> {
    timers: WrittenRows<'t>,
    keys: WrittenRows<'t>,
    pub(super) alarms: WrittenRows<'t>,
}

impl<'t> Timers<'t> {
    pub(super) fn new(transaction: &'t WriteTransaction) -> Result<Self, Failure> {
        Ok(Self {
            timers: transaction.open_table(TIMERS)?,
            keys: transaction.open_table(TIMER_KEYS)?,
            alarms: transaction.open_table(ALARMS)?,
        })
    }

    /// Returns how many timers a module has after the writes. Nothing is changed yet.
    pub(super) fn number_after(
        &self,
        module: &ModuleName,
        writes: &[TimerWrite],
        before: u64,
    ) -> Result<u64, Failure> {
        let (mut number, mut standing) = (before, HashMap::new());
        for write in writes {
            let is_set = matches!(write, TimerWrite::Set { .. });
            let stood = match write.key() {
                None => false,
                Some(key) => match standing.insert(key, is_set) {
                    Some(stood) => stood,
                    None => self.keys.get(key_row(module, key).as_slice())?.is_some(),
                },
            };
            number = (number + u64::from(is_set)).saturating_sub(u64::from(stood));
        }
        Ok(number)
    }

    /// Sets and cancels timers with the commit of this number.
    pub(super) fn apply(
        &mut self,
        module: &ModuleName,
        writes: &[TimerWrite],
        number: u64,
        now: Moment,
    ) -> Result<(), Failure> {
        if writes.is_empty() {
            return Ok(());
        }
        let first = self.first(module)?;
        for (at, write) in (0..).zip(writes) {
            if let Some(key) = write.key() {
                let place = self.keys.remove(key_row(module, key).as_slice())?;
                if let Some(place) = place {
                    self.timers.remove(row(module, place.value()).as_slice())?;
                }
            }
            let TimerWrite::Set { key, due, parcel } = write else { continue };
            let due = due.for_commit_at(now);
            let place = timer_place_as_bytes(TimerPlace { due, set: Place { number, at } });
            let sealed = seal(key.as_ref(), parcel);
            self.timers.insert(row(module, &place).as_slice(), sealed.as_slice())?;
            if let Some(key) = key {
                self.keys.insert(key_row(module, key).as_slice(), place.as_slice())?;
            }
        }
        self.set_alarm(module, first)
    }

    /// Takes away timers that are due. Returns their parcels.
    pub(super) fn take_due(&mut self, limit: usize, now: Moment) -> Result<Vec<DueOf>, Failure> {
        let (mut rest, mut bytes, mut taken) = (limit.min(DUE_STEP), 0, Vec::new());
        while rest > 0
            && bytes < DUE_BYTES
            && let Some((first, module)) = first_alarm(&self.alarms)?
            && first <= now
        {
            let parcels = self.take_due_of(&module, rest, &mut bytes, now)?;
            self.set_alarm(&module, Some(first))?;
            rest -= parcels.len();
            if !parcels.is_empty() {
                taken.push((module, parcels));
            }
        }
        Ok(taken)
    }

    fn take_due_of(
        &mut self,
        module: &ModuleName,
        limit: usize,
        bytes: &mut usize,
        now: Moment,
    ) -> Result<Vec<Vec<u8>>, Failure> {
        let (mut rows, mut parcels) = (Vec::new(), Vec::new());
        let end = row(module, &now.0.saturating_add(1).to_be_bytes());
        let from = row(module, b"");
        for stored in self.timers.range(from.as_slice()..end.as_slice())?.take(limit) {
            if *bytes >= DUE_BYTES {
                break;
            }
            let (stored_row, sealed) = stored?;
            let (key, parcel) = open(sealed.value()).ok_or_else(|| damaged(module))?;
            *bytes += parcel.len();
            parcels.push(parcel.to_vec());
            rows.push((stored_row.value().to_vec(), key));
        }
        for (timer, key) in rows {
            self.timers.remove(timer.as_slice())?;
            if let Some(key) = key {
                self.keys.remove(key_row(module, &key).as_slice())?;
            }
        }
        Ok(parcels)
    }

    /// Forgets some timers of a module. Returns how many that were.
    pub(super) fn clear(&mut self, module: &ModuleName) -> Result<usize, Failure> {
        let first = self.first(module)?;
        let (from, end) = rows_of(module);
        let cleared = some_rows(&self.timers, &from, &end)?;
        for timer in &cleared {
            let sealed = self.timers.remove(timer.as_slice())?;
            if let Some((Some(key), _)) = sealed.as_ref().and_then(|it| open(it.value())) {
                self.keys.remove(key_row(module, &key).as_slice())?;
            }
        }
        self.set_alarm(module, first)?;
        Ok(cleared.len())
    }

    fn first(&self, module: &ModuleName) -> Result<Option<Moment>, Failure> {
        let (from, end) = rows_of(module);
        let Some(first) = self.timers.range(from.as_slice()..end.as_slice())?.next() else {
            return Ok(None);
        };
        let place = timer_place_of(first?.0.value()).ok_or_else(|| damaged(module))?;
        Ok(Some(place.due))
    }

    /// Says when the first timer of a module is due. `before` is what was said.
    fn set_alarm(&mut self, module: &ModuleName, before: Option<Moment>) -> Result<(), Failure> {
        let first = self.first(module)?;
        if first == before {
            return Ok(());
        }
        if let Some(before) = before {
            self.alarms.remove(alarm_row(before, module).as_slice())?;
        }
        if let Some(first) = first {
            self.alarms.insert(alarm_row(first, module).as_slice(), &b""[..])?;
        }
        Ok(())
    }
}

/// How long it takes until the first timer of all is due.
pub(super) fn until_first(
    alarms: &impl read::Rows,
    now: Moment,
) -> Result<Option<Duration>, Failure> {
    let first = first_alarm(alarms)?;
    Ok(first.map(|(first, _)| Duration::from_micros(first.0.saturating_sub(now.0))))
}

/// Timers of a module behind a place.
pub(super) fn standing(
    timers: &impl read::Rows,
    module: &ModuleName,
    after: Option<TimerPlace>,
    limit: usize,
) -> Result<Vec<Timer>, Failure> {
    let (first, end) = rows_of(module);
    let from = match after {
        Some(place) => Bound::Excluded(row(module, &timer_place_as_bytes(place))),
        None => Bound::Included(first),
    };
    let (bounds, mut found) = ((from, Bound::Excluded(end)), Vec::new());
    for stored in timers.range::<&[u8]>(as_slices(&bounds))?.take(limit) {
        let (stored_row, sealed) = stored?;
        let read = || {
            let (key, parcel) = open(sealed.value())?;
            let place = timer_place_of(stored_row.value())?;
            Some(Timer { place, key, target: Parcel::target_of(parcel)? })
        };
        found.push(read().ok_or_else(|| damaged(module))?);
    }
    Ok(found)
}

fn first_alarm(alarms: &impl read::Rows) -> Result<Option<(Moment, ModuleName)>, Failure> {
    let Some((first, _)) = alarms.first()? else { return Ok(None) };
    let what = || Failure::Damaged("the moments of timers cannot be read".to_owned());
    alarm_of(first.value()).ok_or_else(what).map(Some)
}

fn damaged(module: &ModuleName) -> Failure {
    Failure::of_rows("timers", module)
}

fn key_row(module: &ModuleName, key: &Key) -> Vec<u8> {
    row(module, key.as_str().as_bytes())
}

/// Writes a timer as it stands in its table: the length of the key in two bytes, 0 for none, the key, the parcel.
fn seal(key: Option<&Key>, parcel: &Parcel) -> Vec<u8> {
    let key = key.map(Key::as_str).unwrap_or_default();
    let bytes = u16::try_from(key.len()).unwrap_or_default();
    [&bytes.to_be_bytes(), key.as_bytes(), &parcel.seal()].concat()
}

/// Reads the key and the parcel, which stays as it stands. None: the bytes are not a timer.
fn open(sealed: &[u8]) -> Option<(Option<Key>, &[u8])> {
    let (bytes, rest) = sealed.split_first_chunk()?;
    let (key, parcel) = rest.split_at_checked(u16::from_be_bytes(*bytes).into())?;
    let key = match key {
        [] => None,
        key => Some(Key::parse(std::str::from_utf8(key).ok()?).ok()?),
    };
    Some((key, parcel))
}
