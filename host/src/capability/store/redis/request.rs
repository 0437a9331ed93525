//! The arguments of the script that commits.

use super::super::{
    Commit, Entry, Key, Place, RunId, Seen, TimerPlace, TimerWrite, Value, Version, Write,
};
use crate::{message::ModuleName, redis::micros};

type Texts = Vec<Vec<u8>>;

/// Returns the arguments in the order that `data_commit.lua` says.
pub(super) fn commit_arguments(
    module: &ModuleName,
    commit: &Commit,
    answered: &[RunId],
    layout: &str,
) -> Texts {
    let clock = commit.reads.clock.unwrap_or_default();
    let (message, kept) = commit
        .note
        .map_or((Vec::new(), 0), |note| (note.message.to_be_bytes().to_vec(), micros(note.kept)));
    let mut arguments: Texts = vec![
        module.as_str().into(),
        commit.run.to_string().into(),
        commit.run.version().0.to_be_bytes().to_vec(),
        clock.0.to_string().into(),
        commit.quota.bytes.to_string().into(),
        commit.quota.keys.to_string().into(),
        commit.quota.relayed.to_string().into(),
        commit.quota.timers.to_string().into(),
        message,
        kept.to_string().into(),
        layout.into(),
    ];
    let mut list = |texts: Texts| {
        arguments.push(texts.len().to_string().into());
        arguments.extend(texts);
    };
    list(answered.iter().map(|run| run.to_string().into()).collect());
    let reads = commit.reads.keys.iter();
    list(reads.flat_map(|(key, seen)| [key.as_str().into(), seen_argument(*seen)]).collect());
    let ranges = commit.reads.ranges.iter().flat_map(|(range, digest)| {
        let key = |key: Option<&Key>| key_argument(key).into();
        let (after, last) = (range.after.as_ref(), range.last.as_ref());
        [range.prefix.as_str().into(), key(after), key(last), digest.0.to_vec()]
    });
    list(ranges.collect());
    let writes = commit.writes.iter().flat_map(|(key, write)| {
        let (kind, first, second) = write_arguments(write);
        [kind.into(), key.as_str().into(), first, second]
    });
    list(writes.collect());
    list(commit.relayed.iter().map(|parcel| parcel.seal().to_vec()).collect());
    list(commit.timers.iter().flat_map(timer_arguments).collect());
    arguments
}

/// A key, or an empty text, which is none.
pub(super) fn key_argument(key: Option<&Key>) -> &str {
    key.map(Key::as_str).unwrap_or_default()
}

fn seen_argument(seen: Seen) -> Vec<u8> {
    let with = |kind: u8, version: Version| {
        let mut argument = vec![kind];
        argument.extend(version.0.to_be_bytes());
        argument
    };
    match seen {
        Seen::Absent => b"a".to_vec(),
        Seen::Expired(version) => with(b'e', version),
        Seen::Live(version) => with(b'l', version),
    }
}

/// A value is passed as its entry has it behind version and expiry, which are the script's.
fn write_arguments(write: &Write) -> (&'static str, Vec<u8>, Vec<u8>) {
    match write {
        Write::Set { value, time_to_live } => {
            let span = time_to_live.map_or(0, |span| span.micros());
            ("s", span.to_string().into(), behind_expiry(value))
        }
        Write::Delete => ("d", Vec::new(), Vec::new()),
        Write::Add(delta) => ("a", delta.to_string().into(), Vec::new()),
    }
}

/// Kind, key, span or moment, parcel.
fn timer_arguments(write: &TimerWrite) -> [Vec<u8>; 4] {
    let key = key_argument(write.key()).into();
    let TimerWrite::Set { due, parcel, .. } = write else {
        return [b"c".to_vec(), key, Vec::new(), Vec::new()];
    };
    let (kind, span) = match due.spans() {
        (Some(from_commit), _) => (b"a", micros(from_commit)),
        (None, from_epoch) => (b"m", micros(from_epoch.unwrap_or_default())),
    };
    [kind.to_vec(), key, span.to_string().into(), parcel.seal().to_vec()]
}

/// The moment and the place of a timer, or empty texts, which are none.
pub(super) fn timer_place_arguments(place: Option<TimerPlace>) -> [Vec<u8>; 2] {
    let Some(TimerPlace { due, set }) = place else { return [Vec::new(), Vec::new()] };
    [due.0.to_string().into(), place_as_bytes(set).to_vec()]
}

/// Schema, kind and contents.
fn behind_expiry(value: &Value) -> Vec<u8> {
    let entry = Entry { version: Version(0), expires: None, value: value.clone() };
    entry.seal().get(16..).unwrap_or_default().to_vec()
}

/// A place as the parcels are ordered by.
pub(super) fn place_as_bytes(place: Place) -> [u8; 12] {
    let mut bytes = [0; 12];
    let (number, at) = bytes.split_at_mut(8);
    number.copy_from_slice(&place.number.to_be_bytes());
    at.copy_from_slice(&place.at.to_be_bytes());
    bytes
}

/// The place behind a place.
pub(super) const fn next_place(place: Place) -> Place {
    match place.at.checked_add(1) {
        Some(at) => Place { at, ..place },
        None => Place { number: place.number + 1, at: 0 },
    }
}
