//! Tables of the file, and how their rows are named.
//!
//! A row of a module begins with the module's name and a zero byte, which no name has.

use std::ops::Bound;

use redb::TableDefinition;

use super::super::{KeyRange, Moment, Place, TimerPlace};
use crate::message::ModuleName;

pub(super) type Rows = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// Facts of the file: `format`, `opened` and `batch`.
pub(super) const META: Rows = TableDefinition::new("meta");
/// The entry of each key.
pub(super) const VALUES: Rows = TableDefinition::new("values");
/// Each value and note that expires, by its moment, without contents.
pub(super) const EXPIRY: Rows = TableDefinition::new("expiry");
/// The usage of each module.
pub(super) const USAGE: Rows = TableDefinition::new("usage");
/// The messages that are done, each with the moment until which that is kept.
pub(super) const NOTES: Rows = TableDefinition::new("notes");
/// The parcels that wait to be relayed.
pub(super) const WAITING: Rows = TableDefinition::new("waiting");
/// The timers of each module in the order in which they are due: key and parcel.
pub(super) const TIMERS: Rows = TableDefinition::new("timers");
/// The place of each timer that has a key.
pub(super) const TIMER_KEYS: Rows = TableDefinition::new("timer_keys");
/// The modules that have timers, by the moment of the first, without contents.
pub(super) const ALARMS: Rows = TableDefinition::new("alarms");

/// Marks a value in [`EXPIRY`].
pub(super) const OF_VALUE: u8 = b'v';
/// Marks a note in [`EXPIRY`].
pub(super) const OF_NOTE: u8 = b'n';

/// Above all UTF-8: no key has this byte.
const BEHIND_TEXT: u8 = 0xff;

/// The row of something of a module.
pub(super) fn row(module: &ModuleName, rest: &[u8]) -> Vec<u8> {
    let module = module.as_str().as_bytes();
    let mut row = Vec::with_capacity(module.len() + 1 + rest.len());
    row.extend_from_slice(module);
    row.push(0);
    row.extend_from_slice(rest);
    row
}

/// What stands behind the name of the module in a row.
pub(super) fn rest_of(row: &[u8]) -> Option<&[u8]> {
    let at = row.iter().position(|&byte| byte == 0)?;
    row.get(at + 1..)
}

/// The name of the module in a row.
pub(super) fn module_of(row: &[u8]) -> Option<ModuleName> {
    let name = row.split(|&byte| byte == 0).next()?;
    let name = std::str::from_utf8(name).ok()?;
    let of_host = [ModuleName::of_sessions(), ModuleName::of_schedules()];
    let own = of_host.into_iter().find(|own| own.as_str() == name);
    own.or_else(|| ModuleName::parse(name).ok())
}

/// All rows of a module in a table.
pub(super) fn rows_of(module: &ModuleName) -> (Vec<u8>, Vec<u8>) {
    let mut end = row(module, b"");
    end.pop();
    end.push(1);
    (row(module, b""), end)
}

/// Where a range of keys begins and ends.
pub(super) fn bounds(module: &ModuleName, range: &KeyRange) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let prefix = row(module, range.prefix.as_str().as_bytes());
    let to = match &range.last {
        Some(last) => Bound::Included(row(module, last.as_str().as_bytes())),
        None => {
            let mut end = prefix.clone();
            end.push(BEHIND_TEXT);
            Bound::Excluded(end)
        }
    };
    let from = match &range.after {
        Some(after) => Bound::Excluded(row(module, after.as_str().as_bytes())),
        None => Bound::Included(prefix),
    };
    (from, to)
}

/// Bounds as a table takes them.
pub(super) fn as_slices(bounds: &(Bound<Vec<u8>>, Bound<Vec<u8>>)) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (bounds.0.as_ref().map(Vec::as_slice), bounds.1.as_ref().map(Vec::as_slice))
}

/// The row in [`EXPIRY`] of a row elsewhere.
pub(super) fn expiry_row(at: Moment, of: u8, row: &[u8]) -> Vec<u8> {
    let mut expiry = Vec::with_capacity(9 + row.len());
    expiry.extend_from_slice(&at.0.to_be_bytes());
    expiry.push(of);
    expiry.extend_from_slice(row);
    expiry
}

