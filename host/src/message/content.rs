//! The content of a custom message: the bytes of a MessagePack map, checked without building it.

use std::collections::HashSet;

use bytes::Bytes;
use rmp::Marker;

/// How deep maps and lists may be nested.
const MAX_DEPTH: usize = 32;

/// Which rule a content breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// The outermost value is something else.
    #[error("the content is not a map; send a map with text keys")]
    NotAMap,
    /// A key is something else.
    #[error("a map has a key that is not text; use text keys")]
    KeyNotText,
    /// A key is there twice.
    #[error("a map has the key {0:?} twice")]
    DuplicateKey(String),
    /// The nesting is too deep.
    #[error("maps and lists are nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// An integer does not fit.
    #[error("the integer {0} is beyond 64 bits with sign")]
    IntegerRange(u64),
    /// A text is no UTF-8.
    #[error("a text is not UTF-8; send it as bytes")]
    NotUtf8,
    /// A type that messages do not have.
    #[error(
        "the content has an extension type; messages have null, bool, integer, float, text, bytes, list and map"
    )]
    Extension,
    /// The bytes end within a value.
    #[error("the content ends in the middle of a value")]
    Truncated,
    /// There are bytes after the value.
    #[error("{0} bytes follow the end of the map")]
    Trailing(usize),
}

/// The bytes of a MessagePack map with text keys, at most 32 deep, without duplicate keys.
#[derive(Clone, PartialEq, Eq)]
pub struct Content(Bytes);

impl Content {
    /// Checks the bytes of a message.
    pub fn parse(bytes: Bytes) -> Result<Self, ContentError> {
        let mut scan = Scan { rest: &bytes };
        match bytes.first().map(|&byte| Marker::from_u8(byte)) {
            None => return Err(ContentError::Truncated),
            Some(Marker::FixMap(_) | Marker::Map16 | Marker::Map32) => scan.value(0)?,
            Some(_) => return Err(ContentError::NotAMap),
        }
        match scan.rest.len() {
            0 => Ok(Self(bytes)),
            left => Err(ContentError::Trailing(left)),
        }
    }

    /// The message that an object of JSON stands for.
    pub fn from_json(
        object: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<Self, ContentError> {
        let packed = rmp_serde::to_vec_named(object);
        Self::parse(packed.map_err(|_| ContentError::TooDeep)?.into())
    }

    /// The entries of the map, each with its value as MessagePack.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut scan = Scan { rest: &self.0 };
        let mut left = scan.entries().unwrap_or_default();
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            scan.entry().ok()
        })
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Content({} bytes)", self.0.len())
    }
}

struct Scan<'a> {
    rest: &'a [u8],
}

impl<'a> Scan<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], ContentError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(ContentError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn uint(&mut self, width: usize) -> Result<u64, ContentError> {
        Ok(self.take(width)?.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    fn count(&mut self, width: usize) -> Result<usize, ContentError> {
        // On 32 bits a larger count cannot be followed by as many bytes.
        usize::try_from(self.uint(width)?).map_err(|_| ContentError::Truncated)
    }

    fn marker(&mut self) -> Result<Marker, ContentError> {
        match self.take(1)? {
            [byte] => Ok(Marker::from_u8(*byte)),
            _ => Err(ContentError::Truncated),
        }
    }

    fn text(&mut self, marker: Marker) -> Result<Option<&'a str>, ContentError> {
        let count = match marker {
            Marker::FixStr(count) => usize::from(count),
            Marker::Str8 => self.count(1)?,
            Marker::Str16 => self.count(2)?,
            Marker::Str32 => self.count(4)?,
            _ => return Ok(None),
        };
        std::str::from_utf8(self.take(count)?).map(Some).map_err(|_| ContentError::NotUtf8)
    }

    /// Reads how many entries a map has.
    fn entries(&mut self) -> Result<usize, ContentError> {
        match self.marker()? {
            Marker::FixMap(count) => Ok(usize::from(count)),
            Marker::Map16 => self.count(2),
            Marker::Map32 => self.count(4),
            _ => Err(ContentError::NotAMap),
        }
    }

    /// Reads an entry of the outermost map.
    fn entry(&mut self) -> Result<(&'a str, &'a [u8]), ContentError> {
        let marker = self.marker()?;
        let key = self.text(marker)?.ok_or(ContentError::KeyNotText)?;
        let before = self.rest;
        self.value(1)?;
        let value = before.get(..before.len() - self.rest.len()).ok_or(ContentError::Truncated)?;
        Ok((key, value))
    }

    fn value(&mut self, depth: usize) -> Result<(), ContentError> {
        let marker = self.marker()?;
        if self.text(marker)?.is_some() {
            return Ok(());
        }
        let skip = match marker {
            Marker::Null | Marker::True | Marker::False => 0,
            Marker::FixPos(_) | Marker::FixNeg(_) => 0,
            Marker::U8 | Marker::I8 => 1,
            Marker::U16 | Marker::I16 => 2,
            Marker::U32 | Marker::I32 | Marker::F32 => 4,
            Marker::I64 | Marker::F64 => 8,
            Marker::U64 => match self.uint(8)? {
                value if i64::try_from(value).is_err() => {
                    return Err(ContentError::IntegerRange(value));
                }
                _ => 0,
            },
            Marker::Bin8 => self.count(1)?,
            Marker::Bin16 => self.count(2)?,
            Marker::Bin32 => self.count(4)?,
            Marker::FixArray(count) => return self.list(usize::from(count), depth),
            Marker::Array16 => return self.count(2).and_then(|count| self.list(count, depth)),
            Marker::Array32 => return self.count(4).and_then(|count| self.list(count, depth)),
            Marker::FixMap(count) => return self.map(usize::from(count), depth),
            Marker::Map16 => return self.count(2).and_then(|count| self.map(count, depth)),
            Marker::Map32 => return self.count(4).and_then(|count| self.map(count, depth)),
            _ => return Err(ContentError::Extension),
        };
        self.take(skip).map(|_| ())
    }

    fn list(&mut self, count: usize, depth: usize) -> Result<(), ContentError> {
        let depth = deeper(depth)?;
        for _ in 0..count {
            self.value(depth)?;
        }
        Ok(())
    }

    fn map(&mut self, count: usize, depth: usize) -> Result<(), ContentError> {
        let depth = deeper(depth)?;
        let mut keys = HashSet::new();
        for _ in 0..count {
            let marker = self.marker()?;
            let key = self.text(marker)?.ok_or(ContentError::KeyNotText)?;
            if !keys.insert(key) {
                return Err(ContentError::DuplicateKey(key.into()));
            }
            self.value(depth)?;
        }
        Ok(())
    }
}

