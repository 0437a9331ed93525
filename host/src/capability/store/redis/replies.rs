//! What the scripts return.

use std::time::Duration;

use super::super::{
    CommitError, Committed, Conflicting, Counted, Digest, Due, Found, InputError, Key, Moment,
    Page, Parcel, Place, Prefix, Read, StoreError, Timer, TimerPlace, value::Entry,
};
use crate::message::ModuleName;

fn damaged(module: &ModuleName, what: &str) -> StoreError {
    StoreError::Damaged { what: format!("{what} of module {module} cannot be read") }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

fn number<T: std::str::FromStr>(bytes: &[u8]) -> Option<T> {
    text(bytes).parse().ok()
}

/// Reads a key and its entry.
pub(super) fn entry(
    module: &ModuleName,
    key: &[u8],
    sealed: &[u8],
) -> Result<(Key, Entry), StoreError> {
    let entry = Key::parse(text(key)).ok().zip(Entry::open(sealed));
    entry.ok_or_else(|| damaged(module, &format!("the key {:?}", String::from_utf8_lossy(key))))
}

/// What `data_read` returns.
pub(super) fn read(
    module: &ModuleName,
    keys: &[Key],
    answer: &[Vec<u8>],
) -> Result<Read, StoreError> {
    let (clock, sealed) = answer.split_first().ok_or_else(|| damaged(module, "the answer"))?;
    let clock = Moment(number(clock).ok_or_else(|| damaged(module, "the clock"))?);
    if sealed.len() != keys.len() {
        return Err(damaged(module, "the answer"));
    }
    let found = keys.iter().zip(sealed).map(|(key, sealed)| {
        let stored = match sealed.as_slice() {
            [] => None,
            sealed => Some(entry(module, key.as_str().as_bytes(), sealed)?.1),
        };
        Ok(Found::at(clock, stored))
    });
    Ok(Read { clock, found: found.collect::<Result<_, StoreError>>()? })
}

/// What `data_scan` returns.
pub(super) fn page(module: &ModuleName, answer: &[Vec<u8>]) -> Result<Page, StoreError> {
    let [clock, last, digest, entries @ ..] = answer else {
        return Err(damaged(module, "the answer"));
    };
    let clock = Moment(number(clock).ok_or_else(|| damaged(module, "the clock"))?);
    let last = match last.as_slice() {
        [] => None,
        last => Some(Key::parse(text(last)).map_err(|_| damaged(module, "the last key"))?),
    };
    let digest = Digest(digest.clone().into());
    let entries = pairs(module, entries)?;
    Ok(Page { clock, entries, last, digest })
}

/// Keys, each before its entry.
pub(super) fn pairs(
    module: &ModuleName,
    flat: &[Vec<u8>],
) -> Result<Vec<(Key, Entry)>, StoreError> {
    let pairs = flat.chunks(2).map(|pair| match pair {
        [key, sealed] => entry(module, key, sealed),
        _ => Err(damaged(module, "the answer")),
    });
    pairs.collect()
}

/// A parcel behind its place.
pub(super) fn parcel(module: &ModuleName, member: &[u8]) -> Result<(Place, Parcel), StoreError> {
    let read = || {
        let (place, sealed) = split_place(member)?;
        Some((place, Parcel::open(sealed)?))
    };
    read().ok_or_else(|| damaged(module, "a message to be relayed"))
}

/// A place, and what stands behind it.
fn split_place(bytes: &[u8]) -> Option<(Place, &[u8])> {
    let (commit, rest) = bytes.split_first_chunk()?;
    let (at, rest) = rest.split_first_chunk()?;
    let place = Place { number: u64::from_be_bytes(*commit), at: u32::from_be_bytes(*at) };
    Some((place, rest))
}

/// What `data_due` returns.
pub(super) fn due(answer: &[Vec<u8>]) -> Result<Due, StoreError> {
    let damaged = |what: &str| StoreError::Damaged { what: format!("{what} cannot be read") };
    let (next, modules) = answer.split_first().ok_or_else(|| damaged("the answer"))?;
    let next = match next.as_slice() {
        [] => None,
        micros => {
            let micros = number(micros).ok_or_else(|| damaged("the moment of a timer"))?;
            Some(Duration::from_micros(micros))
        }
    };
    let module = |name: &Vec<u8>| {
        ModuleName::parse(text(name)).map_err(|_| damaged("the name of a module with timers"))
    };
    Ok(Due { modules: modules.iter().map(module).collect::<Result<_, _>>()?, next })
}

/// What `data_timers` returns.
pub(super) fn timers(module: &ModuleName, flat: &[Vec<u8>]) -> Result<Vec<Timer>, StoreError> {
    let timer = |facts: &[Vec<u8>]| {
        let [due, member, parcel] = facts else { return None };
        let (set, key) = split_place(member)?;
        let key = match key {
            [] => None,
            key => Some(Key::parse(std::str::from_utf8(key).ok()?).ok()?),
        };
        let place = TimerPlace { due: Moment(number(due)?), set };
        Some(Timer { place, key, target: Parcel::target_of(parcel)? })
    };
    let timers = flat.chunks(3).map(timer).collect::<Option<_>>();
    timers.ok_or_else(|| damaged(module, "a timer"))
}

/// What `data_commit` returns.
pub(super) fn committed(module: &ModuleName, answer: &[Vec<u8>]) -> Result<Committed, CommitError> {
    let broken = || CommitError::from(damaged(module, "the answer to a commit"));
    let texts: Vec<&str> = answer.iter().map(|bytes| text(bytes)).collect();
    Err(match texts.as_slice() {
        ["ok", ""] => return Ok(Committed { number: None }),
        ["ok", count] => {
            let count = count.parse().map_err(|_| broken())?;
            return Ok(Committed { number: Some(count) });
        }
        ["conflict", "key", key] => {
            CommitError::Conflict(Conflicting::Key(Key::parse(key).map_err(|_| broken())?))
        }
        ["conflict", _, prefix] => {
            let prefix = Prefix::parse(prefix).map_err(|_| broken())?;
            CommitError::Conflict(Conflicting::Prefix(prefix))
        }
        ["done"] => CommitError::AlreadyDone,
        ["void"] => CommitError::Unknown {
            reason: "the outcome of the run was asked for before".to_owned(),
        },
        ["quota", what, needed, limit] => {
            let what = match *what {
                "bytes" => Counted::Bytes,
                "keys" => Counted::Keys,
                "timers" => Counted::Timers,
                _ => Counted::Relayed,
            };
            let (needed, limit) = (needed.parse(), limit.parse());
            CommitError::Quota {
                what,
                needed: needed.map_err(|_| broken())?,
                limit: limit.map_err(|_| broken())?,
            }
        }
        ["integer", key] => CommitError::Value(InputError::NotAnInteger { key: (*key).to_owned() }),
        ["overflow", key] => CommitError::Value(InputError::Overflow { key: (*key).to_owned() }),
        ["layout", found] => CommitError::Store(StoreError::Stopped {
            reason: format!(
                "Redis was emptied, and processes with the layout {found} keep data there"
            ),
        }),
        _ => broken(),
    })
}
