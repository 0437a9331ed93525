//! The store's rules for calls, with the texts of the host.

use std::time::Duration;

use crate::host::store::{Data, StoreError, Value};

pub(super) const READ_KEYS_MAX: usize = 1_000;
/// By default.
pub(super) const READS_MAX: usize = 10_000;
pub(super) const WRITES_MAX: usize = 4_096;
pub(super) const WRITTEN_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A page ends with the entry that brings it to so many bytes of values.
pub(super) const PAGE_BYTES: usize = 1024 * 1024;

const KEY_BYTES_MAX: usize = 512;
const VALUE_BYTES_MAX: usize = 256 * 1024;
/// Ten years.
const TIME_TO_LIVE_MAX: u64 = 10 * 365 * 24 * 3600 * 1000;

type Checked<T = ()> = Result<T, StoreError>;

pub(super) fn invalid<T>(text: String) -> Checked<T> {
    Err(StoreError::Invalid(text))
}

pub(super) fn key(key: &str) -> Checked {
    if key.is_empty() {
        let text = "a key has at least 1 byte; this one is empty. Name the value";
        return invalid(text.to_owned());
    }
    prefix(key)
}

pub(super) fn keys(keys: &[String]) -> Checked {
    keys.iter().try_for_each(|it| key(it))
}

pub(super) fn prefix(prefix: &str) -> Checked {
    let bytes = prefix.len();
    if bytes <= KEY_BYTES_MAX {
        return Ok(());
    }
    invalid(format!(
        "a key has at most {KEY_BYTES_MAX} bytes; this one has {bytes}. Shorten it, or use a digest \
         of it"
    ))
}

pub(super) fn value(value: &Value) -> Checked {
    match &value.data {
        Data::Bytes(bytes) if bytes.len() > VALUE_BYTES_MAX => invalid(format!(
            "a value has at most {VALUE_BYTES_MAX} bytes; this one has {}. Divide it among several \
             keys",
            bytes.len()
        )),
        Data::Bytes(_) | Data::Integer(_) => Ok(()),
    }
}

pub(super) fn time_to_live(millis: u64) -> Checked<Duration> {
    if (1..=TIME_TO_LIVE_MAX).contains(&millis) {
        return Ok(Duration::from_millis(millis));
    }
    // As the host has it, which counts with a sign.
    let millis = i64::try_from(millis).unwrap_or(i64::MAX);
    invalid(format!(
        "a time to live is 1 to {TIME_TO_LIVE_MAX} ms; this one is {millis} ms. Leave it out for a \
         value that stays, and delete a key that is to go"
    ))
}

/// How many keys one call reads.
pub(super) fn count(asked: usize) -> Checked {
    if (1..=READ_KEYS_MAX).contains(&asked) {
        return Ok(());
    }
    invalid(format!(
        "a call reads 1 to {READ_KEYS_MAX} keys; this one asks for {asked}. Ask in several calls"
    ))
}

/// How many keys a run reads.
pub(super) fn reads(read: usize) -> Checked {
    if read <= READS_MAX {
        return Ok(());
    }
    invalid(format!(
        "a run reads at most {READS_MAX} keys. Read fewer, or raise `store.reads` of the module"
    ))
}

/// Writes a cursor: the bytes of the prefix that are the start of the last key, and that key.
pub(super) fn cursor(prefix: &str, last: &str) -> String {
    format!("{}:{last}", prefix.len())
}

/// Reads the last key out of a cursor of the same prefix.
pub(super) fn behind(prefix: &str, cursor: &str) -> Checked<String> {
    let read = || {
        let (bytes, last) = cursor.split_once(':')?;
        let own = last.get(..bytes.parse().ok()?)?;
        key(last).ok()?;
        Some((own, last))
    };
    match read() {
        Some((own, last)) if own == prefix => Ok(last.to_owned()),
        Some((own, _)) => invalid(format!(
            "the cursor continues a listing of the prefix {own:?}, not of {prefix:?}. Begin the listing \
             of this prefix without a cursor"
        )),
        None => {
            let text =
                "the text is not a cursor. Pass a cursor as `list` returned it, or none".to_owned();
            invalid(text)
        }
    }
}

/// Returns the contents that `add` leaves.
pub(super) fn sum(key: &str, stored: Option<&Data>, delta: i64) -> Result<i64, String> {
    let before = match stored {
        None => 0,
        Some(Data::Integer(integer)) => *integer,
        Some(Data::Bytes(_)) => {
            return Err(format!(
                "{key:?} is not an integer, and `add` changes integers only. Use another key for the \
                 counter, or delete this one first"
            ));
        }
    };
    before.checked_add(delta).ok_or_else(|| {
        format!("{key:?} would leave the range of 64-bit integers. Set it to a smaller value first")
    })
}