const fn deeper(depth: usize) -> Result<usize, ContentError> {
    if depth >= MAX_DEPTH { Err(ContentError::TooDeep) } else { Ok(depth + 1) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(bytes: &[u8]) -> Result<Content, ContentError> {
        Content::parse(Bytes::copy_from_slice(bytes))
    }

    /// `{"a": [[[...]]]}` with so many lists.
    fn nested(lists: usize) -> Vec<u8> {
        let mut bytes = vec![0x81, 0xa1, b'a'];
        bytes.extend(vec![0x91; lists]);
        bytes.push(0xc0);
        bytes
    }

    #[test]
    fn every_type_of_a_message_passes() {
        let bytes = b"\x86\xa4type\xa1t\xa1b\xc4\x02\x00\xff\xa1n\xd3\x80\x00\x00\x00\x00\x00\x00\x00\xa1f\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\xa1l\x93\x01\xc0\xc3\xa1m\x80";
        assert_eq!(parse(bytes).map(|content| content.as_bytes().len()), Ok(bytes.len()));
    }

    #[test]
    fn nesting_ends_at_32() {
        assert!(parse(&nested(31)).is_ok());
        assert_eq!(parse(&nested(32)), Err(ContentError::TooDeep));
        // A million levels must neither recurse nor allocate.
        assert_eq!(parse(&nested(1_000_000)), Err(ContentError::TooDeep));
    }

    #[test]
    fn each_broken_rule_is_named() {
        use ContentError::*;
        let table: &[(&[u8], ContentError)] = &[
            (b"", Truncated),
            (b"\xc0", NotAMap),
            (b"\x93\x01\x02\x03", NotAMap),
            (b"\x81\x01\x01", KeyNotText),
            (b"\x82\xa1a\x01\xa1a\x02", DuplicateKey("a".into())),
            (b"\x81\xa1a\xcf\x80\x00\x00\x00\x00\x00\x00\x00", IntegerRange(1 << 63)),
            (b"\x81\xa1a\xa1\xff", NotUtf8),
            (b"\x81\xa1a\xd4\x01\x00", Extension),
            (b"\x81\xa1a\xc1", Extension),
            (b"\x81\xa1a", Truncated),
            (b"\x81\xa1a\xc6\xff\xff\xff\xff", Truncated),
            (b"\xdf\xff\xff\xff\xff", Truncated),
            (b"\x80\x00", Trailing(1)),
        ];
        for (bytes, error) in table {
            assert_eq!(parse(bytes).as_ref(), Err(error), "{bytes:x?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(parse(&bytes));
        }

        #[test]
        fn what_passes_is_readable(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut map = vec![0x81, 0xa1, b'a'];
            map.extend(bytes);
            if parse(&map).is_ok() {
                prop_assert!(rmpv::decode::read_value(&mut &map[..]).is_ok());
            }
        }

        #[test]
        fn entries_are_those_of_the_map(
            map in proptest::collection::btree_map("[a-z]{0,40}", any::<Option<Vec<i64>>>(), 0..20)
        ) {
            let content = parse(&rmp_serde::to_vec_named(&map).unwrap()).unwrap();
            let read: std::collections::BTreeMap<String, Option<Vec<i64>>> = content
                .entries()
                .map(|(key, value)| (key.to_owned(), rmp_serde::from_slice(value).unwrap()))
                .collect();
            prop_assert_eq!(read, map);
        }
    }
}
