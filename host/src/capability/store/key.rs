//! Keys, the prefixes that list them, and the cursors that continue a listing.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use super::InputError;

/// The longest key and the longest prefix, in bytes.
pub const KEY_BYTES_MAX: usize = 512;

/// A key of a module: text of 1 to 512 bytes. Keys are ordered by their bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<str>);

impl Key {
    /// Checks a key.
    pub fn parse(text: &str) -> Result<Self, InputError> {
        match text.len() {
            0 => Err(InputError::KeyEmpty),
            1..=KEY_BYTES_MAX => Ok(Self(text.into())),
            bytes => Err(InputError::KeyTooLong { bytes, limit: KEY_BYTES_MAX }),
        }
    }

    /// Returns the key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// The start of the keys that a listing is of. The empty one lists all keys of a module.
#[derive(Clone, PartialEq, Eq)]
pub struct Prefix(Arc<str>);

impl Prefix {
    /// Checks a prefix.
    pub fn parse(text: &str) -> Result<Self, InputError> {
        match text.len() {
            0..=KEY_BYTES_MAX => Ok(Self(text.into())),
            bytes => Err(InputError::KeyTooLong { bytes, limit: KEY_BYTES_MAX }),
        }
    }

    /// Returns the prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// A part of the keys of a module, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// What all of its keys begin with.
    pub prefix: Prefix,
    /// The key behind which the range begins. None: with the first of the prefix.
    pub after: Option<Key>,
    /// The last key of the range. None: the last of the prefix.
    pub last: Option<Key>,
}

impl KeyRange {
    /// Returns all keys of a prefix, or those behind one of them.
    pub const fn new(prefix: Prefix, after: Option<Key>) -> Self {
        Self { prefix, after, last: None }
    }

    /// Whether a key is in the range.
    pub fn contains(&self, key: &Key) -> bool {
        key.as_str().starts_with(self.prefix.as_str())
            && self.after.as_ref().is_none_or(|after| key > after)
            && self.last.as_ref().is_none_or(|last| key <= last)
    }
}

/// Where a listing goes on. As text it is `LENGTH:KEY`: the bytes of the prefix that are the start of
/// the last key, and that key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    prefix_bytes: usize,
    last: Key,
}

impl Cursor {
    /// Returns the cursor behind a key of a prefix.
    pub(super) fn behind(prefix: &Prefix, last: Key) -> Self {
        Self { prefix_bytes: prefix.as_str().len(), last }
    }

    /// Returns the last key that was listed. Fails if the listing was of another prefix.
    pub(super) fn of(self, prefix: &Prefix) -> Result<Key, InputError> {
        match self.last.as_str().get(..self.prefix_bytes) {
            Some(own) if own == prefix.as_str() => Ok(self.last),
            own => Err(InputError::CursorOfOtherPrefix {
                prefix: prefix.to_string(),
                own: own.unwrap_or_default().to_owned(),
            }),
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.prefix_bytes, self.last)
    }
}

impl FromStr for Cursor {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        let (bytes, key) = text.split_once(':').ok_or(InputError::CursorInvalid)?;
        let prefix_bytes: usize = bytes.parse().map_err(|_| InputError::CursorInvalid)?;
        let last = Key::parse(key).map_err(|_| InputError::CursorInvalid)?;
        match last.as_str().get(..prefix_bytes) {
            Some(_) => Ok(Self { prefix_bytes, last }),
            None => Err(InputError::CursorInvalid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_1_to_512_bytes() {
        assert_eq!(Key::parse(""), Err(InputError::KeyEmpty));
        assert!(Key::parse(&"x".repeat(512)).is_ok());
        let refused = Key::parse(&"é".repeat(257)).unwrap_err();
        assert_eq!(refused, InputError::KeyTooLong { bytes: 514, limit: 512 });
        assert!(refused.to_string().contains("at most 512 bytes; this one has 514"));
        assert!(Prefix::parse("").is_ok() && Prefix::parse(&"x".repeat(513)).is_err());
    }

    #[test]
    fn a_cursor_reads_back_and_belongs_to_one_prefix() {
        let prefix = |text| Prefix::parse(text).unwrap();
        let cursor = Cursor::behind(&prefix("bid:"), Key::parse("bid:7:x").unwrap());
        assert_eq!(cursor.to_string(), "4:bid:7:x");
        assert_eq!("4:bid:7:x".parse(), Ok(cursor.clone()));
        assert_eq!(cursor.clone().of(&prefix("bid:")).unwrap().as_str(), "bid:7:x");
        for other in ["", "bid", "bid:7", "item:"] {
            let refused = cursor.clone().of(&prefix(other)).unwrap_err();
            assert!(matches!(refused, InputError::CursorOfOtherPrefix { .. }), "{other}");
        }
    }

    #[test]
    fn a_text_that_is_not_a_cursor_is_refused() {
        for text in ["", "4", "x:bid", "-1:bid", "9:bid", "1:é", "0:"] {
            assert_eq!(text.parse::<Cursor>(), Err(InputError::CursorInvalid), "{text}");
        }
    }
}
