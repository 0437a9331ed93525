//! Prefixes of the paths of files.

use std::{fmt, str::FromStr};

/// The prefix of the paths of files: segments of text, such as `/assets` or `/chat/files`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Prefix(String);

/// A text that is not such a prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a valid prefix of paths; write \"/assets\": a slash first, none at the end, and of `a-z A-Z 0-9 - . _ ~` only"
)]
pub struct PrefixError(String);

impl Prefix {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
        let is_segment = |part: &str| !part.is_empty() && part.chars().all(is_plain);
        let segments = text.strip_prefix('/').map(|rest| rest.split('/').all(is_segment));
        if segments == Some(true) {
            Ok(Self(text.to_owned()))
        } else {
            Err(PrefixError(text.to_owned()))
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_plain_segments() {
        for text in ["", "/", "a", "/a/", "//a", "/a b", "/{a}", "/a%20", "/a//b"] {
            assert!(text.parse::<Prefix>().is_err(), "{text:?}");
        }
    }
}