/// What a row in [`EXPIRY`] is of, and its row there.
pub(super) fn of_expiry_row(row: &[u8]) -> Option<(u8, &[u8])> {
    let (_, rest) = row.split_at_checked(8)?;
    rest.split_first().map(|(&of, row)| (of, row))
}

/// The row of a parcel.
pub(super) fn waiting_row(module: &ModuleName, place: Place) -> Vec<u8> {
    let mut rest = place.number.to_be_bytes().to_vec();
    rest.extend_from_slice(&place.at.to_be_bytes());
    row(module, &rest)
}

/// The place of a parcel by its row. A number may have zero bytes, so they are counted from the end.
pub(super) fn place_of(row: &[u8]) -> Option<Place> {
    let (rest, at) = row.split_last_chunk()?;
    let (_, number) = rest.split_last_chunk()?;
    Some(Place { number: u64::from_be_bytes(*number), at: u32::from_be_bytes(*at) })
}

/// A place as the timers of a module are ordered by.
pub(super) fn timer_place_as_bytes(place: TimerPlace) -> Vec<u8> {
    let mut bytes = place.due.0.to_be_bytes().to_vec();
    bytes.extend_from_slice(&place.set.number.to_be_bytes());
    bytes.extend_from_slice(&place.set.at.to_be_bytes());
    bytes
}

/// The place of a timer by its row, or by its bytes alone.
pub(super) fn timer_place_of(row: &[u8]) -> Option<TimerPlace> {
    let set = place_of(row)?;
    let (rest, _) = row.split_last_chunk::<12>()?;
    let (_, due) = rest.split_last_chunk()?;
    Some(TimerPlace { due: Moment(u64::from_be_bytes(*due)), set })
}

/// The row in [`ALARMS`] of a module whose first timer is due at a moment.
pub(super) fn alarm_row(at: Moment, module: &ModuleName) -> Vec<u8> {
    [&at.0.to_be_bytes(), module.as_str().as_bytes()].concat()
}

/// The moment and the module of a row in [`ALARMS`].
pub(super) fn alarm_of(row: &[u8]) -> Option<(Moment, ModuleName)> {
    let (at, module) = row.split_first_chunk()?;
    let module = ModuleName::parse(std::str::from_utf8(module).ok()?).ok()?;
    Some((Moment(u64::from_be_bytes(*at)), module))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_module_are_apart_from_those_of_one_whose_name_is_longer() {
        let module = |name| ModuleName::parse(name).unwrap();
        let (from, to) = rows_of(&module("chat"));
        let own = row(&module("chat"), &[0xff, 0xff]);
        assert!(from <= own && own < to);
        for other in ["chat-2", "chat2", "cha"] {
            let other = row(&module(other), b"key");
            assert!(other < from || other >= to);
        }
        assert_eq!(module_of(&own), Some(module("chat")));
        for own in [ModuleName::of_sessions(), ModuleName::of_schedules()] {
            assert_eq!(module_of(&row(&own, b"a")), Some(own));
        }
    }

    #[test]
    fn a_place_reads_back() {
        let place = Place { number: 1 << 40, at: 7 };
        assert_eq!(place_of(&waiting_row(&ModuleName::parse("m").unwrap(), place)), Some(place));
    }

    #[test]
    fn a_place_of_a_timer_reads_back_and_is_ordered_by_when_it_is_due() {
        let module = ModuleName::parse("m").unwrap();
        let place = |due, number, at| TimerPlace { due: Moment(due), set: Place { number, at } };
        let places = [place(1, 9, 9), place(256, 1, 2), place(256, 2, 1), place(1 << 50, 0, 0)];
        let rows = places.map(|it| row(&module, &timer_place_as_bytes(it)));
        assert!(rows.is_sorted());
        assert_eq!(rows.map(|row| timer_place_of(&row)), places.map(Some));
        let alarm = alarm_row(Moment(1 << 40), &module);
        assert_eq!(alarm_of(&alarm), Some((Moment(1 << 40), module)));
    }
}
