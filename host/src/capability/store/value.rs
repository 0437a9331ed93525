//! Values, how long they live, and what stands in a store below a key.

use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};

use super::InputError;

/// The largest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 256 * 1024;
/// The longest time to live: ten years.
const TIME_TO_LIVE_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// A moment of a store's own clock, in microseconds since 1970. No process compares it with its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub(crate) u64);

/// How long a value lives, counted from its commit. After that the key is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeToLive(Duration);

impl TimeToLive {
    /// Checks a span in milliseconds.
    pub fn from_millis(millis: i64) -> Result<Self, InputError> {
        let limit = TIME_TO_LIVE_MAX;
        let span = u64::try_from(millis).map(Duration::from_millis);
        match span {
            Ok(span) if !span.is_zero() && span <= limit => Ok(Self(span)),
            _ => Err(InputError::TimeToLive { millis, limit: limit.as_millis() }),
        }
    }

    /// Returns the span in microseconds.
    pub(super) fn micros(self) -> u64 {
        u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX)
    }
}

/// The contents of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// Bytes that only the module understands.
    Bytes(Bytes),
    /// A number that `add` changes.
    Integer(i64),
}

impl Data {
    /// Returns how many bytes count for the module's quota.
    pub const fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Integer(_) => size_of::<i64>(),
        }
    }

    /// Whether there are no bytes.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A value of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The contents.
    pub data: Data,
    /// The number of the schema that the contents follow.
    pub schema: u32,
}

impl Value {
    /// Checks bytes that a module wants to keep.
    pub fn of_bytes(bytes: Bytes, schema: u32) -> Result<Self, InputError> {
        match bytes.len() {
            0..=VALUE_BYTES_MAX => Ok(Self { data: Data::Bytes(bytes), schema }),
            bytes => Err(InputError::ValueTooLarge { bytes, limit: VALUE_BYTES_MAX }),
        }
    }

    /// Returns a value that `add` can change.
    pub const fn of_integer(integer: i64) -> Self {
        Self { data: Data::Integer(integer), schema: 0 }
    }
}

/// Says which commit wrote a value. Random, so that a store that goes back in time repeats none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(pub(super) u64);

/// What stands below a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which commit wrote it.
    pub version: Version,
    /// When it is gone. None: never.
    pub expires: Option<Moment>,
    /// The value.
    pub value: Value,
}

/// Bytes before the contents: version, moment of expiry (0 for none), schema, kind.
const HEADER: usize = 8 + 8 + 4 + 1;
const KIND_BYTES: u8 = 0;
const KIND_INTEGER: u8 = 1;

impl Entry {
    /// Whether the entry is gone at a moment.
    pub fn is_expired(&self, at: Moment) -> bool {
        self.expires.is_some_and(|expires| expires <= at)
    }

    /// Writes the entry as it stands in a store. An integer is written in decimal digits.
    pub(super) fn seal(&self) -> Bytes {
        let mut sealed = BytesMut::with_capacity(HEADER + self.value.data.len());
        sealed.put_u64(self.version.0);
        sealed.put_u64(self.expires.map_or(0, |moment| moment.0));
        sealed.put_u32(self.value.schema);
        match &self.value.data {
            Data::Bytes(bytes) => {
                sealed.put_u8(KIND_BYTES);
                sealed.put_slice(bytes);
            }
            Data::Integer(integer) => {
                sealed.put_u8(KIND_INTEGER);
                sealed.put_slice(integer.to_string().as_bytes());
            }
        }
        sealed.freeze()
    }

    /// Reads an entry. None: the bytes are not one.
    pub(super) fn open(sealed: &[u8]) -> Option<Self> {
        let head = Head::open(sealed)?;
        let contents = sealed.get(HEADER..)?;
        let data = match head.kind {
            KIND_BYTES => Data::Bytes(Bytes::copy_from_slice(contents)),
            _ => Data::Integer(std::str::from_utf8(contents).ok()?.parse().ok()?),
        };
        let value = Value { data, schema: head.schema };
        Some(Self { version: head.version, expires: head.expires, value })
    }
}

/// An entry without its contents.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) version: Version,
    pub(super) expires: Option<Moment>,
    schema: u32,
    kind: u8,
    /// How many bytes count for the module's quota.
    pub(super) bytes: usize,
}

impl Head {
    /// Reads the head of an entry. None: the bytes are not one.
    pub(super) fn open(sealed: &[u8]) -> Option<Self> {
        let (head, contents) = sealed.split_at_checked(HEADER)?;
        let (version, rest) = head.split_first_chunk()?;
        let (expires, rest) = rest.split_first_chunk()?;
        let (schema, kind) = rest.split_first_chunk()?;
        let expires = match u64::from_be_bytes(*expires) {
            0 => None,
            micros => Some(Moment(micros)),
        };
        let (kind, bytes) = match *kind {
            [KIND_BYTES] => (KIND_BYTES, contents.len()),
            [KIND_INTEGER] => (KIND_INTEGER, size_of::<i64>()),
            _ => return None,
        };
        let (version, schema) =
            (Version(u64::from_be_bytes(*version)), u32::from_be_bytes(*schema));
        Some(Self { version, expires, schema, kind, bytes })
    }

    /// Whether the entry is gone at a moment.
    pub(super) fn is_expired(&self, at: Moment) -> bool {
        self.expires.is_some_and(|expires| expires <= at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_value_has_256_kib_at_most() {
        assert!(Value::of_bytes(Bytes::from(vec![0; 256 * 1024]), 1).is_ok());
        let refused = Value::of_bytes(Bytes::from(vec![0; 256 * 1024 + 1]), 1).unwrap_err();
        assert_eq!(refused, InputError::ValueTooLarge { bytes: 262_145, limit: 262_144 });
    }

    #[test]
    fn a_time_to_live_is_positive_and_has_an_end() {
        for millis in [i64::MIN, -1, 0, i64::MAX] {
            let refused = TimeToLive::from_millis(millis).unwrap_err().to_string();
            assert!(refused.contains(&millis.to_string()), "{refused}");
        }
        assert_eq!(TimeToLive::from_millis(1).unwrap().micros(), 1_000);
    }

    #[test]
    fn an_entry_is_written_as_it_always_was() {
        let entry = |data| Entry {
            version: Version(0x0102_0304_0506_0708),
            expires: Some(Moment(9)),
            value: Value { data, schema: 3 },
        };
        let head = [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 3];
        let bytes = entry(Data::Bytes(Bytes::from_static(b"ab"))).seal();
        assert_eq!(bytes, [&head[..], b"\0ab"].concat());
        assert_eq!(entry(Data::Integer(-42)).seal(), [&head[..], b"\x01-42"].concat());
    }

    proptest! {
        #[test]
        fn an_entry_reads_back(version: u64, expires in 0_u64..3, schema: u32, bytes: Vec<u8>, integer: Option<i64>) {
            let data = integer.map_or_else(|| Data::Bytes(bytes.into()), Data::Integer);
            let expires = (expires > 0).then_some(Moment(expires));
            let entry = Entry { version: Version(version), expires, value: Value { data, schema } };
            prop_assert_eq!(Entry::open(&entry.seal()), Some(entry));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            drop(Entry::open(&bytes));
        }
    }
}
